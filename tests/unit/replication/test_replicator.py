from __future__ import annotations

import threading
import time
from pathlib import Path

import pytest
from disk.vhd_file import MIB

import builder.registry.replicas as replicas_module
import builder.replication.replicator as module
from builder.cancellation import Interrupted, checkpoint
from builder.replication.local import LocalPlace
from builder.replication.place import PlaceError, Reader, Tick
from replication.conftest import DATA, SIZE, Team, allocated, flip, same


def test_replicas_on_one_file_system_are_links(team: Team) -> None:
    version = team.publish(count=2, luns=[0])
    team.add(version, "East US", 2)
    team.add(version, "North", 2)
    report = team.replicate(version)
    assert (len(report.made), report.failed, report.sent) == (5, [], 0)
    assert team.states(version) == dict.fromkeys(("West US", "East US", "North"), ("Completed", True))
    files = [file for region in ("West US", "East US", "North") for file in team.files(version, region)]
    assert len(files) == 12
    assert len({file.stat().st_ino for file in files}) == 2
    assert allocated(*files) == allocated(*files[:2])


def test_another_file_system_gets_a_copy_with_its_holes(team: Team, elsewhere: Path) -> None:
    team.put(eastus=str(elsewhere))
    version = team.publish(luns=[3])
    team.add(version, "East US", 2)
    report = team.replicate(version)
    assert (len(report.made), report.failed) == (2, [])
    mine, theirs = team.files(version, "West US"), team.files(version, "East US")
    assert theirs[0] == elsewhere / "team.gallery/web/0.0.1/os.vhd"
    assert all(same(one, other) for one, other in zip(mine, theirs[:2], strict=True))
    assert all(file.stat().st_mode & 0o777 == 0o444 for file in theirs)
    assert allocated(theirs[0]) < MIB < SIZE
    assert theirs[0].stat().st_ino == theirs[2].stat().st_ino, "the second one there is a link of the first"
    assert 2 * len(DATA) <= report.sent < 2 * len(DATA) + 3 * 65536
    assert sorted(p.name for p in theirs[0].parent.iterdir()) == [
        *("os-2-lun3.vhd", "os-2.vhd", "os-lun3.vhd", "os.vhd"),
    ]
    assert not team.replicate(version).made


