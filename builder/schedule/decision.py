"""What is to be done with a schedule now, and why. Pure."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from builder.errors import UsageError
from builder.schedule.record import Ended, Schedule

Action = Literal["due", "wait", "paused", "deactivated", "running", "unknown"]
FIRST_PAUSE = timedelta(minutes=5)
LONGEST_PAUSE = timedelta(days=1)
# A time that was dealt with and is so far ahead was told by a clock that was wrong.
_AHEAD = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Decision:
    """`due`: the time that is dealt with by building now, `missed` earlier ones with it. Otherwise `next_at`
    is when it is worth looking again (None: when somebody changed something), and `reason` why.
    """

    action: Action
    reason: str
    due: datetime | None = None
    missed: int = 0
    next_at: datetime | None = None


def decide(schedule: Schedule, now: datetime) -> Decision:
    """Decide for one moment."""
    if schedule.paused_at is not None:
        return Decision("paused", f"paused since {schedule.paused_at:%Y-%m-%d %H:%M} UTC")
    if schedule.deactivated_at is not None:
        return Decision("deactivated", schedule.reason)
    if schedule.running:
        return Decision("running", f"a build runs since {schedule.started_at:%Y-%m-%d %H:%M} UTC")
    if schedule.not_before is not None and now < schedule.not_before <= now + LONGEST_PAUSE + _AHEAD:
        why = (
            f"after {_times(schedule.failures)}" if schedule.failures else "since it was distributed in part"
        )
        return Decision("wait", f"held back {why}", next_at=schedule.not_before)
    try:
        return _by_time(schedule, now)
    except UsageError as error:  # a time zone that this machine does not have, or has no more
        return Decision("unknown", error.message)


def _by_time(schedule: Schedule, now: datetime) -> Decision:
    trigger, key = schedule.trigger, _key(schedule)
    if schedule.handled_at > now + _AHEAD:
        return Decision("due", f"the clock was put back from {schedule.handled_at:%Y-%m-%d %H:%M} UTC", now)
    found = trigger.last_due(key, schedule.handled_at, now)
    if found is None:
        return Decision("wait", trigger.text, next_at=trigger.next_due(key, schedule.handled_at, now))
    due, missed = found
    reason = trigger.text + (f"; {missed} missed before are caught up with it" if missed else "")
    return Decision("due", reason, due, missed)


def _key(schedule: Schedule) -> str:
    """What spreads its times: schedules of one name on many machines are not to begin at once."""
    return f"{schedule.host}/{schedule.name}"


def next_at(schedule: Schedule, now: datetime) -> datetime | None:
    """When it is built next, as far as can be told; None when it is not, or on a new source."""
    decision = decide(schedule, now)
    if decision.action == "due":
        return None if schedule.trigger.kind == "source" else now
    if decision.action == "running":
        if schedule.trigger.kind != "source":
            with suppress(UsageError):
                return schedule.trigger.next_due(_key(schedule), schedule.handled_at, now)
        return None
    return decision.next_at


@dataclass(frozen=True, slots=True)
class Standing:
    """What an end makes of a schedule."""

    failures: int
    not_before: datetime | None
    deactivated: bool
    reason: str


def standing(schedule: Schedule, ended: Ended, now: datetime, most: int) -> Standing:
    """After `ended`: a failure holds it back, `most` of them in a row end it (as AIB's triggers do); a good
    build forgets them. One that was cancelled, or delivered in part, changes nothing; but what waits for a
    new source, which that one still is, would build a version for each look.
    """
    if ended.outcome in ("Succeeded", "Unchanged"):
        return Standing(0, None, deactivated=False, reason="")
    if ended.outcome != "Failed":
        again = schedule.trigger.kind == "source" and ended.outcome == "PartiallySucceeded"
        return Standing(
            schedule.failures, now + LONGEST_PAUSE if again else None, deactivated=False, reason=""
        )
    failures = schedule.failures + 1
    pause = min(FIRST_PAUSE * 2 ** min(failures - 1, 20), LONGEST_PAUSE)
    if failures < most:
        return Standing(failures, now + pause, deactivated=False, reason="")
    reason = (
        f"deactivated after {_times(failures)} in a row; a build of the template that succeeds, or "
        f"'build schedule resume {schedule.name}', activates it again"
    )
    return Standing(failures, None, deactivated=True, reason=reason)


def _times(failures: int) -> str:
    return "1 failure" if failures == 1 else f"{failures} failures"
