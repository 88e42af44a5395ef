"""The face for logs and pipes: the same facts in plain lines with the time of day."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from types import TracebackType
from typing import Self, TextIO

from builder.cli.output import human_seconds
from builder.events import (
    ArtifactProduced,
    Envelope,
    Event,
    Note,
    RunFinished,
    RunStarted,
    StageFinished,
    StageStarted,
    StepFinished,
    StepOutput,
    StepStarted,
    WaitFinished,
    WaitProgress,
    WaitStarted,
)
from builder.ui.failure import error_lines
from builder.ui.phases import phase_line
from builder.ui.tally import OUTCOME_WORDS, Tally, closing_line, progress_text, sizes
from builder.ui.text import clean
from builder.ui.ticker import Ticker

# Many CI services end a job that is silent for ten minutes.
HEARTBEAT_SECONDS = 60.0
_ANNOUNCE_AFTER = 1.0


@dataclass(slots=True)
class _Wait:
    since: float
    said: float | None = None
    progress: str = ""
    tenth: int = 0


class PlainSink:
    """Writes lines without colour or control characters and flushes each.

    A wait is named once it lasts a second, then every tenth of its way or every minute.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._tally = Tally()
        self._waits: dict[str, _Wait] = {}
        self._lock = threading.RLock()
        self._ticker = Ticker(self._beat, 0.5)

    def __enter__(self) -> Self:
        self._ticker.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ticker.stop()

    def __call__(self, envelope: Envelope) -> None:
        """Show one event."""
        with self._lock:
            self._tally.take(envelope)
            self._show(envelope.event, envelope.at)

    def _show(self, event: Event, at: datetime) -> None:  # noqa: PLR0912 - one case an event
        match event:
            case RunStarted():
                self._line(f"Building {event.template} (run {event.run_id})", at)
                self._line(f"Workspace {event.workspace}, logs in {event.log_dir}", at)
            case StageStarted():
                self._line(f"== {event.stage}", at)
            case StageFinished():
                self._line(f"== {event.stage} {_ended(event.outcome, event.seconds)}", at)
            case StepStarted():
                kind = f" ({event.type})" if event.type != event.name else ""
                self._line(f"[{event.index}/{event.total}] {event.name}{kind}", at)
            case StepOutput():
                self._line(f"    | {clean(event.line)}", at)
            case StepFinished():
                detail = f": {event.detail}" if event.detail else ""
                ended = _ended(event.outcome, event.seconds)
                self._line(f"[{event.index}] {event.name} {ended}{detail}", at)
            case WaitStarted():
                self._waits[event.what] = _Wait(time.monotonic())
            case WaitProgress():
                self._progress(event, at)
            case WaitFinished():
                wait = self._waits.pop(event.what, None)
                if wait is None or wait.said is not None or event.seconds >= _ANNOUNCE_AFTER:
                    self._line(f"  {event.what}: {human_seconds(event.seconds)}", at)
            case Note():
                self._line(f"{'warning' if event.level == 'warning' else 'note'}: {event.message}", at)
            case ArtifactProduced():
                self._line(f"  made {event.run_output} ({event.type}): {event.uri or event.path}", at)
            case RunFinished():
                self._waits.clear()  # of a build whose process was killed nobody ends them
                self._close(at)

    def _progress(self, event: WaitProgress, at: datetime) -> None:
        wait = self._waits.setdefault(event.what, _Wait(time.monotonic()))
        wait.progress = progress_text(event.done, event.total, event.unit)
        tenth = event.done * 10 // event.total if event.total else 0
        if tenth > wait.tenth and time.monotonic() - wait.since >= _ANNOUNCE_AFTER:
            wait.tenth = tenth
            wait.said = time.monotonic()
            self._line(f"  {event.what}: {wait.progress}", at)

    def _beat(self) -> None:
        with self._lock:
            now = time.monotonic()
            for what, wait in self._waits.items():
                age = now - wait.since
                if wait.said is None and age >= _ANNOUNCE_AFTER:
                    self._line(f"  {what} ...")
                elif wait.said is not None and now - wait.said >= HEARTBEAT_SECONDS:
                    far = f", {wait.progress}" if wait.progress else ""
                    self._line(f"  {what} ... {human_seconds(age)} so far{far}")
                else:
                    continue
                wait.said = now

    def _close(self, at: datetime) -> None:
        tally = self._tally
        self._line("== Summary", at)
        width = min(60, max((len(row.label) + 2 * bool(row.index) for row in tally.rows), default=0))
        for row in tally.rows:
            label = f"  {row.label}" if row.index else row.label
            detail = tally.detail_of(row)
            detail = f"  {detail}" if detail else ""
            self._line(f"  {label:<{width}}  {row.time:>12}  {row.result}{detail}", at)
        counted = tally.phases
        line = phase_line(counted.phases, counted.guest, counted.engine)
        if line:
            self._line(f"  {line}", at)
        for item in tally.artifacts:
            facts = [item.run_output, item.type, item.version, sizes(item), item.id, item.uri, item.path]
            self._line("  " + "  ".join(fact for fact in facts if fact), at)
        failure = tally.failure()
        for kind, text in error_lines(failure) if failure else ():
            prefix = {"error": "error: ", "hint": "hint: ", "output": "    | "}.get(kind, "  ")
            self._line(prefix + text, at)
        self._line(closing_line(tally), at)

    def _line(self, text: str, at: datetime | None = None) -> None:
        moment = (at or datetime.now(UTC)).astimezone()
        self._stream.write(f"{moment:%H:%M:%S} {clean(text)}".rstrip() + "\n")
        self._stream.flush()


def _ended(outcome: str, seconds: float) -> str:
    return f"{OUTCOME_WORDS.get(outcome, outcome)} in {human_seconds(seconds)}"
