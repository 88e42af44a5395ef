"""Several builds shown together: by one face for all, or by a face each with a name before its lines."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, TextIO

from builder.events import Envelope, OpenSink
from builder.ui.choose import wants_live
from builder.ui.guarded import ContextSink, Guarded
from builder.ui.jsonl import JsonLinesSink
from builder.ui.text import clean

if TYPE_CHECKING:
    from builder.events import Sink


class AnyBuild(Protocol):
    """A build among several."""

    @property
    def label(self) -> str:
        """Its name among the others."""

    @property
    def run_id(self) -> str:
        """Its run; "" until its first event."""


class TogetherFace(Protocol):
    """What people see of all of them."""

    def sink(self, build: AnyBuild) -> ContextSink:
        """Where the events of one build go."""

    def say(self, text: str) -> None:
        """A line about all of them."""


class Together:
    """The chosen faces, open for the time of `open_together`."""

    def __init__(
        self,
        face: TogetherFace,
        lines: JsonLinesSink | None,
        stack: ExitStack,
        more: Callable[[AnyBuild], Sink] | None,
    ) -> None:
        self._face = face
        self._more = more
        self._lines = lines
        self._stack = stack

    def sinks(self, build: AnyBuild) -> Sequence[Sink]:
        """A build begins."""
        found: list[Sink] = []
        if self._lines is not None:
            found.append(self._stack.enter_context(Guarded(_Named(self._lines, build))))
        found.append(self._stack.enter_context(Guarded(self._face.sink(build))))
        if self._more is not None:
            found.append(self._more(build))
        return found

    def say(self, text: str) -> None:
        """A line about all of them."""
        self._face.say(text)

    def stopping(self) -> None:
        """All were told to stop."""
        self._face.say("Stopping; each build clears up after itself.")


@contextmanager
def open_together(
    *,
    total: int,
    events: str | None = None,
    plain: bool = False,
    quiet: bool = False,
    stdout: TextIO | None = None,
    stderr: TextIO | None = None,
    more: Callable[[AnyBuild], Sink] | None = None,
) -> Iterator[Together]:
    """As `open_sinks`, for `total` builds; `more` makes a further sink for each. Raises UsageError when
    `events` cannot be written.
    """
    out, err = stdout or sys.stdout, stderr or sys.stderr
    with ExitStack() as stack:
        lines = None
        if events is not None:
            lines = JsonLinesSink(out) if events == "-" else JsonLinesSink.to_file(Path(events))
            stack.enter_context(lines)
        stream = err if events == "-" else out
        face: TogetherFace
        if quiet or plain or not wants_live(stream):
            face = NamedLines(stream, err, quiet=quiet)
        else:
            from builder.ui.together_terminal import TogetherTerminal

            face = stack.enter_context(TogetherTerminal(stream, total=total))
        yield Together(face, lines, stack, more)


class NamedLines:
    """The plain (or quiet) face of each build, each of its lines after the build's name."""

    def __init__(self, stream: TextIO, errors: TextIO, *, quiet: bool) -> None:
        self._stream = stream
        self._errors = errors
        self._quiet = quiet
        self._lock = threading.Lock()

    def sink(self, build: AnyBuild) -> ContextSink:
        """Where the events of one build go."""
        prefix = f"{clean(build.label)}: " if self._quiet else f"[{clean(build.label)}] "
        errors: TextIO = _Prefixed(self._errors, prefix, self._lock)  # type: ignore[assignment]
        if self._quiet:
            from builder.ui.quiet import QuietSink

            return QuietSink(self._stream, errors)  # what was made is for programs: no name before it
        from builder.ui.plain import PlainSink

        return PlainSink(_Prefixed(self._stream, prefix, self._lock))  # type: ignore[arg-type]

    def say(self, text: str) -> None:
        """A line about all of them."""
        if self._quiet:
            return
        with self._lock:
            self._stream.write(clean(text) + "\n")
            self._stream.flush()


class _Prefixed:
    """The part of a stream that faces use: whole lines, each after `prefix`; several threads write them."""

    def __init__(self, stream: TextIO, prefix: str, lock: threading.Lock) -> None:
        self._stream = stream
        self._prefix = prefix
        self._lock = lock

    def write(self, text: str) -> int:
        with self._lock:
            for line in text.splitlines(keepends=True):
                self._stream.write(self._prefix + line)
        return len(text)

    def flush(self) -> None:
        with self._lock:
            self._stream.flush()


class _Named(OpenSink):
    """Each event as a JSON line with the id of its run."""

    def __init__(self, lines: JsonLinesSink, build: AnyBuild) -> None:
        self._lines = lines
        self._build = build

    def __call__(self, envelope: Envelope) -> None:
        self._lines.write({**envelope.to_json(), "runId": self._build.run_id})
