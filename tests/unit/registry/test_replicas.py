from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest

import builder.registry.replicas as replicas_module
from builder.errors import ConflictError, NotFoundError, PreflightError
from builder.registry.records import (
    CopyTask,
    DataDiskRecord,
    Delivery,
    NewRegion,
    ReplicaRecord,
    VersionRecord,
)
from builder.registry.store import Registry
from builder.settings import Home
from registry.conftest import WEB, Publish

LATEST = f"{WEB}/versions/latest"


def published(
    web: Registry, home: Home, counts: dict[str, int], *, luns: Sequence[int] = ()
) -> VersionRecord:
    """A version whose first copy is in West US; the others are to be made."""
    held = web.reserve_version(WEB)
    replicas = []
    for region, count in counts.items():
        folder = home.regions / region.lower().replace(" ", "") / "team.gallery/web" / held.version
        disks = tuple(DataDiskRecord(n, folder / f"os-lun{n}.vhd", 4, 4, f"digest-{n}") for n in luns)
        replicas.append(ReplicaRecord(region, count, "Standard_LRS", folder / "os.vhd", 100, None, disks))
    return web.complete_version(held.id, Delivery(replicas, size=4, digest="d"))


def elsewhere(name: str, count: int = 1, location: str = "s3://images/web/1/os.vhd") -> NewRegion:
    return NewRegion(name, count, "Standard_LRS", location)


def claim(web: Registry, version: VersionRecord, *, tried: Sequence[int] = ()) -> CopyTask:
    task = web.claim_copy([version.id], tried=tried)
    assert task is not None
    return task


def states(version: VersionRecord) -> list[tuple[str, str, bool, list[str]]]:
    return [(r.region, r.state, r.usable, [c.state for c in r.copies]) for r in version.replicas]


def test_the_first_replica_is_there_and_the_others_are_to_be_made(web: Registry, home: Home) -> None:
    version = published(web, home, {"West US": 3}, luns=[0])
    assert states(version) == [("West US", "Replicating", True, ["Completed", "Pending", "Pending"])]
    names = [at.rsplit("/", 1)[1] for at in version.replicas[0].locations]
    assert names == [
        *("os.vhd", "os-lun0.vhd", "os-2.vhd", "os-2-lun0.vhd", "os-3.vhd", "os-3-lun0.vhd"),
    ]
    assert web.list_incomplete() == [version]
    assert web.list_incomplete("eastus") == []


def test_a_copy_is_made_by_one_and_then_complete(web: Registry, home: Home) -> None:
    version = published(web, home, {"West US": 2}, luns=[0])
    task = claim(web, version)
    assert (task.number, task.region, task.label) == (2, "West US", "Team.gallery/web/0.0.1")
    assert task.location.endswith("westus/team.gallery/web/0.0.1/os-2.vhd")
    assert task.sources == (version.replicas[0].locations[0],)
    assert [(disk.lun, disk.digest) for disk in task.disks] == [(None, "d"), (0, "digest-0")]
    assert not task.made_before
    assert web.claim_copy([version.id]) is None
    assert web.copy_progress(task.id, 3, 10)
    copy = web.find_version(version.id).replicas[0].copies[1]
    assert (copy.state, copy.bytes_done, copy.bytes_total) == ("Replicating", 3, 10)
    assert web.copy_done(task.id, 10)
    done = web.find_version(version.id)
    assert states(done) == [("West US", "Completed", True, ["Completed", "Completed"])]
    assert done.replicas[0].copies[1].verified_at is not None
    assert web.list_incomplete() == []
    assert not web.copy_done(task.id, 10)
    assert not web.copy_progress(task.id, 1, 10)


