"""Who lives where its pid cannot be seen: in another container that shares the home."""

from __future__ import annotations

import fcntl
import os
import signal
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from builder import beacon
from builder.owner import Owner
from builder.registry import holder
from builder.runs import RunRecord, is_live


@pytest.fixture(autouse=True)
def afresh(monkeypatch: pytest.MonkeyPatch) -> None:
    beacon.token()  # made before others are put in its place
    monkeypatch.setattr(beacon._Own, "folders", [])
    monkeypatch.setattr(beacon._Own, "lights", {})


def elsewhere(home: Path, monkeypatch: pytest.MonkeyPatch, *, lives: bool, boot: str = "") -> Owner:
    """Our own process, as one of container 77 would have written it down in that home."""
    with monkeypatch.context() as inside:
        inside.setattr(beacon, "pid_namespace", lambda: "77")
        inside.setattr(beacon._Own, "token", "0123456789abcdef")
        beacon.light(home)
        owner = Owner.current()
    if not lives:
        for descriptor in beacon._Own.lights.values():
            os.close(descriptor)
        beacon._Own.lights.clear()
    return replace(owner, boot_id=boot or owner.boot_id)


@pytest.mark.parametrize("boot", ["", "a container of another kind has a boot id of its own"])
@pytest.mark.parametrize("lives", [True, False])
def test_another_container_lives_as_long_as_its_lock(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lives: bool, boot: str
) -> None:
    owner = elsewhere(tmp_path, monkeypatch, lives=lives, boot=boot)
    assert owner.elsewhere
    assert owner.pid == os.getpid(), "which is in use here, and means nothing"
    assert owner.known_alive() is lives
    assert is_live(RunRecord(run_id="r", owner=owner.to_json())) is lives
    for host in ("", holder.this_host(), "another-name"):
        assert holder.lives(owner.to_text(), host, datetime.now(UTC)) is lives


def test_no_signal_goes_to_a_pid_of_another_container(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    owner = elsewhere(tmp_path, monkeypatch, lives=True)
    # SIGTERM would end the test run if it got through.
    assert not owner.signal(signal.SIGTERM)


def test_without_a_common_home_it_may_live_for_a_day(tmp_path: Path) -> None:
    owner = replace(Owner.current(), namespace="78")
    assert owner.known_alive() is None
    beacon.look_at(tmp_path)
    assert owner.known_alive() is None
    assert not owner.alive()
    now = datetime.now(UTC)
    for hours, held in ((23, True), (25, False)):
        then = now - timedelta(hours=hours)
        assert holder.lives(owner.to_text(), holder.this_host(), then) is held
        assert is_live(RunRecord(run_id="r", owner=owner.to_json(), start_time=then)) is held


def test_what_was_before_this_machine_was_started_again_is_dead() -> None:
    before = replace(Owner.current(), boot_id="before", token="")
    assert before.known_alive() is False
    assert holder.this_host(), "this machine has a name"
    assert not holder.lives(before.to_text(), holder.this_host(), datetime.now(UTC))


def test_machines_without_a_name_differ_by_their_boot(monkeypatch: pytest.MonkeyPatch) -> None:
    """Containers have no machine-id(5); two of them may share a registry from two machines."""
    monkeypatch.setattr(holder, "this_host", lambda: "")
    now = datetime.now(UTC)
    mine = Owner.current()
    assert holder.lives(mine.to_text(), "", now)
    assert not holder.lives(replace(mine, start_ticks=mine.start_ticks - 1).to_text(), "", now)
    other = replace(mine, boot_id="of another machine", token="unknown").to_text()
    assert holder.lives(other, "", now)
    assert not holder.lives(other, "", now - timedelta(hours=25))


def test_who_only_looks_is_not_taken_for_the_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    owner = elsewhere(tmp_path, monkeypatch, lives=False)
    (file,) = (tmp_path / ".beacons").iterdir()
    with file.open() as looking:
        fcntl.flock(looking, fcntl.LOCK_SH)
        assert owner.known_alive() is False


def test_a_home_that_was_made_anew_is_lit_anew(tmp_path: Path) -> None:
    beacon.light(tmp_path)
    (file,) = (tmp_path / ".beacons").iterdir()
    file.unlink()
    beacon.light(tmp_path)
    assert beacon.lit(beacon.token()) is True


def test_what_was_left_long_ago_is_cleared_away(tmp_path: Path) -> None:
    folder = beacon.look_at(tmp_path)
    folder.mkdir(parents=True)
    long_ago = time.time() - 8 * 24 * 3600
    for name in ("dead", "alive", "new"):
        (folder / f"{name}.lock").touch()
        if name != "new":
            os.utime(folder / f"{name}.lock", (long_ago, long_ago))
    with (folder / "alive.lock").open() as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        beacon.light(tmp_path)
    assert {path.stem for path in folder.iterdir()} == {"alive", "new", beacon.token()}


def test_the_light_goes_out_with_the_process(tmp_path: Path) -> None:
    beacon.light(tmp_path)
    beacon._put_out(os.getpid() + 1)  # the same in a fork of it
    assert beacon.lit(beacon.token()) is True
    beacon._put_out(os.getpid())
    assert list((tmp_path / ".beacons").iterdir()) == []


def test_not_more_lights_than_a_process_can_hold(tmp_path: Path) -> None:
    for number in range(40):
        beacon.light(tmp_path / str(number))
        beacon.light(tmp_path / str(number))
    assert len(beacon._Own.lights) == len(beacon._Own.folders) == 32
    assert list((tmp_path / "0" / ".beacons").iterdir()) == [], "unknown, not dead"


def test_a_home_that_cannot_be_written_is_left_alone(tmp_path: Path) -> None:
    place = tmp_path / "home"
    place.write_text("a file")
    beacon.light(place)
    assert beacon._Own.lights == {}
    assert place.read_text() == "a file"
