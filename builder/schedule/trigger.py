"""When a schedule is due. Pure: it is told what time it is."""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from cronsim import CronSim, CronSimError

from builder.errors import UsageError
from builder.spans import span

Kind = Literal["cron", "every", "source"]
_SHORTEST = timedelta(minutes=1)
# Of an expression such as "0 0 29 2 *" the next time may be eight years off; beyond that there is none.
_HORIZON = timedelta(days=9 * 366)
# More missed times than that are not counted; they are caught up once, however many they were.
_COUNTED = 1000
_FIELDS = 5
# How far back is looked for the newest time at first; then eight times as far.
_REACH = timedelta(hours=2)


@dataclass(frozen=True, slots=True)
class Trigger:
    """`cron`: `spec` is an expression of five fields in the time zone `zone` (DST as Debian's cron has it);
    `every`: `spec` is a duration since the last time; `source`: whenever somebody looks. `jitter` in
    seconds spreads the times, the same way for the same schedule and time.
    """

    kind: Kind
    spec: str = ""
    zone: str = "UTC"
    jitter: int = 0

    @property
    def text(self) -> str:
        """How a person says it."""
        if self.kind == "source":
            return "on a new source"
        shown = f"cron '{self.spec}' {self.zone}" if self.kind == "cron" else f"every {self.spec}"
        return shown + (f", up to {self.jitter} s later" if self.jitter else "")

    def next_due(self, key: str, handled: datetime, now: datetime) -> datetime:
        """The first moment after `now` at which it is due, jitter included; `key` names the schedule, and
        `handled` is its last time. Raises UsageError for a time zone that is not of this machine.
        """
        if self.kind == "source":
            return now
        found = now + _HORIZON
        for due in self._times(handled, now - timedelta(seconds=self.jitter)):
            if due >= found:  # with a jitter longer than the pause, a later time can come first
                break
            moment = due + self._offset(key, due)
            if moment > now:
                found = min(found, moment)
        return found

    def last_due(self, key: str, handled: datetime, now: datetime) -> tuple[datetime, int] | None:
        """The newest time after `handled` that has come, and how many came before it and were missed;
        None when none has. Times are those of the expression, without the jitter. Raises UsageError as
        `next_due` does.
        """
        if self.kind == "source":
            return (now, 0)
        for due in self._times_back(now, handled):
            if due <= handled:
                break
            if due + self._offset(key, due) <= now:
                return due, self._count(handled, due)
        return None

    def check(self) -> None:
        """Raises UsageError for an expression, a duration or a time zone that is none."""
        if self.kind == "cron":
            zone = self._zone
            try:
                if len(self.spec.split()) != _FIELDS:  # with six the library reads seconds first
                    raise CronSimError(f"There are {_FIELDS} fields in a time")
                CronSim(self.spec, datetime.now(zone))
            except CronSimError as error:
                raise UsageError(
                    f"--cron '{self.spec}': {error}.",
                    hint="Minute, hour, day, month, weekday: '0 3 * * *' is every night at three.",
                ) from error
        elif self.kind == "every":
            period(self.spec)

    @property
    def _zone(self) -> ZoneInfo:
        try:
            return ZoneInfo(self.zone)
        except (ZoneInfoNotFoundError, ValueError, OSError) as error:
            raise UsageError(
                f"'{self.zone}' is no time zone of this machine.",
                hint="For example: Europe/Berlin, or UTC.",
            ) from error

    def _times(self, handled: datetime, after: datetime) -> Iterator[datetime]:
        """The times after both, at most nine years of them."""
        if self.kind == "every":
            step = period(self.spec)
            first = max((after - handled) // step, 0) + 1
            return (handled + step * number for number in itertools.count(first))
        begin = max(after, handled)
        times = CronSim(self.spec, begin.astimezone(self._zone))
        return (time.astimezone(UTC) for time in itertools.takewhile(lambda t: t - begin < _HORIZON, times))

    def _count(self, after: datetime, before: datetime) -> int:
        """How many times lie between the two."""
        between = itertools.takewhile(lambda time: time < before, self._times(after, after))
        return sum(1 for _ in itertools.islice(between, _COUNTED))

    def _times_back(self, now: datetime, handled: datetime) -> Iterator[datetime]:
        """The times after `handled` until `now`, the newest first."""
        if self.kind == "every":
            step = period(self.spec)
            yield from (handled + step * number for number in range((now - handled) // step, 0, -1))
            return
        # Forwards, part by part: backwards the library passes over the hour by which a clock is put back.
        reach, until = _REACH, now
        while until > handled:
            since = max(now - reach, handled)
            yield from reversed(self._between(since, until))
            reach, until = reach * 8, since

    def _between(self, since: datetime, until: datetime) -> list[datetime]:
        times = itertools.takewhile(lambda time: time <= until, self._times(since, since))
        return [time for time in times if time > since]

    def _offset(self, key: str, due: datetime) -> timedelta:
        if not self.jitter:
            return timedelta()
        digest = hashlib.sha256(f"{key} {due.timestamp():.0f}".encode()).digest()
        return timedelta(seconds=int.from_bytes(digest[:4]) % (self.jitter + 1))


def period(text: str, option: str = "--every") -> timedelta:
    """A span that a schedule can have. Raises UsageError naming `option`."""
    length = span(text, option)
    if not _SHORTEST <= length < _HORIZON:
        raise UsageError(f"{option} {text} is out of bounds: between a minute and nine years.")
    return length
