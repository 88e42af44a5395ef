from __future__ import annotations

from pathlib import Path

import pytest
from registry.conftest import GALLERY, WEB

from builder.errors import ExitCode, GoldsmithError
from builder.registry.store import Registry
from builder.replication.local import LocalPlace
from builder.replication.nested import Nested
from builder.replication.removal import delete_version, prune
from builder.replication.session import replicate_all, verify_all
from replication.conftest import Team, flip


def verify(team: Team, *versions: str, repair: bool = False) -> ExitCode:
    return verify_all(team.registry, team.places, versions, region=None, repair=repair, jobs=1, json=False)


def test_sound_ones(team: Team, elsewhere: Path, capsys: pytest.CaptureFixture[str]) -> None:
    team.put(eastus=str(elsewhere))
    version = team.publish(count=2, luns=[0])
    team.add(version, "eastus")
    code = replicate_all(team.registry, team.places, [version.id], region=None, jobs=1, json=False)
    assert code == ExitCode.OK
    said = capsys.readouterr().out.splitlines()
    assert said[0].startswith("Team.gallery/web/0.0.1 in eastus, replica 1: ")
    assert said[0].endswith(" KiB copied and checked")
    assert said[1] == "Team.gallery/web/0.0.1 in West US, replica 2: linked, nothing copied"
    assert verify(team, version.id) == ExitCode.OK
    assert capsys.readouterr().out.splitlines()[-1].startswith("3 replicas: 3 sound")


@pytest.mark.parametrize("what", ["content", "footer", "length", "gone", "data disk"])
def test_damage_is_found_and_repaired(team: Team, elsewhere: Path, what: str) -> None:
    team.put(eastus=str(elsewhere))
    version = team.publish(luns=[2])
    team.add(version, "eastus")
    team.replicate(version)
    os_disk, data_disk = team.files(version, "eastus")
    good = os_disk.read_bytes(), data_disk.read_bytes()
    os_disk.chmod(0o600)
    match what:
        case "content":
            flip(os_disk, 2 * 1024**2 + 5)
        case "footer":
            flip(os_disk, len(good[0]) - 300)
        case "length":
            os_disk.write_bytes(good[0][:-1])
        case "gone":
            os_disk.unlink()
        case "data disk":
            flip(data_disk, 65540)
    assert verify(team, version.id) == ExitCode.BUILD_FAILED
    assert team.states(version) == {"West US": ("Completed", True), "eastus": ("Failed", False)}
    assert verify(team, version.id) == ExitCode.BUILD_FAILED, "it stays said"
    assert verify(team, version.id, repair=True) == ExitCode.OK
    assert team.states(version)["eastus"] == ("Completed", True)
    assert (os_disk.read_bytes(), data_disk.read_bytes()) == good


def test_a_place_out_of_reach_says_nothing_about_its_replicas(team: Team, elsewhere: Path) -> None:
    folder = elsewhere / "east"
    folder.mkdir()
    team.put(eastus=str(folder))
    version = team.publish()
    team.add(version, "eastus")
    team.replicate(version)
    folder.rename(elsewhere / "unmounted")
    assert verify(team, version.id) == ExitCode.ENVIRONMENT
    folder.mkdir()
    assert verify(team, version.id) == ExitCode.ENVIRONMENT, "an empty mount point"
    assert team.states(version)["eastus"] == ("Completed", True)
    team.registry.change_regions(version.id, counts={"eastus": 2})
    assert "is not what it was" in team.replicate(version).failed[0][1]


def test_no_sound_one_is_left(team: Team) -> None:
    version = team.publish()
    flip(team.files(version, "West US")[0])
    assert verify(team, version.id, repair=True) == ExitCode.BUILD_FAILED
    assert team.states(version) == {"West US": ("Failed", False)}


def test_deleting_removes_what_lies_elsewhere(team: Team, elsewhere: Path) -> None:
    folder = elsewhere / "east"
    folder.mkdir()
    team.put(eastus=str(folder), north="memory://north")
    version = team.publish()
    for region in ("eastus", "north"):
        team.add(version, region, 2)
    assert not team.replicate(version).failed
    import fsspec

    memory = fsspec.filesystem("memory")
    assert (
        memory.cat_file("/north/team.gallery/web/0.0.1/os-2.vhd")
        == team.files(version, "West US")[0].read_bytes()
    )
    _, left = delete_version(team.registry, team.places, version.id)
    assert left == []
    assert [path.name for path in folder.iterdir()] == [".goldsmith-place.json"]
    assert [name for name in memory.find("/north") if name.endswith(".vhd")] == []
    memory.rm("/north", recursive=True)


def test_what_nothing_names_goes(team: Team, elsewhere: Path) -> None:
    team.put(eastus=str(elsewhere))
    version = team.publish()
    team.add(version, "eastus")
    team.replicate(version)
    held = team.registry.reserve_version(version.definition_id, "2.0.0")
    for name in ("1.0.0/os.vhd", "0.0.1/.os-9.vhd.part", "2.0.0/os.vhd"):
        path = elsewhere / "team.gallery/web" / name
        path.parent.mkdir(exist_ok=True, parents=True)
        path.write_bytes(b"x")
    (elsewhere / "notes.txt").write_text("mine")
    assert len(team.registry.remove_orphans(lambda _: False, dry_run=True)) == 1
    removed, problems = prune(team.registry, team.places)
    assert problems == []
    assert {Path(one).relative_to(elsewhere / "team.gallery/web").as_posix() for one in removed} == {
        *("0.0.1/.os-9.vhd.part", "1.0.0/os.vhd"),
    }
    assert held.version == "2.0.0"
    assert (elsewhere / "notes.txt").exists()


