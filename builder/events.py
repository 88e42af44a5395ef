"""The one event stream of a run; every face (terminal, JSON lines, report) is a sink of it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field, fields, replace
from datetime import UTC, datetime
from types import TracebackType
from typing import Any, ClassVar, Literal, Self

from builder.as_json import to_json
from builder.redact import Redactor

Where = Literal["engine", "guest"]
Outcome = Literal["succeeded", "failed", "skipped", "cached", "cancelled", "timedout"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """What happened. Subclasses add their facts; `kind` names them in JSON (stable)."""

    kind: ClassVar[str] = "event"


@dataclass(frozen=True, slots=True, kw_only=True)
class RunStarted(Event):
    """A build begins."""

    kind: ClassVar[str] = "run.started"
    run_id: str
    template: str
    workspace: str
    log_dir: str


@dataclass(frozen=True, slots=True, kw_only=True)
class StageStarted(Event):
    """A stage begins: Resolve, Source, Boot, Customize, Generalize, Validate, Distribute."""

    kind: ClassVar[str] = "stage.started"
    stage: str


@dataclass(frozen=True, slots=True, kw_only=True)
class StageFinished(Event):
    """A stage ended after `seconds`."""

    kind: ClassVar[str] = "stage.finished"
    stage: str
    outcome: Outcome
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class StepStarted(Event):
    """A customizer, validator or target begins; `index` counts from 1 within its stage."""

    kind: ClassVar[str] = "step.started"
    stage: str
    index: int
    total: int
    name: str
    type: str


@dataclass(frozen=True, slots=True, kw_only=True)
class StepOutput(Event):
    """One line a step wrote."""

    kind: ClassVar[str] = "step.output"
    stage: str
    index: int
    stream: Literal["stdout", "stderr"]
    line: str


@dataclass(frozen=True, slots=True, kw_only=True)
class StepFinished(Event):
    """A step ended; `detail` is a short result (exit code, artifact, reason)."""

    kind: ClassVar[str] = "step.finished"
    stage: str
    index: int
    name: str
    outcome: Outcome
    seconds: float
    detail: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class WaitStarted(Event):
    """Something that may take more than a second begins; sinks show a spinner. Ends with WaitFinished."""

    kind: ClassVar[str] = "wait.started"
    what: str


@dataclass(frozen=True, slots=True, kw_only=True)
class WaitProgress(Event):
    """How far a wait is; `total` 0 when unknown. Units: "bytes" or "" for counts."""

    kind: ClassVar[str] = "wait.progress"
    what: str
    done: int
    total: int = 0
    unit: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class WaitFinished(Event):
    """A wait ended, well or not."""

    kind: ClassVar[str] = "wait.finished"
    what: str
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class PhaseFinished(Event):
    """A part of a stage took `seconds`: of the guest's own work, or of ours (`where`)."""

    kind: ClassVar[str] = "phase.finished"
    name: str
    seconds: float
    where: Where
    stage: str
    index: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Note(Event):
    """Something worth knowing: level info (choices made) or warning (something carried but unused)."""

    kind: ClassVar[str] = "note"
    level: Literal["info", "warning"]
    message: str
    code: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ArtifactProduced(Event):
    """A run output exists. `id` is an ARM id or empty; `uri` is the address of what left this machine, which
    then has no `path`. Sizes in bytes, of the OS disk; `data_disks` are the files or addresses of the data
    disks, by lun.
    """

    kind: ClassVar[str] = "artifact"
    run_output: str
    type: str
    path: str
    uri: str = ""
    id: str = ""
    version: str = ""
    size: int = 0
    size_on_disk: int = 0
    data_disks: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True, kw_only=True)
class RunFinished(Event):
    """A build ended. `state` is AIB's run state."""

    kind: ClassVar[str] = "run.finished"
    run_id: str
    state: Literal["Succeeded", "PartiallySucceeded", "Failed", "Canceled"]
    seconds: float
    exit_code: int
    error: dict[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Envelope:
    """An event with its time: `at` wall clock, `elapsed` seconds since the bus was made."""

    at: datetime
    elapsed: float
    event: Event

    def to_json(self) -> dict[str, Any]:
        """The JSON line of this event."""
        return {
            "kind": self.event.kind,
            "time": self.at.isoformat(timespec="milliseconds"),
            "elapsed": round(self.elapsed, 3),
            **to_json(self.event),
        }


Sink = Callable[[Envelope], None]


class OpenSink:
    """A sink with nothing to close, which stands where others have to be closed."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        return None


class EventBus:
    """Scrubs every event once and hands it to the sinks, in order, from any thread."""

    def __init__(self, redactor: Redactor) -> None:
        self._redactor = redactor
        self._sinks: list[Sink] = []
        self._lock = threading.RLock()
        self._start = time.monotonic()

    def add_sink(self, sink: Sink) -> None:
        """From now on `sink` is called with every event."""
        with self._lock:
            self._sinks.append(sink)

    def emit(self, event: Event) -> None:
        """Tell every sink."""
        envelope = Envelope(datetime.now(UTC), time.monotonic() - self._start, self._scrub(event))
        with self._lock:
            for sink in self._sinks:
                sink(envelope)

    def note(self, message: str, *, code: str = "") -> None:
        """Emit an informational Note."""
        self.emit(Note(level="info", message=message, code=code))

    def warn(self, message: str, *, code: str = "") -> None:
        """Emit a warning Note."""
        self.emit(Note(level="warning", message=message, code=code))

    def _scrub(self, event: Event) -> Event:
        changes: dict[str, Any] = {}
        for item in fields(event):
            value = getattr(event, item.name)
            clean = self._scrub_value(value)
            if clean != value:
                changes[item.name] = clean
        return replace(event, **changes) if changes else event

    def _scrub_value(self, value: Any) -> Any:  # noqa: ANN401 - walks JSON-like data
        if isinstance(value, str):
            return self._redactor.scrub(value)
        if isinstance(value, dict):
            return {self._scrub_value(key): self._scrub_value(item) for key, item in value.items()}
        if isinstance(value, list | tuple):
            return type(value)(self._scrub_value(item) for item in value)
        return value


class Wait:
    """Context manager around a wait: `with Wait(bus, "Booting"): ...` emits its start and end."""

    def __init__(self, bus: EventBus, what: str) -> None:
        self._bus = bus
        self._what = what
        self._start = 0.0

    def __enter__(self) -> Wait:
        self._start = time.monotonic()
        self._bus.emit(WaitStarted(what=self._what))
        return self

    def progress(self, done: int, total: int = 0, unit: str = "") -> None:
        """Say how far it is."""
        self._bus.emit(WaitProgress(what=self._what, done=done, total=total, unit=unit))

    def __exit__(self, *exc: object) -> None:
        self._bus.emit(WaitFinished(what=self._what, seconds=round(time.monotonic() - self._start, 3)))