def test_it_goes_on_in_the_middle_of_a_file(
    team: Team, elsewhere: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    team.put(eastus=str(elsewhere))
    version = team.publish()
    team.add(version, "eastus")
    monkeypatch.setattr("builder.replication.local._STEP", 65536)
    real, pieces, half = LocalPlace._piece, [], threading.Event()

    def piece(self: LocalPlace, descriptor: int, source: Reader, start: int, end: int) -> None:
        pieces.append(start)
        if len(pieces) == 6:
            half.set()
            while True:
                checkpoint()
                time.sleep(0.01)
        real(self, descriptor, source, start, end)

    def signal_when_half() -> None:
        if half.is_set():
            raise Interrupted(2)

    monkeypatch.setattr(LocalPlace, "_piece", piece)
    with pytest.raises(Interrupted):
        team.replicate(version, jobs=1, look=signal_when_half)
    assert team.states(version)["eastus"] == ("Replicating", False)
    assert [f.name for f in (elsewhere / "team.gallery/web/0.0.1").iterdir()] == [".os.vhd.part"]
    report = team.replicate(version)
    assert pieces[5] == pieces[6], "it went on where it stopped"
    assert len(set(pieces)) == len(pieces) - 1
    assert report.sent < 2 * len(DATA)
    assert same(*[team.files(version, region)[0] for region in ("West US", "eastus")])


def test_what_it_went_on_with_was_damaged(
    team: Team, elsewhere: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_FIRST_PAUSE", 0.01)
    team.put(eastus=str(elsewhere))
    version = team.publish()
    team.add(version, "eastus")
    part = elsewhere / "team.gallery/web/0.0.1/.os.vhd.part"
    part.parent.mkdir(parents=True)
    part.write_bytes(b"x" * 131072)
    report = team.replicate(version)
    assert [news.kind for news in team.news if news.kind != "progress"] == ["begun", "again", "done"]
    assert not report.failed
    assert same(*[team.files(version, region)[0] for region in ("West US", "eastus")])


def test_a_region_that_fails_leaves_the_others(team: Team, elsewhere: Path, tmp_path: Path) -> None:
    team.put(eastus=str(tmp_path / "unmounted"), north=str(elsewhere))
    version = team.publish()
    team.add(version, "eastus")
    team.add(version, "north")
    module_pause, module._FIRST_PAUSE = module._FIRST_PAUSE, 0.01
    try:
        report = team.replicate(version)
    finally:
        module._FIRST_PAUSE = module_pause
    assert [(task.region, why) for task, why in report.failed] == [
        ("eastus", f"The place of region eastus, {tmp_path}/unmounted, is not there.")
    ]
    assert team.states(version) == {
        "West US": ("Completed", True),
        "eastus": ("Failed", False),
        "north": ("Completed", True),
    }
    (tmp_path / "unmounted").mkdir()
    assert [task.region for task in team.replicate(version).made] == ["eastus"]
    assert team.states(version)["eastus"] == ("Completed", True)


def test_a_full_place_is_not_tried_for_long(
    team: Team, elsewhere: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    team.put(eastus=str(elsewhere))
    version = team.publish()
    team.add(version, "eastus")

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(LocalPlace, "_piece", full)
    report = team.replicate(version)
    assert "No space left on device" in report.failed[0][1]
    assert [news.kind for news in team.news] == ["begun", "failed"]


def test_a_damaged_source_is_found_and_another_taken(team: Team, elsewhere: Path) -> None:
    team.put(north=str(elsewhere))
    version = team.publish()
    team.add(version, "north")
    team.replicate(version)
    flip(team.files(version, "West US")[0])
    team.put(north=str(elsewhere), eastus=str(elsewhere.parent / f"{elsewhere.name}-2"))
    other = elsewhere.parent / f"{elsewhere.name}-2"
    other.mkdir()
    try:
        team.add(version, "eastus")
        report = team.replicate(version)
        assert (len(report.made), report.failed) == (2, []), "the damaged one was made anew, too"
        assert same(team.files(version, "north")[0], team.files(version, "eastus")[0])
        assert same(team.files(version, "north")[0], team.files(version, "West US")[0])
    finally:
        for path in sorted(other.rglob("*"), reverse=True):
            path.rmdir() if path.is_dir() else path.unlink()
        other.rmdir()


def test_something_else_lies_there(team: Team, elsewhere: Path) -> None:
    team.put(eastus=str(elsewhere))
    version = team.publish()
    team.add(version, "eastus")
    foreign = elsewhere / "team.gallery/web/0.0.1/os.vhd"
    foreign.parent.mkdir(parents=True)
    foreign.write_bytes(b"mine")
    assert "Something else lies at" in team.replicate(version).failed[0][1]
    assert foreign.read_bytes() == b"mine"
    foreign.write_bytes(team.files(version, "West US")[0].read_bytes())
    assert team.replicate(version).sent == 0, "a process that went away had made it"
    assert team.states(version)["eastus"] == ("Completed", True)


def test_a_copy_that_does_not_move_is_given_up(
    team: Team, elsewhere: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    team.put(eastus=str(elsewhere), north=str(team.home.root.parent))
    version = team.publish()
    team.add(version, "eastus")
    hang = threading.Event()
    monkeypatch.setattr(module, "STALL_SECONDS", 0.3)
    monkeypatch.setattr(LocalPlace, "write", lambda *_: hang.wait(20))
    start = time.monotonic()
    report = team.replicate(version)
    assert time.monotonic() - start < 10
    assert "no byte moved" in report.failed[0][1]
    hang.set()
    assert team.states(version)["eastus"] == ("Failed", False)


def test_a_deleted_version_is_not_gone_on_with(
    team: Team, elsewhere: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    team.put(eastus=str(elsewhere))
    version = team.publish()
    team.add(version, "eastus")
    monkeypatch.setattr(module, "_NOTE_SECONDS", 0.0)
    real = LocalPlace.write

    def write(self: LocalPlace, staged: str, source: Reader, tick: Tick) -> int:
        with team.registry._db.write() as session:
            session.delete(session.get_one(replicas_module.VersionRow, version.id.lower()))
        return real(self, staged, source, tick)

    monkeypatch.setattr(LocalPlace, "write", write)
    report = team.replicate(version)
    assert "it was given up" in report.failed[0][1]


def test_two_processes_share_the_work(team: Team, elsewhere: Path) -> None:
    team.put(eastus=str(elsewhere))
    versions = [team.publish() for _ in range(3)]
    for version in versions:
        team.add(version, "eastus", 2)
    made = []
    barrier = threading.Barrier(2)

    def work() -> None:
        barrier.wait(10)
        replicator = module.Replicator(team.registry, team.places, jobs=2)
        made.extend(replicator.run([version.id for version in versions]).made)

    threads = [threading.Thread(target=work) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert len({task.id for task in made}) == len(made)
    left = [version for version in versions if team.states(version)["eastus"] != ("Completed", True)]
    for version in left:  # a second copy may have waited for a first one that the other was making
        team.replicate(version)
    assert all(team.states(version)["eastus"] == ("Completed", True) for version in versions)


def test_nothing_to_copy_from(team: Team, elsewhere: Path) -> None:
    team.put(eastus=str(elsewhere))
    version = team.publish()
    team.add(version, "eastus")
    team.files(version, "West US")[0].unlink()
    report = team.replicate(version)
    assert report.failed[0][1].startswith("No replica can be copied from: ")
    assert report.failed[0][1].endswith("os.vhd: gone.")


def test_a_place_error_says_whether_it_lasts() -> None:
    assert PlaceError("x", permanent=True).permanent
    assert not PlaceError("x").permanent
