"""Runs builds in processes of their own, some at a time, and shows what they say."""

from __future__ import annotations

import json
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Protocol

from builder import process
from builder.cancellation import Interrupted, cancel_on_signals, deferred
from builder.errors import ExitCode
from builder.events import Envelope, RunFinished
from builder.together.task import Task
from builder.together.wire import envelope_of
from builder.workspace import WAIT_SECONDS

if TYPE_CHECKING:
    from pathlib import Path

    from builder.cli.reading import Reading
    from builder.engine import BuildOptions
    from builder.events import Sink
    from builder.jobs import Job

# -P: a folder called "builder" where the command is typed is not ours.
WORKER = (sys.executable, "-P", "-m", "builder.together.worker")
_TURN_SECONDS = 0.2
_LINES_PER_TURN = 500
_PIPE_LINES = 2000
_STDERR_LINES = 100
# From the end of its output to the end of the process.
_EXIT_SECONDS = 30.0
# Its deadline begins when it has read its template; a cleaned-up dead build and the report come on top.
_START_SLACK = 300.0
# What a build that was told to stop takes besides cleaning up.
_STOP_SLACK = 30.0


class Shown(Protocol):
    """What shows several builds."""

    def sinks(self, build: Build) -> Sequence[Sink]:
        """A build begins: where its events go."""

    def stopping(self) -> None:
        """All of them were told to stop."""


@dataclass(eq=False)
class Build:
    """One build. `seconds` is the longest it may take; `label` names it among the others."""

    label: str
    task: Task
    seconds: float
    run_id: str = ""
    exit_code: ExitCode | None = None
    finished: bool = False
    sinks: Sequence[Sink] = ()
    child: subprocess.Popen[bytes] | None = None
    begun: float = 0.0
    ends_by: float = 0.0
    stopping: bool = False
    errors: deque[str] = field(default_factory=lambda: deque(maxlen=_STDERR_LINES))
    threads: list[threading.Thread] = field(default_factory=list)
    stack: ExitStack = field(default_factory=ExitStack)


