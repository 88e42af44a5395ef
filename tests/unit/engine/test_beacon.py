"""Who lives in another container that shares the home: its pids say nothing here."""

from __future__ import annotations

import os
import signal
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from builder import beacon
from builder.owner import Owner, host_boot_id
from builder.registry import holder
from builder.runs import RunRecord, is_live


@pytest.fixture(autouse=True)
def afresh(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(beacon, "_folders", [])
    monkeypatch.setattr(beacon, "_lights", {})


def elsewhere(home: Path, monkeypatch: pytest.MonkeyPatch, namespace: str, *, lives: bool) -> Owner:
    """Our own process as a container of that namespace would have written it down."""
    with monkeypatch.context() as inside:
        inside.setattr(beacon, "pid_namespace", lambda: namespace)
        beacon.light(home)
        owner = Owner.current()
    if not lives:
        for descriptor in beacon._lights.values():
            os.close(descriptor)
        beacon._lights.clear()
    return owner


def test_another_container_lives_as_long_as_its_lock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    owner = elsewhere(tmp_path, monkeypatch, "77", lives=True)
    assert owner.namespace == "77"
    assert owner.elsewhere
    assert owner.alive()
    assert is_live(RunRecord(run_id="r", owner=owner.to_json()))
    assert not replace(owner, boot_id="before the host was started again").alive()


def test_one_that_ended_is_dead_though_its_pid_is_in_use_here(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    owner = elsewhere(tmp_path, monkeypatch, "77", lives=False)
    assert owner.pid == os.getpid()
    assert owner.known_alive() is False


def test_no_signal_goes_to_a_pid_of_another_container(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    owner = elsewhere(tmp_path, monkeypatch, "77", lives=True)
    # SIGTERM would end the test run if it got through.
    assert not owner.signal(signal.SIGTERM)


def test_without_a_common_home_nothing_is_known(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    owner = replace(Owner.current(), namespace="78")
    assert owner.known_alive() is None
    beacon.look_at(tmp_path)
    assert owner.known_alive() is None
    assert not owner.alive()


@pytest.mark.parametrize("lives", [True, False])
def test_what_another_container_makes_is_its_own_while_it_lives(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lives: bool
) -> None:
    owner = elsewhere(tmp_path, monkeypatch, "77", lives=lives).to_text()
    assert holder.lives(owner, holder.this_host(), datetime.now(UTC)) is lives


def test_of_an_unknown_container_it_is_held_for_a_day(monkeypatch: pytest.MonkeyPatch) -> None:
    owner = replace(Owner.current(), namespace="78").to_text()
    now = datetime.now(UTC)
    assert holder.lives(owner, holder.this_host(), now - timedelta(hours=23))
    assert not holder.lives(owner, holder.this_host(), now - timedelta(hours=25))


def test_machines_without_a_name_differ_by_their_boot(monkeypatch: pytest.MonkeyPatch) -> None:
    """Containers have no machine-id(5); two of them may share a registry from two machines."""
    monkeypatch.setattr(holder, "this_host", lambda: "")
    now = datetime.now(UTC)
    mine = Owner.current()
    assert holder.lives(mine.to_text(), "", now)
    assert not holder.lives(replace(mine, start_ticks=mine.start_ticks - 1).to_text(), "", now)
    other = replace(mine, boot_id="of another machine").to_text()
    assert holder.lives(other, "", now)
    assert not holder.lives(other, "", now - timedelta(hours=25))


def test_lights_of_an_earlier_boot_are_cleared_away(tmp_path: Path) -> None:
    folder = beacon.look_at(tmp_path)
    folder.mkdir(parents=True)
    old = folder / "an-earlier-boot.77.lock"
    other = folder / f"{host_boot_id()}.77.lock"
    old.touch()
    other.touch()
    beacon.light(tmp_path)
    assert not old.exists()
    assert other.exists()


def test_few_lights_are_held_at_once(tmp_path: Path) -> None:
    homes = [tmp_path / str(number) for number in range(9)]
    for home in homes:
        beacon.light(home)
        beacon.light(home)
    assert len(beacon._lights) == len(beacon._folders) == 4


def test_a_home_that_cannot_be_written_is_left_alone(tmp_path: Path) -> None:
    place = tmp_path / "home"
    place.write_text("a file")
    beacon.light(place)
    assert beacon._lights == {}
    assert place.read_text() == "a file"
