"""Ages and spans of time as they are typed."""

from __future__ import annotations

import re

from builder.errors import UsageError

_DAY = 24 * 3600.0
_DAYS = re.compile(r"(\d+(?:\.\d+)?)([dw])")


def seconds(text: str, option: str) -> float:
    """`7d`, `2w`, or a span as templates write it (`12h`, `1h30m`). Raises UsageError naming `option`.

    >>> seconds("2d", "--since")
    172800.0
    """
    from templates.durations import DurationError, parse_duration

    match = _DAYS.fullmatch(text)
    if match:
        return float(match[1]) * (_DAY if match[2] == "d" else 7 * _DAY)
    try:
        return parse_duration(text)
    except DurationError as error:
        raise UsageError(f"{option} {text}: no age.", hint="For example 12h, 7d or 2w.") from error
