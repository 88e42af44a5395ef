"""The scheduler with a clock that the test turns, a real registry and builds that only end."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from scheduler_bench import START, TEMPLATE, Bench

from builder.cancellation import Interrupted
from builder.errors import ConflictError, InUseError, NotFoundError
from builder.registry import holder, schedules
from builder.run_record import RunRecord, TemplateRef
from builder.schedule.decision import next_at
from builder.schedule.notices import notice_of
from builder.schedule.record import Ended, Schedule
from builder.schedule.scheduler import Look
from builder.schedule.trigger import Trigger


def test_a_week_with_a_machine_that_was_off(bench: Bench) -> None:
    bench.add()
    assert bench.look("2026-11-20 23:00") == ["wait"]
    assert bench.look("2026-11-21 03:01") == ["succeeded"]
    assert bench.look("2026-11-21 03:10") == ["wait"]
    assert bench.look("2026-11-25 08:00") == ["succeeded"], "four missed times are caught up once"
    begun = [look.detail for look in bench.told if look.action == "begins"]
    assert begun[-1] == "cron '0 3 * * *' UTC; 3 missed before are caught up with it"
    assert bench.look("2026-11-25 09:00") == ["wait"]
    assert bench.look("2026-11-26 03:00") == ["succeeded"]
    assert bench.work.built == [("web", "21 03:01"), ("web", "25 08:00"), ("web", "26 03:00")]


def test_a_time_that_comes_while_it_is_built_waits_for_its_end(bench: Bench) -> None:
    bench.add(trigger=Trigger("every", "10m"))
    bench.work.minutes = 25
    others: list[list[str]] = []

    def another_process_looks() -> None:
        others.append([look.action for look in bench.scheduler.once()])

    bench.work.during = another_process_looks
    assert bench.look("2026-11-20 12:10") == ["succeeded"]
    assert others == [["running"]], "never two of the same template"
    assert bench.registry.find_schedule("web").running is False
    bench.work.during = lambda: None
    assert [look.action for look in bench.scheduler.once()] == ["succeeded"], "12:20 and 12:30, once"
    assert bench.work.built == [("web", "20 12:10"), ("web", "20 12:35")]


def test_what_a_dead_process_was_building_is_built_again_when_due(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.add()
    bench.clock.to("2026-11-21 03:00")
    with monkeypatch.context() as elsewhere:
        elsewhere.setattr(schedules, "current_owner", lambda: "another-boot/1/1")
        assert bench.registry.claim_schedule("web", bench.clock.time) is not None
    assert bench.registry.find_schedule("web").running is False
    assert bench.look("2026-11-21 03:05") == ["wait"], "that time was dealt with"
    assert bench.look("2026-11-22 03:05") == ["succeeded"]


def test_failures_hold_back_deactivate_and_are_forgotten(bench: Bench) -> None:
    bench.add(trigger=Trigger("every", "10m"))
    failed = Ended("Failed", message="The script failed with exit code 1.")
    bench.work.results = [failed] * 3
    bench.work.minutes = 0
    assert bench.look("2026-11-20 12:10") == ["failed"]
    assert bench.told[-1].detail == (
        "run-1 The script failed with exit code 1.; not again before 2026-11-20 12:15 UTC"
    )
    assert bench.look("2026-11-20 12:20") == ["failed"]
    assert bench.registry.find_schedule("web").not_before == START + timedelta(minutes=30)
    assert bench.look("2026-11-20 12:29") == ["wait"]
    assert bench.look("2026-11-20 12:30") == ["deactivated"]
    record = bench.registry.find_schedule("web")
    assert record.reason.startswith("deactivated after 3 failures in a row; a build of the template")
    assert bench.look("2026-11-30 12:00") == ["deactivated"]
    assert len(bench.work.built) == 3


@pytest.mark.parametrize("trigger", [Trigger("cron", "0 3 * * *"), Trigger("every", "1d")])
def test_a_clock_that_was_years_ahead_does_not_stop_it(bench: Bench, trigger: Trigger) -> None:
    bench.add(trigger=trigger)
    bench.work.results = [Ended("Failed", message="no")]
    assert bench.look("2099-01-01 12:00") == ["failed"]
    assert bench.look("2026-11-21 12:00") == ["succeeded"]
    begun = [look.detail for look in bench.told if look.action == "begins"]
    assert begun[-1].startswith("the clock was put back from 2099-01-01")
    assert bench.look("2026-11-21 12:10") == ["wait"]
    assert bench.look("2026-11-22 12:10") == ["succeeded"]


def test_a_time_zone_that_is_not_here_any_more_keeps_no_other(bench: Bench) -> None:
    bench.add("a", Trigger("cron", "0 3 * * *", "Mars/Olympus"))
    bench.add("b")
    assert bench.look("2026-11-21 03:00") == ["unknown", "succeeded"]
    assert "'Mars/Olympus' is no time zone of this machine." in {look.detail for look in bench.told}
    assert next_at(bench.registry.find_schedule("a"), START) is None
    assert next_at(replace(bench.registry.find_schedule("a"), running=True, started_at=START), START) is None


def test_jitter_spreads_the_same_schedule_of_many_machines(bench: Bench) -> None:
    one = bench.add(trigger=Trigger("cron", "0 3 * * *", jitter=3600))
    moments = {next_at(replace(one, host=f"machine-{number}"), START) for number in range(8)}
    assert len(moments) > 5
    assert next_at(one, START) == next_at(one, START + timedelta(hours=1))


def test_a_clock_that_is_put_back_a_little_builds_nothing_twice(bench: Bench) -> None:
    bench.add()
    assert bench.look("2026-11-21 03:00") == ["succeeded"]
    assert bench.look("2026-11-21 02:58") == ["wait"]
    assert bench.look("2026-11-21 03:01") == ["wait"]


def deactivated(bench: Bench) -> datetime:
    bench.add(trigger=Trigger("every", "1h"))
    bench.work.results = [Ended("Failed", message="no")] * 3
    for time in ("13:00", "14:30", "16:30"):
        bench.look(f"2026-11-20 {time}")
    record = bench.registry.find_schedule("web")
    assert record.deactivated_at is not None
    return record.deactivated_at


def manual(state: str, start: datetime, file: str = TEMPLATE) -> RunRecord:
    return RunRecord(
        run_id=f"manual-{state}",
        run_state=state,
        start_time=start,
        template=TemplateRef(file=file),  # type: ignore[arg-type]
    )


def test_a_good_manual_build_activates_it_again(bench: Bench) -> None:
    at = deactivated(bench)
    hour = timedelta(hours=1)
    bench.runs = [
        manual("Failed", at + 3 * hour),
        manual("Succeeded", at + 2 * hour, "/data/other.json"),
        manual("Succeeded", at - hour),
    ]
    assert bench.look("2026-11-21 12:00") == ["deactivated"]
    bench.runs.insert(0, manual("Succeeded", at + 4 * hour))
    assert bench.look("2026-11-21 12:00") == ["wait"], "what was due meanwhile is not caught up"
    record = bench.registry.find_schedule("web")
    assert (record.failures, record.reason) == (0, "")
    assert record.message == "activated again by the build manual-Succeeded"
    assert bench.look("2026-11-21 13:00") == ["succeeded"]


def test_resuming_activates_it_again(bench: Bench) -> None:
    deactivated(bench)
    bench.clock.to("2026-11-21 12:00")
    assert bench.registry.resume_schedule("WEB", bench.clock.time).failures == 0
    assert bench.look("2026-11-21 12:30") == ["wait"]
    assert bench.look("2026-11-21 13:00") == ["succeeded"]


def test_a_good_build_forgets_failures_a_part_of_one_does_not(bench: Bench) -> None:
    bench.add(trigger=Trigger("every", "1h"))
    failed = Ended("Failed", message="no")
    bench.work.results = [failed, failed, Ended("PartiallySucceeded"), Ended("Succeeded"), failed, failed]
    for hour in range(1, 7):
        bench.clock.time = START + timedelta(hours=3 * hour)
        bench.scheduler.once()
    assert bench.registry.find_schedule("web").failures == 2
    assert bench.registry.find_schedule("web").deactivated_at is None


def test_only_a_new_source_is_built(bench: Bench) -> None:
    bench.add(trigger=Trigger("source"), on_change=True)
    assert bench.look("2026-11-20 12:10") == ["succeeded"], "it was never built"
    assert bench.look("2026-11-20 12:30") == ["unchanged"]
    bench.work.version = "1.0.1"
    assert bench.look("2026-11-20 12:45") == ["succeeded"]
    assert bench.look("2026-11-20 13:00") == ["unchanged"]
    record = bench.registry.find_schedule("web")
    assert (record.source_version, record.run_id, record.outcome) == ("1.0.1", "run-2", "Unchanged")


def test_at_its_times_if_the_source_is_newer(bench: Bench) -> None:
    bench.add(on_change=True)
    assert bench.look("2026-11-21 03:00") == ["succeeded"]
    bench.work.version = "1.0.1"
    assert bench.look("2026-11-21 20:00") == ["wait"]
    assert bench.look("2026-11-22 03:00") == ["succeeded"]
    assert bench.look("2026-11-23 03:00") == ["unchanged"]
    assert len(bench.work.built) == 2


def test_a_source_that_is_gone_is_a_failure(bench: Bench) -> None:
    bench.add(trigger=Trigger("source"), on_change=True)
    bench.work.unreachable = True
    assert bench.look("2026-11-20 12:10") == ["failed"]
    assert bench.look("2026-11-20 12:11") == ["wait"]
    assert bench.registry.find_schedule("web").message == "There is no gallery 'team'."


@pytest.mark.parametrize("part", ["source", "build"])
def test_a_mistake_of_ours_in_one_keeps_no_other(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, part: str
) -> None:
    monkeypatch.setenv("GOLDSMITH_HOME", str(tmp_path / "home"))
    bench.add("a", on_change=True)
    bench.add("b")
    real = getattr(bench.work, part)

    def broken(schedule: Schedule) -> object:
        if schedule.name == "a":
            raise KeyError("urn")
        return real(schedule)

    monkeypatch.setattr(bench.work, part, broken)
    assert bench.look("2026-11-21 03:00") == ["failed", "succeeded"]
    message = bench.registry.find_schedule("a").message
    assert message.startswith("internal error: KeyError: 'urn'; the traceback is in ")
    assert "KeyError" in Path(message.rpartition(" in ")[2]).read_text()
    assert bench.registry.find_schedule("a").failures == 1


def test_a_failed_build_of_a_new_source_is_tried_again(bench: Bench) -> None:
    bench.add(trigger=Trigger("source"), on_change=True)
    bench.work.results = [Ended("Failed", message="no network")]
    assert bench.look("2026-11-20 12:10") == ["failed"]
    assert bench.look("2026-11-20 12:25") == ["succeeded"]


def test_a_new_source_that_was_distributed_in_part_is_not_built_at_each_look(bench: Bench) -> None:
    bench.add(trigger=Trigger("source"), on_change=True)
    bench.work.results = [Ended("PartiallySucceeded")] * 2
    assert bench.look("2026-11-20 12:10") == ["partiallysucceeded"]
    assert bench.told[-1].detail.endswith("; not again before 2026-11-21 12:15 UTC")
    assert bench.look("2026-11-20 12:25") == ["wait"]
    assert bench.look("2026-11-21 12:00") == ["wait"]
    assert bench.look("2026-11-21 12:15") == ["partiallysucceeded"]
    assert bench.look("2026-11-22 12:20") == ["succeeded"]
    assert bench.look("2026-11-22 12:40") == ["unchanged"]


def test_a_paused_one_is_not_built_and_not_caught_up(bench: Bench) -> None:
    bench.add()
    bench.registry.pause_schedule("web", bench.clock.time)
    assert bench.look("2026-11-23 04:00") == ["paused"]
    bench.registry.resume_schedule("web", bench.clock.time)
    assert bench.look("2026-11-23 05:00") == ["wait"]
    assert bench.look("2026-11-24 03:00") == ["succeeded"]


def test_the_daemon_sleeps_until_the_next_time_or_its_poll(bench: Bench) -> None:
    bench.add(trigger=Trigger("every", "20m"))
    bench.add("db", Trigger("cron", "5 12 * * *"))
    bench.work.minutes = 1
    bench.clock.most_naps = 4
    with pytest.raises(Interrupted):
        bench.scheduler.forever()
    assert bench.work.built == [("db", "20 12:05"), ("web", "20 12:20")]
    assert bench.clock.naps == [300.0, 840.0, 900.0, 240.0]


def test_a_daemon_that_is_stopped_begins_nothing_else(bench: Bench) -> None:
    bench.add()
    bench.add("after")
    bench.work.results = [Ended("Canceled")]

    def a_signal_comes() -> None:
        bench.stopped = True

    bench.work.during = a_signal_comes
    bench.clock.to("2026-11-21 03:00")
    assert [look.name for look in bench.scheduler.forever()] == ["after"]
    assert bench.registry.find_schedule("after").failures == 0


def test_one_build_that_is_cancelled_does_not_stop_the_daemon(bench: Bench) -> None:
    bench.add()
    bench.add("after")
    bench.work.results = [Ended("Canceled")]
    assert bench.look("2026-11-21 03:00") == ["canceled", "succeeded"]
    assert [look.action for look in bench.scheduler.once()] == ["wait", "wait"], "it has had its time"
    bench.work.results = [Ended("Canceled")]
    bench.clock.to("2026-11-22 02:50")
    bench.clock.naps.clear()
    bench.clock.most_naps = 3
    with pytest.raises(Interrupted):
        bench.scheduler.forever()
    assert [name for name, _ in bench.work.built] == ["after", "web"] * 2


def test_schedules_of_another_machine_are_left_to_it(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    bench.add()
    monkeypatch.setattr("builder.schedule.scheduler.this_host", lambda: "another")
    assert bench.look("2026-11-21 03:00") == []


def test_asked_for_one_of_another_machine_is_refused(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    made = bench.add()
    monkeypatch.setattr(holder, "this_host", lambda: "another")
    with pytest.raises(ConflictError) as caught:
        bench.scheduler.run_now("web")
    assert caught.value.message == (
        f"The schedule 'web' belongs to another machine: its /etc/machine-id is {made.host}, "
        "this one's is another."
    )
    assert caught.value.details == ("Its template is /data/web.json there.",)
    assert "build schedule remove web" in str(caught.value.hint)
    assert bench.registry.find_schedule("web") == made, "it still belongs to that machine"
    assert bench.work.built == []


def test_asked_for_it_is_built_whatever_its_times(bench: Bench) -> None:
    bench.add()
    assert bench.scheduler.run_now("web").action == "succeeded"
    with pytest.raises(NotFoundError, match="There is no schedule 'nothing'"):
        bench.scheduler.run_now("nothing")

    def again() -> None:
        with pytest.raises(InUseError, match="is being built since"):
            bench.scheduler.run_now("web")
        with pytest.raises(InUseError, match="is being built since"):
            bench.registry.remove_schedule("web")

    bench.work.during = again
    assert bench.scheduler.run_now("web").action == "succeeded"


def test_names_are_unique_and_a_removed_one_is_free(bench: Bench) -> None:
    first = bench.add()
    with pytest.raises(ConflictError, match="There is a schedule 'WEB' already"):
        bench.add("WEB")
    assert bench.registry.remove_schedule("Web") == first
    assert bench.registry.list_schedules() == []
    bench.add("WEB")


def test_a_notice_is_no_longer_than_what_takes_it(bench: Bench) -> None:
    bench.add()
    look = Look("web", "failed", "", Ended("Failed", message="x" * 300_000))
    notice = notice_of(bench.registry, look)
    assert notice is not None
    assert 1000 < len(notice.message) < 5000