def test_a_region_can_be_used_when_its_first_copy_is_there(web: Registry, home: Home) -> None:
    version = published(web, home, {"West US": 1})
    web.change_regions(version.id, add=[elsewhere("East US", 2)])
    for wanted in (version.id, LATEST):
        with pytest.raises(NotFoundError, match="is not available in eastus region"):
            web.find_version(wanted, "eastus")
    first = claim(web, version)
    assert (first.number, first.location) == (1, "s3://images/web/1/os.vhd")
    assert web.claim_copy([version.id]) is None, "the second is made from the first"
    web.copy_done(first.id, 10, 7)
    found = web.find_version(LATEST, "eastus").replica("East US")
    assert found is not None
    assert (found.state, found.usable, found.location) == ("Replicating", True, "s3://images/web/1/os.vhd")
    second = claim(web, version)
    assert (second.number, second.location) == (2, "s3://images/web/1/os-2.vhd")
    assert second.sources[0] == "s3://images/web/1/os.vhd"


def test_what_failed_is_tried_again_once(web: Registry, home: Home) -> None:
    version = published(web, home, {"West US": 1})
    web.change_regions(version.id, add=[elsewhere("East US", 2)])
    task = claim(web, version)
    web.copy_failed(task.id, "no space " * 500)
    replica = web.find_version(version.id).replica("eastus")
    assert replica is not None
    assert (replica.state, replica.usable, replica.copies[0].state) == ("Replicating", False, "Failed")
    assert len(replica.copies[0].error) == 500
    other = claim(web, version, tried=[task.id])
    assert other.number == 2, "the first one failed: the second need not wait for it"
    web.copy_done(other.id, 1)
    replica = web.find_version(version.id).replica("eastus")
    assert replica is not None
    assert (replica.state, replica.usable) == ("Failed", True)
    assert replica.location == "s3://images/web/1/os-2.vhd"
    assert web.claim_copy([version.id], failed=False) is None
    assert claim(web, version).id == task.id


