"""Work beside the main thread whose end can be waited for whatever interrupts the waiting."""

from __future__ import annotations

import threading
from collections.abc import Callable


class Background:
    """A thread that does not keep the process alive: one that hangs (a dead file server) must not.

    `Thread.join` will not do where signals raise: one that is left by an exception makes the thread count
    as ended while it goes on (CPython up to 3.12, github.com/python/cpython/issues/90882).
    """

    def __init__(self, work: Callable[[], object], name: str) -> None:
        self._work = work
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        """Begin. Raises RuntimeError when there can be no more threads."""
        self._thread.start()

    def wait(self, seconds: float) -> bool:
        """Wait at most `seconds` for its end; returns whether it has ended."""
        return self._ended.wait(seconds)

    def _run(self) -> None:
        try:
            self._work()
        finally:
            self._ended.set()
