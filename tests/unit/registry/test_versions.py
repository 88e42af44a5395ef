from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

import builder.registry.versions as versions_module
from builder.errors import ConflictError, NotFoundError
from builder.registry import holder
from builder.registry.records import Delivery
from builder.registry.rules import BadNameError
from builder.registry.store import Registry
from builder.settings import Home
from registry.conftest import GALLERY, WEB, Publish, open_registry
from templates.model.distribute import LatestVersioning, SourceVersioning

LATEST = f"{WEB}/versions/latest"


def test_a_reservation_becomes_a_version(web: Registry) -> None:
    held = web.reserve_version(WEB, "1.0.0", run_id="run-1")
    assert (held.state, held.version, held.run_id, held.replicas) == ("Creating", "1.0.0", "run-1", ())
    with pytest.raises(ConflictError, match="still being made"):
        web.find_version(held.id)
    with pytest.raises(NotFoundError):
        web.find_version(LATEST)
    done = web.complete_version(held.id, Delivery([], size=5, source="s", template="t", tags={"a": "b"}))
    assert (done.state, done.size, done.source, done.template) == ("Succeeded", 5, "s", "t")
    assert done.tags == {"a": "b"}
    assert done.published_at is not None
    assert web.find_version(held.id.upper().replace("VERSIONS", "versions")) == done


def test_a_version_cannot_be_made_twice(web: Registry, publish: Publish) -> None:
    version = publish("1.0.0")
    with pytest.raises(ConflictError, match=r"Version 1\.0\.0 of Team\.gallery/web already exists") as caught:
        web.reserve_version(WEB, "1.0.0")
    assert any(
        "storageProfile.osDiskImage.source.id' is not allowed" in line for line in caught.value.details
    )
    with pytest.raises(ConflictError, match="not reserved by this build"):
        web.complete_version(version.id, Delivery([], size=1))


def test_a_number_held_by_a_living_build_is_taken(web: Registry) -> None:
    web.reserve_version(WEB, "1.0.0", run_id="run-1")
    with pytest.raises(ConflictError, match=r"is being made by another build \(run-1\)"):
        web.reserve_version(WEB, "1.0.0")


