"""A heartbeat for faces that must move although no event comes."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import suppress


class Ticker:
    """Calls `beat` every `seconds` on a thread of its own between `start` and `stop`.

    A `beat` that fails ends the ticker; the face itself shows what is wrong on its next event.
    """

    def __init__(self, beat: Callable[[], None], seconds: float) -> None:
        self._beat = beat
        self._seconds = seconds
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Begin to beat."""
        self._thread = threading.Thread(target=self._loop, name="goldsmith-ui", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End; waits for a beat under way, two seconds at most."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join(timeout=2)

    def _loop(self) -> None:
        with suppress(Exception):
            while not self._stop.wait(self._seconds):
                self._beat()