def test_what_a_dead_process_had_is_taken_over(
    web: Registry, home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    version = published(web, home, {"West US": 2})
    monkeypatch.setattr(replicas_module, "current_owner", lambda: "another-boot/1/1")
    task = claim(web, version)
    monkeypatch.undo()
    assert not web.copy_done(task.id, 1), "not ours"
    again = claim(web, version)
    assert again.id == task.id
    web.copy_released(again.id)
    assert states(web.find_version(version.id))[0][3] == ["Completed", "Pending"]


def test_a_damaged_copy_is_not_used_any_more(web: Registry, home: Home) -> None:
    version = published(web, home, {"West US": 2}, luns=[1])
    web.copy_done(claim(web, version).id, 1)
    first, second = web.complete_copies([version.id])
    web.copy_checked(second.id)
    web.copy_damaged(version.id, first.location, "rotten")
    replica = web.find_version(version.id).replicas[0]
    assert (replica.state, replica.usable) == ("Failed", True)
    assert str(replica.path) == replica.location == second.location
    assert replica.data_disks[0].path.name == "os-2-lun1.vhd"
    task = claim(web, version)
    assert task.made_before
    assert task.sources == (second.location,)
    web.copy_checked(second.id, "rotten, too")
    assert not web.find_version(version.id).replicas[0].usable


def test_counts_and_regions_change_later(web: Registry, home: Home) -> None:
    version = published(web, home, {"West US": 1})
    more, gone = web.change_regions(
        version.id,
        add=[elsewhere("East US")],
        counts={"westus": 3},
        storage={"westus": "Premium_LRS"},
    )
    assert gone == ()
    assert states(more)[0] == ("West US", "Replicating", True, ["Completed", "Pending", "Pending"])
    assert more.replicas[0].storage_account_type == "Premium_LRS"
    less, gone = web.change_regions(version.id, counts={"westus": 2}, remove=["EASTUS"])
    assert states(less) == [("West US", "Replicating", True, ["Completed", "Pending"])]
    assert [at.rsplit("/", 1)[1] for at in gone] == ["os-3.vhd", "os.vhd"]


def test_a_smaller_count_keeps_what_is_complete(web: Registry, home: Home) -> None:
    version = published(web, home, {"West US": 2})
    web.copy_done(claim(web, version).id, 1)
    web.copy_checked(web.complete_copies([version.id])[0].id, "rotten")
    less, gone = web.change_regions(version.id, counts={"westus": 1})
    assert states(less) == [("West US", "Completed", True, ["Completed"])]
    assert less.replicas[0].location.endswith("os-2.vhd")
    assert [at.rsplit("/", 1)[1] for at in gone] == ["os.vhd"]
    more, _ = web.change_regions(version.id, counts={"westus": 3})
    assert [at.rsplit("/", 1)[1] for at in sorted(more.replicas[0].locations)] == [
        *("os-2.vhd", "os-3.vhd", "os.vhd"),
    ]


def test_wrong_changes_are_refused_in_azures_words(web: Registry, home: Home) -> None:
    version = published(web, home, {"West US": 1})
    with pytest.raises(PreflightError, match="must contain the location of image version West US"):
        web.change_regions(version.id, remove=["west us"])
    with pytest.raises(PreflightError, match="Duplicate regions"):
        web.change_regions(version.id, add=[elsewhere("WestUS")])
    with pytest.raises(PreflightError, match="may have 100 replicas; 101"):
        web.change_regions(version.id, counts={"westus": 101})
    with pytest.raises(PreflightError, match="at least one"):
        web.change_regions(version.id, counts={"westus": 0})
    with pytest.raises(NotFoundError, match="no replicas in north; it is in West US"):
        web.change_regions(version.id, counts={"north": 2})
    with pytest.raises(NotFoundError):
        web.change_regions(f"{WEB}/versions/7.0.0", counts={"westus": 2})
    assert states(web.find_version(version.id)) == states(version)


def test_shallow_has_one_replica(web: Registry, home: Home) -> None:
    held = web.reserve_version(WEB)
    path = home.regions / "westus/team.gallery/web/0.0.1/os.vhd"
    only = ReplicaRecord("West US", 1, "Standard_LRS", path, 4)
    web.complete_version(held.id, Delivery([only], size=4, replication_mode="Shallow"))
    with pytest.raises(PreflightError, match="Shallow makes no copies"):
        web.change_regions(held.id, counts={"westus": 2})


def test_what_is_being_made_is_not_taken_away(web: Registry, home: Home) -> None:
    version = published(web, home, {"West US": 2})
    task = claim(web, version)
    with pytest.raises(ConflictError, match="is being made at this moment"):
        web.change_regions(version.id, counts={"westus": 1})
    web.copy_released(task.id)
    web.change_regions(version.id, counts={"westus": 1})


def test_a_registry_from_before_there_were_copies(web: Registry, home: Home) -> None:
    """Its migration gives each region one, whatever its count says."""
    version = published(web, home, {"West US": 2})
    web.change_regions(version.id, counts={"westus": 1})
    with web._db.write() as session:
        session.execute(replicas_module.ReplicaRow.__table__.update().values(count=3, state="Replicating"))  # type: ignore[attr-defined]
    assert web.claim_copy([version.id]) is None
    web.complete_plan([version.id])
    assert claim(web, version).number == 2


def test_the_registry_has_one_name(web: Registry, home: Home) -> None:
    assert web.identity() == web.identity() != ""
    here, there = str(home.regions / "westus"), str(home.regions / "west")
    assert not web.has_copies(here)
    version = published(web, home, {"West US": 1})
    assert web.has_copies(here)
    assert not web.has_copies(there)
    web.change_regions(version.id, add=[elsewhere("East US")])
    assert not web.has_copies("s3://images")
    web.copy_done(claim(web, version).id, 1)
    assert web.has_copies("s3://images")
    assert replace(version, replicas=()).replica() is None


def test_deleting_takes_every_copy_along(web: Registry, home: Home, publish: Publish) -> None:
    version = publish("1.0.0")
    web.change_regions(version.id, counts={"westus": 2})
    task = claim(web, version)
    second = home.root / task.location
    second.write_bytes(b"disk")
    web.copy_done(task.id, 4)
    assert web.remove_orphans(lambda _: False) == []
    web.delete_version(version.id)
    assert list(home.regions.rglob("*")) == []