def test_a_place_of_another_registry_is_left_alone(team: Team, elsewhere: Path) -> None:
    (elsewhere / ".goldsmith-place.json").write_text('{"registry": "somebody"}')
    foreign = elsewhere / "team.gallery/web/1.0.0/os.vhd"
    foreign.parent.mkdir(parents=True)
    foreign.write_bytes(b"theirs")
    team.put(eastus=str(elsewhere))
    version = team.publish()
    team.add(version, "eastus")
    assert "holds the replicas of another registry" in team.replicate(version).failed[0][1]
    assert "another registry" in prune(team.registry, team.places)[1][0]
    assert team.registry.remove_orphans(lambda _: False) == []
    assert foreign.read_bytes() == b"theirs"
    with pytest.raises(GoldsmithError):
        team.places.of("eastus").check(team.registry.identity(), used=False)


def test_a_place_with_another_name_loses_nothing(team: Team, elsewhere: Path) -> None:
    """The only copy may lie in what the settings call otherwise now: a link, another mount point."""
    before = elsewhere / "before"
    before.mkdir()
    team.put(eastus=str(before))
    version = team.publish()
    team.add(version, "eastus")
    team.replicate(version)
    before.rename(elsewhere / "now")
    team.put(eastus=str(elsewhere / "now"))
    copy = elsewhere / "now/team.gallery/web/0.0.1/os.vhd"
    rest = copy.with_name("os-7.vhd")
    rest.write_bytes(b"x")
    assert prune(team.registry, team.places) == ([str(rest)], [])
    assert team.registry.remove_orphans(lambda _: False) == []
    assert copy.is_file()


def test_other_disks_in_a_folder_are_not_ours(team: Team, elsewhere: Path) -> None:
    team.put(eastus=str(elsewhere))
    theirs = [elsewhere / "vms/web.vhd", elsewhere / "team.gallery/web/0.9.0/os.vhd"]
    for path in theirs:
        path.parent.mkdir(parents=True)
        path.write_bytes(b"theirs")
    assert prune(team.registry, team.places) == ([], []), "the folder has no marker yet: it is nobody's"
    version = team.publish()
    team.add(version, "eastus")
    team.replicate(version)
    assert [one.path for one in team.registry.remove_orphans(lambda _: False, dry_run=True)] == theirs[1:]
    assert prune(team.registry, team.places) == ([str(theirs[1])], [])
    assert theirs[0].is_file()


def test_a_marker_that_says_nothing_is_nobodys(team: Team, elsewhere: Path) -> None:
    """Whoever wrote it was killed before a word was in it."""
    marker = elsewhere / ".goldsmith-place.json"
    marker.write_bytes(b"")
    team.put(eastus=str(elsewhere))
    place, identity = team.places.of("eastus"), team.registry.identity()
    assert not place.check(identity, used=False, take=False)
    assert place.check(identity, used=False)
    assert identity in marker.read_text()
    assert [path.name for path in elsewhere.iterdir()] == [marker.name]


def test_two_who_take_a_folder_at_once_both_have_it(
    team: Team, elsewhere: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    team.put(eastus=str(elsewhere))
    identity = team.registry.identity()
    looked = LocalPlace._marker
    others: list[bool] = []

    def look(self: LocalPlace) -> str:
        found = looked(self)
        if not others:
            others.append(False)  # between our look and our taking it, another thread does both
            others[0] = team.places.of("eastus").check(identity, used=False)
        return found

    monkeypatch.setattr(LocalPlace, "_marker", look)
    assert team.places.of("eastus").check(identity, used=False)
    assert others == [True]


def test_a_forced_deletion_that_stopped_is_finished_by_another(
    team: Team, monkeypatch: pytest.MonkeyPatch
) -> None:
    versions = [team.publish() for _ in range(3)]
    both = [Nested(team.registry, team.places, GALLERY) for _ in range(2)]
    real = Registry.delete_definition

    def stop(self: Registry, arm_id: str) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Registry, "delete_definition", stop)
    with pytest.raises(KeyboardInterrupt):
        both[0].delete()
    monkeypatch.setattr(Registry, "delete_definition", real)
    assert team.registry.list_versions() == []
    gone, left = both[1].delete()  # it looked before the first one began
    assert (gone, left) == ([WEB, GALLERY], [])
    assert len(versions) == 3 and team.registry.list_galleries() == []
    assert list(team.home.regions.rglob("*.vhd")) == []


def test_what_another_machine_keeps_in_its_home_is_not_gone(
    team: Team, monkeypatch: pytest.MonkeyPatch, elsewhere: Path
) -> None:
    """A registry of a team names files that only the machine has which made them."""
    team.put(eastus=str(elsewhere))
    version = team.publish()
    team.add(version, "eastus")
    team.replicate(version)
    (own,) = team.files(version, "westus")
    own.rename(own.with_name("away"))
    monkeypatch.setattr(Registry, "is_shared", True)
    assert verify(team, version.id) == ExitCode.ENVIRONMENT
    assert team.states(version)["West US"] == ("Completed", True)
    (shared,) = team.files(version, "eastus")
    shared.unlink()
    assert verify(team, version.id) == ExitCode.BUILD_FAILED, "everybody has that place"
