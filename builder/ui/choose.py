"""Which faces a build shows: terminal, plain, quiet, and JSON lines beside them."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from builder.events import EventBus
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
    bus: EventBus,
    *,
    events: Sequence[str] | str | None = None,
    plain: bool = False,
    quiet: bool = False,
    stdout: TextIO | None = None,
    stderr: TextIO | None = None,
) -> Iterator[None]:
    """Add the chosen sinks to `bus` for the time of the block.

    `events` names files for JSON lines; "-" is stdout, which then carries nothing else: the human
    face goes to stderr. Raises UsageError when a file cannot be written. A sink that fails later
    (a closed pipe, a full disk) is dropped; the build goes on.
    """
    from builder.ui.guarded import Guarded
    from builder.ui.jsonl import JsonLinesSink

    out = stdout or sys.stdout
    err = stderr or sys.stderr
    names = [events] if isinstance(events, str) else list(events or ())
    face = err if "-" in names else out
    with ExitStack() as stack:
        for name in names:
            sink = JsonLinesSink(out) if name == "-" else JsonLinesSink.to_file(Path(name))
            bus.add_sink(stack.enter_context(Guarded(sink)))
        bus.add_sink(stack.enter_context(Guarded(_face(face, err, plain=plain, quiet=quiet))))
        yield


def _face(stream: TextIO, errors: TextIO, *, plain: bool, quiet: bool) -> ContextSink:
    if quiet:
        from builder.ui.quiet import QuietSink

        return QuietSink(stream, errors)
    if plain or not wants_live(stream):
        from builder.ui.plain import PlainSink

        return PlainSink(stream)
    from builder.ui.terminal import TerminalSink

    return TerminalSink(stream)