def test_a_number_held_by_a_dead_build_is_free(web: Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(versions_module, "current_owner", lambda: "another-boot/1/1")
    web.reserve_version(WEB, "1.0.0", run_id="dead")
    monkeypatch.undo()
    assert web.reserve_version(WEB, "1.0.0", run_id="mine").run_id == "mine"


def test_what_was_abandoned_is_free_again_and_a_version_stays(web: Registry, publish: Publish) -> None:
    held = web.reserve_version(WEB, "1.0.0")
    assert web.abandon_version(held.id)
    assert not web.abandon_version(held.id)
    done = publish("1.0.0")
    assert not web.abandon_version(done.id)
    assert web.find_version(done.id) == done


def test_automatic_numbers_count_reserved_and_excluded_ones(web: Registry, publish: Publish) -> None:
    publish("1.0.0", exclude=True)
    web.reserve_version(WEB, "1.0.5")
    assert web.reserve_version(WEB).version == "1.0.6"
    assert web.reserve_version(WEB, None, LatestVersioning(scheme="Latest", major=3)).version == "3.0.1"
    source = SourceVersioning(scheme="Source")
    assert web.reserve_version(WEB, None, source, source_version="1.0.2").version == "1.0.7"


def test_racing_builds_get_different_numbers(web: Registry, home: Home) -> None:
    together = threading.Barrier(8)

    def take(_: int) -> list[str]:
        registry = open_registry(home)
        together.wait()
        return [registry.reserve_version(WEB).version for _ in range(5)]

    with ThreadPoolExecutor(8) as pool:
        numbers = [number for batch in pool.map(take, range(8)) for number in batch]
    assert sorted(numbers, key=lambda n: int(n.split(".")[2])) == [f"0.0.{n}" for n in range(1, 41)]


def test_latest_is_the_highest_number_not_the_newest_or_longest(web: Registry, publish: Publish) -> None:
    for name in ("1.10.0", "1.9.9", "0.99.99", "1.2.30"):
        publish(name)
    assert web.find_version(LATEST).version == "1.10.0"
    assert [v.version for v in web.list_versions(WEB)] == ["1.10.0", "1.9.9", "1.2.30", "0.99.99"]
    assert [v.version for v in web.list_versions(WEB, limit=1)] == ["1.10.0"]


def test_latest_passes_over_excluded_versions(web: Registry, publish: Publish) -> None:
    publish("1.0.0")
    publish("2.0.0", exclude=True)
    assert web.find_version(LATEST).version == "1.0.0"
    assert web.find_version(f"{WEB}/versions/2.0.0").exclude_from_latest


def test_latest_is_what_the_asking_region_has(web: Registry, publish: Publish) -> None:
    publish("1.0.0", ["West US", "East US"])
    publish("2.0.0", ["West US"])
    assert web.find_version(LATEST, "westus").version == "2.0.0"
    assert web.find_version(LATEST, "eastus").version == "1.0.0"
    assert web.find_version(LATEST).version == "2.0.0"


def test_a_regions_own_flag_beats_the_versions(web: Registry, publish: Publish) -> None:
    publish("1.0.0", ["West US", "East US"])
    publish("2.0.0", [("West US", True), ("East US", None)])
    publish("3.0.0", [("West US", None), ("East US", False)], exclude=True)
    assert web.find_version(LATEST, "West US").version == "1.0.0"
    assert web.find_version(LATEST, "East US").version == "3.0.0"
    assert web.find_version(LATEST).version == "2.0.0"


def test_no_latest_in_azures_words(web: Registry, publish: Publish) -> None:
    with pytest.raises(NotFoundError) as caught:
        web.find_version(LATEST)
    assert caught.value.message == f'There is no latest image version exists for "{WEB}"'
    publish("1.0.0", ["West US"])
    for wanted in (LATEST, f"{WEB}/versions/1.0.0"):
        with pytest.raises(
            NotFoundError, match=r"is not available in eastus region\. Please contact image owner"
        ):
            web.find_version(wanted, "eastus")


def test_a_version_knows_its_copies(web: Registry, publish: Publish, home: Home) -> None:
    version = publish("1.0.0", ["East US", "West US"])
    main, east = version.replica(), version.replica("eastus")
    assert main is not None
    assert main.region == "West US"
    assert east is not None
    assert east.path == home.regions / "eastus/team.gallery/web/1.0.0/os.vhd"
    assert version.replica("north") is None


def test_a_home_can_be_moved(web: Registry, publish: Publish, home: Home) -> None:
    publish("1.0.0")
    web.close()
    moved = Home(home.root.rename(home.root.with_name("moved")))
    replica = Registry(moved).find_version(LATEST).replica()
    assert replica is not None
    assert replica.path.read_bytes() == b"disk"


def test_deleting_a_version_removes_its_files_and_empty_folders(
    web: Registry, publish: Publish, home: Home
) -> None:
    first, second = publish("1.0.0", ["West US", "East US"]), publish("1.0.1", ["West US"])
    web.delete_version(first.id)
    assert [p.name for p in home.regions.rglob("*")].count("os.vhd") == 1
    assert [p.name for p in home.regions.iterdir()] == ["westus"]
    assert web.list_versions() == [second]
    with pytest.raises(NotFoundError):
        web.delete_version(first.id)
    web.delete_version(second.id)
    assert list(home.regions.iterdir()) == []


@pytest.mark.parametrize("name", ["1.0", "01.0.0", "x"])
def test_names_of_versions_are_checked(web: Registry, name: str) -> None:
    with pytest.raises(BadNameError):
        web.reserve_version(WEB, name)


def test_latest_cannot_be_deleted_and_what_is_being_made_neither(web: Registry, publish: Publish) -> None:
    publish("1.0.0")
    with pytest.raises(BadNameError):
        web.delete_version(LATEST)
    held = web.reserve_version(WEB, "2.0.0")
    with pytest.raises(ConflictError, match="running build"):
        web.delete_version(held.id)


def test_a_version_of_nothing(web: Registry) -> None:
    with pytest.raises(
        NotFoundError, match=r"Team\.gallery/none' under resource group 'Images' was not found"
    ):
        web.reserve_version(f"{GALLERY}/images/none", "1.0.0")


def test_reclaim_takes_back_what_dead_processes_hold(
    web: Registry, publish: Publish, monkeypatch: pytest.MonkeyPatch
) -> None:
    done = publish("1.0.0")
    mine = web.reserve_version(WEB, "1.0.1")
    monkeypatch.setattr(versions_module, "current_owner", lambda: "another-boot/1/1")
    dead = web.reserve_version(WEB, "1.0.2")
    monkeypatch.undo()
    assert web.reclaim().versions == (dead.id,)
    assert [v.id for v in web.list_versions()] == [mine.id, done.id]
    monkeypatch.setattr(holder, "is_held", lambda _: False)
    assert web.reclaim().versions == (mine.id,)
