"""Looks at all schedules of this machine and builds what is due, one after the other.

The times are of a kept library (cronsim), the loop is ours: what a scheduler's own job store would hold has
to be in the registry, where a crash, another process and `build status` find it.
"""

from __future__ import annotations

import os
import traceback
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Protocol, TypeVar

from builder.errors import GoldsmithError, NotFoundError
from builder.registry.holder import this_host
from builder.schedule.decision import decide
from builder.schedule.record import Ended, Schedule

if TYPE_CHECKING:
    from builder.registry.store import Registry
    from builder.run_record import RunRecord
    from builder.schedule.work import SourceNow

POLL = timedelta(minutes=15)
"""How often sources are looked at, and schedules that somebody may have changed."""
_SHORTEST = timedelta(seconds=1)
UNCHANGED = "Unchanged"
_Done = TypeVar("_Done")


class Worker(Protocol):
    """Does the work of a schedule."""

    def source(self, schedule: Schedule) -> SourceNow:
        """What its source means now. Raises GoldsmithError."""

    def build(self, schedule: Schedule) -> Ended:
        """Build it."""


class Clock(Protocol):
    """The time, and waiting for it."""

    def now(self) -> datetime:
        """In UTC."""

    def sleep(self, seconds: float) -> None:
        """Wait. A signal ends it by Interrupted."""


@dataclass(frozen=True, slots=True)
class Look:
    """What was done with one schedule: `action` is how it ended (succeeded, unchanged, failed, deactivated)
    or why nothing was done (wait, paused, running, unknown). `recovered`: it had failed before.
    """

    name: str
    action: str
    detail: str
    ended: Ended | None = None
    recovered: bool = False


class Scheduler:
    """`tell` hears each look that did something; `runs` lists the records of builds, the newest first.
    `stopped` says whether this process is to end: a build that ended as Canceled may as well be one that
    somebody picked out (`build runs cancel`), which is no concern of the other schedules.
    """

    def __init__(
        self,
        registry: Registry,
        worker: Worker,
        clock: Clock,
        *,
        most_failures: int,
        runs: Callable[[], Iterable[RunRecord]],
        tell: Callable[[Look], None],
        stopped: Callable[[], bool],
        poll: timedelta = POLL,
    ) -> None:
        self._registry = registry
        self._worker = worker
        self._clock = clock
        self._most = most_failures
        self._runs = runs
        self._tell = tell
        self._stopped = stopped
        self._poll = poll

    def once(self) -> list[Look]:
        """Look at each schedule of this machine and do what is due now, until this process is to end."""
        looks = []
        for schedule in self._registry.list_schedules(this_host()):
            look = self._look(schedule)
            looks.append(look)
            self._tell(look)
            if self._stopped():
                break
        return looks

    def forever(self) -> list[Look]:
        """Until a signal: while it waits Interrupted tells it, and one that ended a build makes it return the
        last looks. Never sleeps longer than `poll`, since others may change what is due.
        """
        while True:
            looks = self.once()
            if self._stopped():
                return looks
            self._clock.sleep(self._pause().total_seconds())

    def run_now(self, name: str) -> Look:
        """Build one, due or not. Raises NotFoundError, InUseError while another process builds it, and
        ConflictError for one of another machine.
        """
        now = self._clock.now()
        look = self._build(self._registry.claim_schedule_now(name, now), "asked for")
        self._tell(look)
        return look

    def _look(self, schedule: Schedule) -> Look:
        schedule = self._reactivated(schedule)
        now = self._clock.now()
        decision = decide(schedule, now)
        if decision.action != "due":
            return Look(schedule.name, decision.action, decision.reason)
        claimed = self._registry.claim_schedule(schedule.name, now)
        if claimed is None:
            return Look(schedule.name, "running", "another process was faster, or it was changed")
        schedule, decision = claimed
        if schedule.on_change:
            source = _done(self._worker.source, schedule)
            if isinstance(source, Ended):
                return self._end(schedule, source)
            if not source.differs(schedule.source_version, schedule.source):
                return self._end(schedule, Ended(UNCHANGED, schedule.run_id, "the source is the same"))
        return self._build(schedule, decision.reason)

    def _build(self, schedule: Schedule, reason: str) -> Look:
        self._tell(Look(schedule.name, "begins", reason))
        return self._end(schedule, _done(self._worker.build, schedule))

    def _end(self, schedule: Schedule, ended: Ended) -> Look:
        now = self._clock.now()
        after = self._registry.finish_schedule(schedule.name, ended, now, self._most)
        detail = " ".join(filter(None, (ended.run_id, ended.message)))
        if after is None:
            detail += "; the schedule was removed meanwhile"
        elif after.deactivated_at is not None and ended.outcome == "Failed":
            return Look(schedule.name, "deactivated", f"{detail}; {after.reason}", ended)
        elif after.not_before is not None:
            detail += f"; not again before {after.not_before:%Y-%m-%d %H:%M} UTC"
        recovered = schedule.failures > 0 and ended.outcome == "Succeeded"
        return Look(schedule.name, ended.outcome.lower(), detail, ended, recovered)

    def _reactivated(self, schedule: Schedule) -> Schedule:
        """The same, or activated again when the template was built well since (aib-behaviour, section 2)."""
        since = schedule.deactivated_at
        if since is None:
            return schedule
        file = os.path.abspath(schedule.template)  # noqa: PTH100 - as the records of builds have it
        for record in self._runs():
            if record.start_time < since:
                break
            if record.run_state == "Succeeded" and record.template.file == file:
                with suppress(NotFoundError):  # it was removed while others were built
                    return self._registry.reactivate_schedule(schedule.name, record.run_id, self._clock.now())
        return schedule

    def _pause(self) -> timedelta:
        now = self._clock.now()
        times = [
            at
            for schedule in self._registry.list_schedules(this_host())
            if (at := decide(schedule, now).next_at) is not None and schedule.trigger.kind != "source"
        ]
        return max(_SHORTEST, min([self._poll, *(at - now for at in times)]))


def _done(work: Callable[[Schedule], _Done], schedule: Schedule) -> _Done | Ended:
    """What `work` makes of it, or how it failed: one schedule's trouble, even a mistake of ours, must not
    keep the others from being built.
    """
    from builder.cli.errors import crash_file
    from builder.redact import scrub_known
    from builder.schedule.work import line_of

    try:
        return work(schedule)
    except GoldsmithError as error:
        return Ended("Failed", message=line_of(error))
    except Exception as error:
        text = scrub_known("".join(traceback.format_exception(error)))
        place = crash_file(text, ("schedule", "run", schedule.name))
        where = f"; the traceback is in {place}" if place else ""
        said = scrub_known(f"internal error: {type(error).__name__}: {error}")
        return Ended("Failed", message=f"{said}{where}")


class SystemClock:
    """The machine's."""

    def now(self) -> datetime:
        """In UTC."""
        return datetime.now(UTC)

    def sleep(self, seconds: float) -> None:
        """Wait."""
        import time

        time.sleep(seconds)
