"""A sink that may fail without harm: a closed pipe or a full disk must not end a build."""

from __future__ import annotations

import sys
from types import TracebackType
from typing import Protocol, Self

from builder.events import Envelope


class ContextSink(Protocol):
    """A sink with a beginning and an end."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...

    def __call__(self, envelope: Envelope) -> None:
        """Take one event."""


class Guarded:
    """Passes events to `sink` until it fails once; then it is left alone."""

    def __init__(self, sink: ContextSink) -> None:
        self._sink = sink
        self._dead = False

    def __enter__(self) -> Self:
        self._sink.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self._sink.__exit__(kind, error, trace)
        except Exception as problem:  # see the module
            self._give_up(problem)

    def __call__(self, envelope: Envelope) -> None:
        """Take one event. Never raises."""
        if self._dead:
            return
        try:
            self._sink(envelope)
        except Exception as problem:  # see the module
            self._give_up(problem)

    def _give_up(self, problem: Exception) -> None:
        if self._dead:
            return
        self._dead = True
        if isinstance(problem, BrokenPipeError):
            return  # the reader went away on purpose (| head)
        try:
            sys.stderr.write(f"warning: {type(self._sink).__name__} stopped: {problem}; the build goes on\n")
        except (OSError, ValueError):
            return
