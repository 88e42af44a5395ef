"""Date functions. A date is a string; without a time zone it is taken as UTC, and shown in UTC."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

from templates.arm.functions.date_formats import format_date
from templates.arm.functions.registry import function
from templates.arm.functions.values import bad, integer, quoted, text
from templates.arm.syntax import Json

_ISO = "yyyy-MM-ddTHH:mm:ss.FFFFFFFZ"  # the fraction is only there when it is not zero
_DURATION = re.compile(
    r"(-)?P(?=[\dT])(?:(\d{1,9})Y)?(?:(\d{1,9})M)?(?:(\d{1,9})D)?"
    r"(?:T(?=\d)(?:(\d{1,9})H)?(?:(\d{1,9})M)?(?:(\d{1,9}(?:\.\d{1,9})?)S)?)?",
    re.ASCII,
)
# How .NET writes dates in the United States, which old answers of ARM hold: 4/7/2023 2:53:14 PM.
_AMERICAN = re.compile(
    r"(\d{1,2})/(\d{1,2})/(\d{4})(?: (\d{1,2}):(\d{2})(?::(\d{2}))?(?: (AM|PM))?)?(?: ?(?:Z|GMT|\+00:00))?",
    re.IGNORECASE | re.ASCII,
)


@function("dateTimeAdd", 2, 3)
def _date_time_add(base: Json, duration: Json, form: Json = _ISO) -> Json:
    """Adds an ISO 8601 duration. A year has 365 days and a month 30, as Microsoft's examples show."""
    moment = parse_date(text(base, "the date of dateTimeAdd()"), "dateTimeAdd()")
    span = _parse_duration(text(duration, "the duration of dateTimeAdd()"))
    try:
        moment += span
    except OverflowError:
        raise bad("dateTimeAdd(): the date is outside of the years 1 to 9999") from None
    return show_date(moment, text(form, "the format of dateTimeAdd()"), "dateTimeAdd()")


@function("dateTimeFromEpoch", 1)
def _date_time_from_epoch(seconds: Json) -> Json:
    try:
        moment = datetime.fromtimestamp(0, UTC) + timedelta(seconds=integer(seconds, "the epoch time"))
    except OverflowError:
        raise bad("dateTimeFromEpoch(): the date is outside of the years 1 to 9999") from None
    return show_date(moment, _ISO, "dateTimeFromEpoch()")


@function("dateTimeToEpoch", 1)
def _date_time_to_epoch(date: Json) -> Json:
    """Whole seconds since 1970."""
    moment = parse_date(text(date, "the date of dateTimeToEpoch()"), "dateTimeToEpoch()")
    return (moment - datetime.fromtimestamp(0, UTC)) // timedelta(seconds=1)


def show_date(moment: datetime, form: str, what: str) -> str:
    """A moment in a format of .NET, as UTC. Raises ExpressionError."""
    try:
        return format_date(moment.astimezone(UTC), form)
    except ValueError as error:
        hint = "the formats are those of .NET, for example 'yyyy-MM-dd' or 'u'"
        raise bad(f"{what}: {quoted(form)} is no format of a date: {error}", hint=hint) from None


def parse_date(value: str, what: str) -> datetime:
    """The moment in UTC that a text names. Raises ExpressionError."""
    try:
        moment = _american(value) or datetime.fromisoformat(value.strip())
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except (ValueError, OverflowError):
        hint = "for example 2026-01-31T00:00:00Z"
        raise bad(f"{what}: {quoted(value)} is no date", hint=hint) from None


def _american(value: str) -> datetime | None:
    match = _AMERICAN.fullmatch(value.strip())
    if match is None:
        return None
    month, day, year, hour, minute, second = (int(part or 0) for part in match.groups()[:6])
    if match[7] is not None:
        if not 1 <= hour <= 12:
            raise ValueError("no hour")
        hour = hour % 12 + (12 if match[7].upper() == "PM" else 0)
    return datetime(year, month, day, hour, minute, second, tzinfo=UTC)


def _parse_duration(value: str) -> timedelta:
    match = _DURATION.fullmatch(value)
    if match is None:
        hint = "for example P1D, -P9D, PT1H30M or P1Y2M; weeks are written in days"
        raise bad(f"dateTimeAdd(): {quoted(value)} is no ISO 8601 duration", hint=hint)
    years, months, days, hours, minutes = (int(part or 0) for part in match.groups()[1:6])
    years, months = years + months // 12, months % 12
    try:
        span = timedelta(
            days=365 * years + 30 * months + days,
            hours=hours,
            minutes=minutes,
            seconds=float(match[7] or 0),
        )
    except OverflowError:
        raise bad(f"dateTimeAdd(): the duration {quoted(value)} is too long") from None
    return -span if match[1] else span
