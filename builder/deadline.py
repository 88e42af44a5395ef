"""A point in time every wait respects."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from builder.errors import BuildTimeoutError


class Deadline:
    """A moment on the monotonic clock, `seconds` from now.

    >>> Deadline(60).remaining() <= 60
    True
    """

    def __init__(self, seconds: float, *, what: str = "buildTimeoutInMinutes") -> None:
        self._end = time.monotonic() + seconds
        self._seconds = seconds
        self._what = what
        self._lock = threading.Lock()
        self._pauses = 0
        self._paused_at = 0.0

    @contextmanager
    def pause(self) -> Iterator[None]:
        """Time inside does not count: a wait for another build, or for a person's answer."""
        with self._lock:
            if self._pauses == 0:
                self._paused_at = time.monotonic()
            self._pauses += 1
        try:
            yield
        finally:
            with self._lock:
                self._pauses -= 1
                if self._pauses == 0:
                    self._end += time.monotonic() - self._paused_at

    @property
    def expired(self) -> bool:
        """Whether the moment has passed."""
        return self._left() <= 0

    def remaining(self, cap: float | None = None) -> float:
        """Seconds left, at most `cap`. Raises BuildTimeoutError when none are."""
        left = self._left()
        if left <= 0:
            raise self.error()
        return left if cap is None else min(left, cap)

    def error(self) -> BuildTimeoutError:
        """The error that says this deadline passed."""
        return BuildTimeoutError(
            f"The build took longer than {self._seconds / 60:g} minutes ({self._what}).",
            hint="Raise properties.buildTimeoutInMinutes (at most 960), or find the slow step with "
            "'build runs show'.",
        )

    def _left(self) -> float:
        with self._lock:
            return self._end - (self._paused_at if self._pauses else time.monotonic())
