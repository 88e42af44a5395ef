"""Where a run's time went: nothing is counted twice, nothing is lost."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime

import pytest

from builder import phase_table
from builder.events import Envelope, Event, EventBus, PhaseFinished, RunFinished, StageFinished
from builder.phase_table import PhaseTable
from builder.phases import phase
from builder.redact import Redactor
from builder.runs import RecordSink, RunDirectory
from builder.settings import Home
from engine.conftest import Seen


def at(elapsed: float, event: Event) -> Envelope:
    return Envelope(datetime.now(UTC), elapsed, event)


def told(name: str, seconds: float, where: str = "engine", stage: str = "Customize", index: int = 0) -> Event:
    return PhaseFinished(name=name, seconds=seconds, where=where, stage=stage, index=index)  # type: ignore[arg-type]


def stage(name: str, seconds: float) -> Event:
    return StageFinished(stage=name, outcome="succeeded", seconds=seconds)


def end(seconds: float) -> Event:
    return RunFinished(run_id="r", state="Succeeded", seconds=seconds, exit_code=0)


def counted(*events: tuple[float, Event]) -> PhaseTable:
    table = PhaseTable()
    for elapsed, event in events:
        table.take(at(elapsed, event))
    return table


def rows(table: PhaseTable) -> list[tuple[str, str, float]]:
    return [(item.stage, item.name, pytest.approx(item.seconds, abs=0.01)) for item in table.phases]


def test_a_whole_build_is_accounted_for() -> None:
    table = counted(
        (0.1, told("Start-up", 0.6, stage="")),
        (1.1, stage("Resolve", 1.0)),
        (4.1, told("Boot", 2.5, "guest", "Boot")),
        (4.6, stage("Boot", 3.5)),
        (6.6, told("motd", 2.0, "guest", index=1)),
        (7.6, told("Snapshot", 1.0, index=1)),
        (7.6, stage("Customize", 3.0)),
        (8.0, told("Remove workspace", 0.2, stage="")),
        (8.1, end(8.0)),
    )
    assert rows(table) == [
        ("", "Start-up", 0.6),
        ("Resolve", "Resolve", 1.0),
        ("Boot", "Boot", 2.5),
        ("Boot", "Rest", 1.0),
        ("Customize", "motd", 2.0),
        ("Customize", "Snapshot", 1.0),
        ("", "Remove workspace", 0.2),
        ("", "Rest", pytest.approx(0.4, abs=0.01)),
    ]
    assert sum(item.seconds for item in table.phases) == pytest.approx(table.total)
    assert table.total == pytest.approx(8.7)
    assert table.guest == pytest.approx(4.5)
    assert table.engine == pytest.approx(4.2)


def test_a_phase_within_another_is_not_the_outer_ones() -> None:
    """A retry restores the guest in the middle of a step."""
    table = counted((3.0, told("Restore", 1.0)), (5.0, told("step", 4.0, "guest")), (5.0, end(5.0)))
    assert rows(table)[:2] == [("Customize", "Restore", 1.0), ("Customize", "step", 3.0)]
    assert (table.guest, table.engine) == (pytest.approx(3.0), pytest.approx(2.0))


def test_targets_at_once_each_have_their_own_time() -> None:
    table = counted(
        (2.0, told("b", 1.0, stage="Distribute", index=2)),
        (3.0, told("a", 2.5, stage="Distribute", index=1)),
        (3.0, stage("Distribute", 3.0)),
        (3.0, end(3.0)),
    )
    assert rows(table) == [("Distribute", "b", 1.0), ("Distribute", "a", 2.5), ("Distribute", "Rest", 0.5)]
    assert table.engine == pytest.approx(3.0)


def test_a_stage_that_came_to_nothing_has_no_rest() -> None:
    table = counted((1.0, told("Boot", 0.98, "guest", "Boot")), (1.0, stage("Boot", 1.0)), (1.0, end(1.0)))
    assert rows(table) == [("Boot", "Boot", 0.98)]


def test_the_context_manager_times_what_fails_too() -> None:
    bus, seen = EventBus(Redactor()), Seen()
    bus.add_sink(seen.append)
    with pytest.raises(RuntimeError), phase(bus, "Snapshot", where="engine", stage="Customize", index=2):
        time.sleep(0.01)
        raise RuntimeError
    (event,) = seen.of("phase.finished")
    assert event.seconds >= 0.01
    assert (event.name, event.where, event.stage, event.index) == ("Snapshot", "engine", "Customize", 2)


def test_only_the_first_build_of_a_process_waited_for_its_start(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(phase_table, "_begun", [])
    assert 0.0 < phase_table.startup_seconds() < 24 * 3600
    assert phase_table.startup_seconds() == 0.0


def test_the_record_has_them(home: Home) -> None:
    run = RunDirectory.create(home)
    with RecordSink(run) as sink:
        for elapsed, event in ((2.0, told("motd", 1.5, "guest", index=1)), (2.5, stage("Customize", 2.0))):
            sink(at(elapsed, event))
        assert [item.name for item in run.read().phases] == ["motd", "Rest"], "also of a build under way"
        sink(at(3.0, end(3.0)))
    data = json.loads(run.record_file.read_text())
    assert data["phases"][0] == {
        "name": "motd",
        "seconds": 1.5,
        "where": "guest",
        "stage": "Customize",
        "index": 1,
    }
    assert (data["guestSeconds"], data["engineSeconds"]) == (1.5, 1.5)
