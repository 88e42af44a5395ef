"""Spans of time as they are typed: how old, how often, how much later."""

from __future__ import annotations

import re
from datetime import timedelta

from builder.errors import UsageError
from templates.durations import DurationError, parse_duration

_DAYS = re.compile(r"(\d+(?:\.\d+)?)([dw])", re.ASCII)
# So that a time that much earlier or later is still one.
_LONGEST = timedelta(days=100 * 365)


def span(text: str, option: str) -> timedelta:
    """`7d`, `2w`, or a duration as templates write it (`12h`, `1h30m`). Raises UsageError naming `option` for
    anything else, nothing at all, and more than a hundred years.

    >>> span("2d", "--since")
    datetime.timedelta(days=2)
    """
    try:
        match = _DAYS.fullmatch(text)
        if match:
            length = timedelta(days=float(match[1]) * (7 if match[2] == "w" else 1))
        else:
            length = timedelta(seconds=parse_duration(text))
    except (DurationError, OverflowError):
        length = timedelta()
    if not timedelta() < length <= _LONGEST:
        raise UsageError(f"{option} {text}: no span of time.", hint="For example 90s, 12h, 7d or 2w.")
    return length