class Crew:
    """At most `at_once` of `builds` under way. `stop_seconds` is what cleaning up may take."""

    def __init__(
        self,
        builds: Sequence[Build],
        at_once: int,
        shown: Shown,
        *,
        stop_seconds: float,
        worker: Sequence[str] = WORKER,
    ) -> None:
        self._waiting = deque(builds)
        self._builds = builds
        self._under_way: list[Build] = []
        self._at_once = at_once
        self._shown = shown
        self._stop_seconds = stop_seconds + _STOP_SLACK
        self._worker = worker
        self._lines: queue.Queue[tuple[Build, bytes | None]] = queue.Queue(_PIPE_LINES)

    def run(self) -> list[ExitCode]:
        """Build all. A first signal stops the builds under way and begins no other; later ones change
        nothing. Returns their exit codes, in order.

        To be called in the main thread, which lives as long as its children: they die with it.
        """
        with cancel_on_signals():
            try:
                self._go_on()
            except (Interrupted, KeyboardInterrupt):
                self._stop_all()
                self._go_on()
            finally:
                for build in self._under_way:
                    build.stack.close()
        return [ExitCode.CANCELLED if b.exit_code is None else b.exit_code for b in self._builds]

    def _go_on(self) -> None:
        while self._waiting or self._under_way:
            with deferred():  # a signal must lose neither a process nor what it said last
                while self._waiting and len(self._under_way) < self._at_once:
                    self._begin(self._waiting.popleft())
                self._listen()
                self._watch_the_clock()

    def _begin(self, build: Build) -> None:
        build.begun = time.monotonic()
        build.ends_by = build.begun + build.seconds
        build.sinks = self._shown.sinks(build)
        self._under_way.append(build)
        # A file without a name: nobody else can read what is in there, and it is whole from the start.
        with os.fdopen(os.memfd_create("goldsmith-task", os.MFD_CLOEXEC), "w+b") as task:
            task.write(build.task.to_bytes())
            task.flush()
            task.seek(0)
            build.child = build.stack.enter_context(
                process.spawn(self._worker, stdin=task, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
            )
        for target in (self._read_events, self._read_errors):
            thread = threading.Thread(target=target, args=(build, build.child), daemon=True)
            thread.start()
            build.threads.append(thread)

    def _read_events(self, build: Build, child: subprocess.Popen[bytes]) -> None:
        if child.stdout is not None:
            with suppress(OSError, ValueError):  # closed: the build was given up
                for line in child.stdout:
                    self._lines.put((build, line))
        self._lines.put((build, None))

    def _read_errors(self, build: Build, child: subprocess.Popen[bytes]) -> None:
        if child.stderr is not None:
            with suppress(OSError, ValueError):
                for line in child.stderr:
                    build.errors.append(line.decode(errors="replace").rstrip("\n"))

    def _listen(self) -> None:
        patience = _TURN_SECONDS
        for _ in range(_LINES_PER_TURN):
            try:
                build, line = self._lines.get(timeout=patience)
            except queue.Empty:
                return
            patience = 0.001
            if build not in self._under_way:
                continue  # it was given up
            if line is None:
                self._end(build)
            else:
                self._take(build, line)

    def _take(self, build: Build, line: bytes) -> None:
        try:
            data = json.loads(line)
        except ValueError:
            return
        envelope = envelope_of(data) if isinstance(data, dict) else None
        if envelope is None:
            return
        build.run_id = str(data.get("runId") or build.run_id)
        build.finished = build.finished or isinstance(envelope.event, RunFinished)
        self._show(build, envelope)

    def _show(self, build: Build, envelope: Envelope) -> None:
        for sink in build.sinks:
            sink(envelope)

    def _end(self, build: Build, patience: float = _EXIT_SECONDS) -> None:
        """Its output is at its end, and so is the process soon. Its sinks are told what it did not say."""
        code = _exit_code_of(build.child, patience)
        build.stack.close()
        self._under_way.remove(build)
        build.exit_code = _meaning(code, stopping=build.stopping)
        for thread in build.threads:
            thread.join(timeout=_TURN_SECONDS)
        if not build.finished:
            seconds = round(time.monotonic() - build.begun, 3)
            event = _finished(build, code, build.exit_code, seconds)
            self._show(build, Envelope(datetime.now(UTC), seconds, event))

    def _watch_the_clock(self) -> None:
        """One that takes too long is told to stop; one that does not stop is ended."""
        now = time.monotonic()
        for build in list(self._under_way):
            if now < build.ends_by:
                continue
            if build.stopping:
                self._end(build, patience=0)
            else:
                self._stop(build)

    def _stop_all(self) -> None:
        self._waiting.clear()
        self._shown.stopping()
        for build in self._under_way:
            self._stop(build)

    def _stop(self, build: Build) -> None:
        build.stopping = True
        build.ends_by = time.monotonic() + self._stop_seconds
        if build.child is not None and build.child.poll() is None:
            build.child.send_signal(signal.SIGINT)


def builds_of(reading: Reading, jobs: Sequence[Job], output_dir: Path, options: BuildOptions) -> list[Build]:
    """The builds of a command. Their labels differ: a name's second build is "name (2)"."""
    counts: dict[str, int] = {}
    builds = []
    for job in jobs:
        name = job.redactor.scrub(job.template.name)
        counts[name] = counts.get(name, 0) + 1
        task = Task.of(
            job,
            strict=reading.strict,
            variables=reading.variables,
            parameters=reading.parameters,
            output_dir=output_dir,
            options=options,
        )
        builds.append(
            Build(
                name if counts[name] == 1 else f"{name} ({counts[name]})",
                task,
                seconds=job.template.properties.build_timeout_minutes * 60
                + reading.settings.cleanup_timeout
                + (WAIT_SECONDS if options.wait else 0.0)
                + _START_SLACK,
            )
        )
    return builds


def _exit_code_of(child: subprocess.Popen[bytes] | None, patience: float) -> int | None:
    """None when it did not end in time; it is killed then."""
    if child is None:
        return None
    try:
        return child.wait(timeout=patience)
    except subprocess.TimeoutExpired:
        return None


def _meaning(code: int | None, *, stopping: bool) -> ExitCode:
    known = next((one for one in ExitCode if one == code), None)
    if known is not None:
        return known
    return ExitCode.CANCELLED if stopping else ExitCode.BUILD_FAILED


def _finished(build: Build, code: int | None, meaning: ExitCode, seconds: float) -> RunFinished:
    """The end of a build whose process ended without one."""
    cancelled = build.stopping or meaning == ExitCode.CANCELLED
    return RunFinished(
        run_id=build.run_id,
        state="Canceled" if cancelled else "Failed",
        seconds=seconds,
        exit_code=int(meaning),
        error=_error_of(build, code, cancelled=cancelled),
    )


def _error_of(build: Build, code: int | None, *, cancelled: bool) -> dict[str, Any]:
    for line in reversed(build.errors):
        with suppress(ValueError):
            data = json.loads(line)
            if isinstance(data, Mapping) and isinstance(data.get("error"), Mapping):
                return dict(data["error"])
    if cancelled:
        return {"code": "Cancelled", "message": "Cancelled.", "exitCode": int(ExitCode.CANCELLED)}
    how = f"ended with exit code {code}"
    if code is None:
        how = "did not end and was killed"
    elif code < 0:
        how = f"was killed by {signal.Signals(-code).name}"
    return {
        "code": "BuildProcess",
        "message": f"The process of this build {how}.",
        "details": list(build.errors)[-20:],
        "hint": "'build gc' clears away what it left.",
        "exitCode": int(ExitCode.BUILD_FAILED),
    }
