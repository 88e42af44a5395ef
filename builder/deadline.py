"""A point in time every wait respects."""

from __future__ import annotations

import time

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

    @property
    def expired(self) -> bool:
        """Whether the moment has passed."""
        return time.monotonic() >= self._end

    def remaining(self, cap: float | None = None) -> float:
        """Seconds left, at most `cap`. Raises BuildTimeoutError when none are."""
        left = self._end - time.monotonic()
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
