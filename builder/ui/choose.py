"""Which faces a build shows: terminal, plain, quiet, and JSON lines beside them."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from builder.events import Sink
    from builder.ui.ci.service import Service
    from builder.ui.guarded import ContextSink


def wants_colour(stream: TextIO) -> bool:
    """Whether colours may be written: a real terminal, and NO_COLOR (no-color.org) is not set."""
    return is_terminal(stream) and not os.environ.get("NO_COLOR")


def is_terminal(stream: TextIO) -> bool:
    """Whether a person with a capable terminal reads `stream`."""
    isatty = getattr(stream, "isatty", None)
    return bool(isatty and isatty()) and os.environ.get("TERM", "") not in ("", "dumb")


def wants_live(stream: TextIO) -> bool:
    """Whether a display that redraws itself suits `stream`; CI logs keep every redraw forever."""
    return is_terminal(stream) and os.environ.get("CI", "").lower() in ("", "0", "false")


@contextmanager
def open_sinks(
    *,
    events: str | None = None,
    plain: bool = False,
    quiet: bool = False,
    stdout: TextIO | None = None,
    stderr: TextIO | None = None,
    service: Service | None = None,
) -> Iterator[list[Sink]]:
    """The chosen sinks, open for the time of the block; give them to the bus.

    `events` names a file for JSON lines; "-" is stdout, which then carries nothing else: the human
    face goes to stderr. `service` is the CI service whose log the human face writes. Raises UsageError
    when the file cannot be written. A sink that fails later (a closed pipe, a full disk) falls silent; the
    build goes on.
    """
    from builder.ui.guarded import Guarded
    from builder.ui.jsonl import JsonLinesSink

    out = stdout or sys.stdout
    err = stderr or sys.stderr
    with ExitStack() as stack:
        sinks: list[Sink] = []
        if events is not None:
            lines = JsonLinesSink(out) if events == "-" else JsonLinesSink.to_file(Path(events))
            sinks.append(stack.enter_context(Guarded(lines)))
        face = _face(err if events == "-" else out, err, plain=plain, quiet=quiet, service=service)
        sinks.append(stack.enter_context(Guarded(face)))
        yield sinks


def _face(
    stream: TextIO, errors: TextIO, *, plain: bool, quiet: bool, service: Service | None
) -> ContextSink:
    if quiet:
        from builder.ui.quiet import QuietSink

        return QuietSink(stream, errors)
    if service is not None:
        from builder.ui.ci.face import CiSink

        return CiSink(stream, service)
    if plain or not wants_live(stream):
        from builder.ui.plain import PlainSink

        return PlainSink(stream)
    from builder.ui.terminal import TerminalSink

    return TerminalSink(stream)
