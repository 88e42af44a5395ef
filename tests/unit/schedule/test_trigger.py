"""When a schedule is due, told by the clock alone."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from builder.errors import UsageError
from builder.schedule.trigger import Trigger, period

NIGHTLY = Trigger("cron", "0 3 * * *")


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def test_a_time_is_due_when_it_has_come() -> None:
    handled = at("2026-11-20 12:00")
    assert NIGHTLY.last_due("web", handled, at("2026-11-21 02:59:59")) is None
    assert NIGHTLY.last_due("web", handled, at("2026-11-21 03:00")) == (at("2026-11-21 03:00"), 0)
    assert NIGHTLY.last_due("web", at("2026-11-21 03:00"), at("2026-11-21 03:00:01")) is None
    assert NIGHTLY.next_due("web", handled, at("2026-11-21 03:00")) == at("2026-11-22 03:00")


def test_missed_times_are_one_and_counted() -> None:
    found = NIGHTLY.last_due("web", at("2026-11-20 12:00"), at("2026-11-24 15:00"))
    assert found == (at("2026-11-24 03:00"), 3)


def test_years_of_missed_minutes_are_no_work() -> None:
    trigger = Trigger("cron", "* * * * *")
    found = trigger.last_due("web", at("2020-01-01 00:00"), at("2026-11-24 15:00:30"))
    assert found == (at("2026-11-24 15:00"), 1000)
    every = Trigger("every", "1m")
    assert every.last_due("web", at("2020-01-01 00:00"), at("2026-11-24 15:00:30")) == (
        at("2026-11-24 15:00"),
        1000,
    )


def test_every_counts_from_the_last_time() -> None:
    weekly = Trigger("every", "7d")
    handled = at("2026-11-01 10:00")
    assert weekly.last_due("web", handled, at("2026-11-08 09:59")) is None
    assert weekly.last_due("web", handled, at("2026-11-23 10:00")) == (at("2026-11-22 10:00"), 2)
    assert weekly.next_due("web", handled, handled) == at("2026-11-08 10:00")
    assert weekly.next_due("web", handled, at("2026-11-12 09:00")) == at("2026-11-15 10:00")


@pytest.mark.parametrize(
    ("spec", "handled", "expected"),
    [
        # The night in which 02:30 does not exist, and the one in which it is there twice.
        ("30 2 * * *", "2026-03-28 12:00", "2026-03-29 01:00"),
        ("30 2 * * *", "2026-10-24 12:00", "2026-10-25 00:30"),
        ("0 0 29 2 *", "2026-01-01 00:00", "2028-02-28 23:00"),
    ],
)
def test_times_are_of_the_zone(spec: str, handled: str, expected: str) -> None:
    trigger = Trigger("cron", spec, "Europe/Berlin")
    trigger.check()
    assert trigger.next_due("web", at(handled), at(handled)) == at(expected)


@pytest.mark.parametrize("zone", ["Europe/Berlin", "America/New_York", "Australia/Sydney"])
@pytest.mark.parametrize("spec", ["30 2 * * *", "0 * * * *", "*/20 * * * *", "15 1-3 * * *", "0 */2 * * *"])
@pytest.mark.parametrize(
    "night", ["2026-10-24 20:00", "2026-10-31 20:00", "2026-04-04 10:00", "2026-03-28 20:00"]
)
def test_in_a_night_that_puts_the_clock_what_was_told_is_what_comes(spec: str, zone: str, night: str) -> None:
    trigger, handled = Trigger("cron", spec, zone), at(night)
    for _ in range(8):
        told = trigger.next_due("web", handled, handled)
        assert trigger.last_due("web", handled, told - timedelta(seconds=1)) is None
        assert trigger.last_due("web", handled, told) == (told, 0)
        handled = told


def test_every_hour_goes_on_while_the_clock_is_put_back() -> None:
    hourly = Trigger("cron", "0 * * * *", "Europe/Berlin")
    handled = at("2026-10-25 00:00")
    assert hourly.last_due("web", handled, at("2026-10-25 01:10")) == (at("2026-10-25 01:00"), 0)


def test_what_comes_next_is_after_what_was_dealt_with() -> None:
    trigger = Trigger("cron", "0 3 * * *", jitter=3600)
    later = at("2026-11-21 03:00:01")  # this night's time was before it was scheduled
    assert trigger.next_due("web", later, later) > at("2026-11-22 02:59")
    put_back = at("2026-11-21 02:50")
    assert NIGHTLY.next_due("web", at("2026-11-21 03:00"), put_back) == at("2026-11-22 03:00")


def test_with_a_jitter_longer_than_the_pause_the_first_moment_is_told() -> None:
    trigger, now = Trigger("cron", "*/5 * * * *", jitter=3600), at("2026-11-20 12:00")
    told = trigger.next_due("web", now, now)
    assert trigger.last_due("web", now, told - timedelta(seconds=1)) is None
    assert trigger.last_due("web", now, told) is not None


def test_a_day_that_never_comes_is_nine_years_off() -> None:
    now = at("2026-01-01 00:00")
    assert Trigger("cron", "0 0 29 2 1#5").check() is None
    assert Trigger("cron", "0 0 29 2 *").next_due("web", now, now) < now + timedelta(days=9 * 366)


def test_jitter_is_the_same_each_time_it_is_asked_for_and_differs_by_schedule() -> None:
    trigger = Trigger("cron", "0 3 * * *", jitter=3600)
    handled, due = at("2026-11-20 12:00"), at("2026-11-21 03:00")
    moments = {
        name: trigger.next_due(name, handled, handled) for name in ("web", "db", "mail", "proxy", "log")
    }
    assert len(set(moments.values())) > 3
    for name, moment in moments.items():
        assert due <= moment <= due + timedelta(hours=1)
        assert trigger.next_due(name, handled, moment - timedelta(seconds=1)) == moment
        assert trigger.last_due(name, handled, moment - timedelta(seconds=1)) is None
        assert trigger.last_due(name, handled, moment) == (due, 0)
        assert trigger.next_due(name, due, moment) > moment + timedelta(hours=22)


def test_a_new_source_is_looked_for_whenever_somebody_looks() -> None:
    now = at("2026-11-20 12:00")
    assert Trigger("source").last_due("web", now, now) == (now, 0)


@pytest.mark.parametrize(
    ("trigger", "message"),
    [
        (Trigger("cron", "0 3 * *"), "--cron '0 3 \\* \\*'"),
        (Trigger("cron", "0 0 3 * * *"), "5 fields"),
        (Trigger("cron", "@daily"), "5 fields"),
        (Trigger("cron", "61 3 * * *"), "Bad minute"),
        (Trigger("cron", "0 3 31 2 *"), "Bad day-of-month|no"),
        (Trigger("cron", "0 3 * * *", "Mars/Olympus"), "no time zone"),
        (Trigger("cron", "0 3 * * *", "../etc/passwd"), "no time zone"),
        (Trigger("every", "soon"), "--every soon: no span of time"),
        (Trigger("every", "5s"), "out of bounds"),
        (Trigger("every", "1000w"), "out of bounds"),
    ],
)
def test_what_is_no_time_is_said(trigger: Trigger, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        trigger.check()


def test_periods() -> None:
    assert period("7d") == timedelta(days=7)
    assert period("2w") == timedelta(weeks=2)
    assert period("1h30m") == timedelta(minutes=90)
    assert period("1.5d") == timedelta(hours=36)
    with pytest.raises(UsageError, match=r"^--jitter 1d1h: no span of time"):
        period("1d1h", "--jitter")
