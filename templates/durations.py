"""Durations as Go writes them: `90s`, `10m`, `1h30m`, `1.5h`, `250ms`."""

from __future__ import annotations

import re

from templates.errors import UsageError

_UNITS = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}
_PART = re.compile(r"(\d+(?:\.\d*)?|\.\d+)(ns|us|µs|ms|s|m|h)", re.ASCII)
_HINT = "write a number and a unit (s, m, h), for example 90s, 5m or 1h30m"


class DurationError(UsageError):
    """A text that is no duration."""

    code = "BadDuration"


def parse_duration(text: str) -> float:
    """`text` in seconds. Raises DurationError; a duration must be above zero.

    The form is Go's `time.ParseDuration`, which Packer uses for `restartTimeout`. Signs are
    refused: no wait of ours can be negative.
    """
    seconds, position = 0.0, 0
    while match := _PART.match(text, position):
        seconds += float(match[1]) * _UNITS[match[2]]
        position = match.end()
    if not text or position != len(text):
        raise DurationError(f"'{text}' is not a duration", hint=_HINT)
    if not 0 < seconds < float("inf"):
        raise DurationError(f"the duration '{text}' must be longer than zero and finite", hint=_HINT)
    return seconds
