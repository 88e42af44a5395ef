"""A scheduler with a clock that the test turns, a real registry and builds that only end."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

from builder.cancellation import Interrupted
from builder.errors import PreflightError
from builder.registry import holder
from builder.registry.store import Registry
from builder.run_record import RunRecord
from builder.schedule.record import Ended, Schedule
from builder.schedule.scheduler import Look, Scheduler
from builder.schedule.trigger import Trigger
from builder.schedule.work import SourceNow

START = datetime(2026, 11, 20, 12, tzinfo=UTC)
TEMPLATE = "/data/web.json"


@dataclass
class FakeClock:
    time: datetime = START
    naps: list[float] = field(default_factory=list)
    most_naps: int = 100

    def now(self) -> datetime:
        return self.time

    def sleep(self, seconds: float) -> None:
        self.naps.append(seconds)
        self.time += timedelta(seconds=seconds)
        if len(self.naps) >= self.most_naps:
            raise Interrupted(2)

    def to(self, text: str) -> None:
        self.time = datetime.fromisoformat(text).replace(tzinfo=UTC)


@dataclass
class FakeWork:
    clock: FakeClock
    built: list[tuple[str, str]] = field(default_factory=list)
    results: list[Ended] = field(default_factory=list)
    version: str = "1.0.0"
    unreachable: bool = False
    minutes: float = 5
    during: Callable[[], None] = lambda: None

    def source(self, schedule: Schedule) -> SourceNow:
        if self.unreachable:
            raise PreflightError("There is no gallery 'team'.")
        return SourceNow(self.version, f"digest of {self.version}")

    def build(self, schedule: Schedule) -> Ended:
        self.built.append((schedule.name, f"{self.clock.time:%d %H:%M}"))
        self.clock.time += timedelta(minutes=self.minutes)
        self.during()
        run = f"run-{len(self.built)}"
        if self.results:
            return replace(self.results.pop(0), run_id=run)
        return Ended("Succeeded", run, "", f"digest of {self.version}", self.version)


@dataclass
class Bench:
    registry: Registry
    clock: FakeClock
    work: FakeWork
    runs: list[RunRecord] = field(default_factory=list)
    told: list[Look] = field(default_factory=list)
    stopped: bool = False

    @property
    def scheduler(self) -> Scheduler:
        return Scheduler(
            self.registry,
            self.work,
            self.clock,
            most_failures=3,
            runs=lambda: self.runs,
            tell=self.told.append,
            stopped=lambda: self.stopped,
        )

    def add(self, name: str = "web", trigger: Trigger | None = None, *, on_change: bool = False) -> Schedule:
        return self.registry.add_schedule(
            Schedule(
                name=name,
                template=TEMPLATE,
                trigger=trigger or Trigger("cron", "0 3 * * *"),
                host=holder.this_host(),
                created_at=self.clock.time,
                handled_at=self.clock.time,
                on_change=on_change,
            )
        )

    def look(self, time: str) -> list[str]:
        self.clock.to(time)
        return [look.action for look in self.scheduler.once()]
