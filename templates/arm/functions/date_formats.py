"""Dates in the format strings of .NET (invariant culture), which `utcNow()` and `dateTimeAdd()` take.

Rules after "Standard/Custom date and time format strings" of .NET: one letter alone is a standard
format, everything else is built of runs of letters.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime, timedelta

_DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_MONTHS = (
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
)
_LONG_DATE = "dddd, dd MMMM yyyy"
_STANDARD = {
    "d": "MM/dd/yyyy",
    "D": _LONG_DATE,
    "f": f"{_LONG_DATE} HH:mm",
    "F": f"{_LONG_DATE} HH:mm:ss",
    "g": "MM/dd/yyyy HH:mm",
    "G": "MM/dd/yyyy HH:mm:ss",
    "m": "MMMM dd",
    "M": "MMMM dd",
    "o": "yyyy-MM-ddTHH:mm:ss.fffffffK",
    "O": "yyyy-MM-ddTHH:mm:ss.fffffffK",
    "r": "ddd, dd MMM yyyy HH:mm:ss 'GMT'",
    "R": "ddd, dd MMM yyyy HH:mm:ss 'GMT'",
    "s": "yyyy-MM-ddTHH:mm:ss",
    "t": "HH:mm",
    "T": "HH:mm:ss",
    "u": "yyyy-MM-dd HH:mm:ss'Z'",
    "U": f"{_LONG_DATE} HH:mm:ss",
    "y": "yyyy MMMM",
    "Y": "yyyy MMMM",
}
_PART = re.compile(
    r"(?P<quoted>'[^']*'|\"[^\"]*\")|\\(?P<escaped>.)|(?P<optional>\.?F+)"
    r"|(?P<run>([yMdHhmsftzKg])\5*)|(?P<other>.)",
    re.DOTALL,
)


def format_date(moment: datetime, form: str) -> str:
    """`moment` (with a time zone) in a .NET format. Raises ValueError for what is no format."""
    if len(form) == 1:
        if form not in _STANDARD:
            raise ValueError("there is no such standard format")
        form = _STANDARD[form]
    form = form.removeprefix("%")
    result = ""
    for match in _PART.finditer(form):
        if match["run"]:
            result += _LETTERS[match["run"][0]](moment, len(match["run"]))
        elif match["optional"]:  # a point before an empty fraction goes with it
            digits = _fraction(moment, match["optional"].count("F")).rstrip("0")
            result += "." * (bool(digits) and match["optional"].startswith(".")) + digits
        elif match["other"] in ("'", '"', "\\"):
            raise ValueError(f"{match['other']} has no end")
        else:
            result += (match["quoted"] or "")[1:-1] + (match["escaped"] or "") + (match["other"] or "")
    return result


def _fraction(moment: datetime, count: int) -> str:
    if count > 7:
        raise ValueError("a fraction has 7 digits at most")
    return f"{moment.microsecond:06}0"[:count]


def _year(moment: datetime, count: int) -> str:
    if count <= 2:
        return _padded(moment.year % 100, count)
    return str(moment.year).zfill(count)


def _month(moment: datetime, count: int) -> str:
    if count <= 2:
        return _padded(moment.month, count)
    name = _MONTHS[moment.month - 1]
    return name[:3] if count == 3 else name


def _day(moment: datetime, count: int) -> str:
    if count <= 2:
        return _padded(moment.day, count)
    name = _DAYS[moment.weekday()]
    return name[:3] if count == 3 else name


def _zone(moment: datetime, count: int) -> str:
    offset = moment.utcoffset() or timedelta()
    sign = "-" if offset < timedelta() else "+"
    hours, minutes = divmod(int(abs(offset).total_seconds()) // 60, 60)
    shown = f"{sign}{_padded(hours, count)}"
    return shown if count <= 2 else f"{shown}:{minutes:02}"


def _padded(number: int, count: int) -> str:
    return str(number).zfill(min(count, 2))


_LETTERS: dict[str, Callable[[datetime, int], str]] = {
    "y": _year,
    "M": _month,
    "d": _day,
    "H": lambda moment, count: _padded(moment.hour, count),
    "h": lambda moment, count: _padded(moment.hour % 12 or 12, count),
    "m": lambda moment, count: _padded(moment.minute, count),
    "s": lambda moment, count: _padded(moment.second, count),
    "f": _fraction,
    "t": lambda moment, count: ("AM" if moment.hour < 12 else "PM")[:count],
    "z": _zone,
    "K": lambda moment, count: count * ("Z" if not moment.utcoffset() else _zone(moment, 3)),
    "g": lambda _moment, _count: "A.D.",
}
