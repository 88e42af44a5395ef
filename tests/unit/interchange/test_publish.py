"""Versions without a build: of managed images, of versions, and from another home."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from disk.vhd_file import MIB
from distributors.conftest import Finished, with_data_disks
from registry.conftest import GALLERY, IMAGE, WEB, definition, gallery

from builder.distributors.managed_image import ManagedImageDistributor
from builder.errors import ConflictError, NotFoundError, PreflightError, UsageError
from builder.events import Envelope
from builder.interchange.copying import create_version, find_source, finished_of, parse_target
from builder.publish import Wanted
from builder.registry.records import ImageRecord
from builder.registry.store import Registry
from builder.services import Services
from builder.settings import Home, Settings
from builder.sources.revoked import RevokedError
from templates.model.distribute import ManagedImageDistributor as ManagedImageModel
from templates.model.distribute import TargetRegion


@pytest.fixture
def image(services: Services, finished: Finished) -> ImageRecord:
    """A managed image with a data disk, and a definition that takes it."""
    registry = services.registry
    registry.create_gallery(gallery(location="West US"))
    registry.create_definition(definition(hyper_v_generation="V2"))
    model = ManagedImageModel(
        type="ManagedImage", run_output_name="o", image_id=IMAGE, location="West US", artifact_tags={}
    )
    ManagedImageDistributor(model, services).distribute(with_data_disks(finished(), 2))
    return registry.find_image(IMAGE)


@pytest.fixture
def at_work(services: Services) -> Services:
    return replace(services, run_id="publish-1")


def test_a_managed_image_becomes_a_version(image: ImageRecord, at_work: Services) -> None:
    regions = [TargetRegion(name="westus", replica_count=2), TargetRegion(name="East US")]
    wanted = Wanted(WEB, regions, exclude_from_latest=True, end_of_life="2999-01-01T00:00:00+00:00")
    made = create_version(at_work, "web", wanted)
    assert (made.version, made.state, made.exclude_from_latest) == ("0.0.1", "Succeeded", True)
    assert (made.digest, made.source, made.parent) == (image.digest, image.id, image.id.lower())
    assert made.end_of_life == "2999-01-01T00:00:00+00:00"
    assert {(one.region, one.count) for one in made.replicas} == {("westus", 2), ("East US", 1)}
    main = made.replica()
    assert main is not None and [disk.lun for disk in main.data_disks] == [2]
    assert main.path.samefile(image.path)  # links, no bytes


def test_a_version_becomes_another_one(image: ImageRecord, at_work: Services) -> None:
    first = create_version(at_work, IMAGE, Wanted(f"{WEB}/versions/1.0.0"))
    second = create_version(at_work, "Team.gallery/web/latest", Wanted(WEB))
    assert (second.version, second.parent, second.source) == ("1.0.1", first.id.lower(), first.id)
    with pytest.raises(ConflictError, match="already exists"):
        create_version(at_work, "web", Wanted(f"{WEB}/versions/1.0.0"))
    source, found = finished_of(at_work, "Team.gallery/web/1.0.1", "westus")
    assert (source, found.virtual_size, len(found.data_disks)) == (second.id, 2 * MIB, 1)
    with pytest.raises(NotFoundError, match="eastus"):
        finished_of(at_work, "Team.gallery/web/1.0.1", "eastus")


def test_what_does_not_fit_is_refused_and_no_number_is_taken(image: ImageRecord, at_work: Services) -> None:
    registry = at_work.registry
    other = f"{GALLERY}/images/machines"
    registry.create_definition(definition(other, "me:m:1", os_state="Specialized", hyper_v_generation="V2"))
    with pytest.raises(PreflightError, match=f"from: {image.id} since the OS State"):
        create_version(at_work, "web", Wanted(other))
    with pytest.raises(PreflightError, match="must contain the location"):
        create_version(at_work, "web", Wanted(WEB, [TargetRegion(name="eastus")]))
    with pytest.raises(PreflightError, match="must be a future date"):
        create_version(at_work, "web", Wanted(WEB, end_of_life="2020-01-01"))
    assert registry.list_versions() == []


def test_a_revoked_version_is_no_source(image: ImageRecord, at_work: Services, said: list[Envelope]) -> None:
    made = create_version(at_work, "web", Wanted(WEB))
    at_work.registry.revoke_version(made.id, "CVE")
    with pytest.raises(RevokedError, match="revoked: CVE"):
        create_version(at_work, made.id, Wanted(WEB))
    assert len(at_work.registry.list_versions()) == 1
    # It can still be looked into elsewhere, with a word about it.
    assert finished_of(at_work, made.id)[1].digest == image.digest
    assert any(getattr(one.event, "code", "") == "Revoked" for one in said)


def test_a_file_that_is_gone_is_said(image: ImageRecord, at_work: Services) -> None:
    image.data_disks[0].path.unlink()
    with pytest.raises(NotFoundError, match="data disk 2"):
        create_version(at_work, "web", Wanted(WEB))


def test_from_another_home_it_is_copied(image: ImageRecord, services: Services, tmp_path: Path) -> None:
    services.registry.close()
    home = Home(tmp_path / "other")
    home.ensure()
    registry = Registry.of(home, Settings())
    registry.create_gallery(gallery(location="West US"))
    registry.create_definition(definition(hyper_v_generation="V2"))
    there = replace(services, home=home, run_id="publish-2")
    vars(there).pop("registry", None)
    made = create_version(there, "web", Wanted(WEB), from_home=services.home.root)
    main = made.replica()
    assert main is not None and main.path.is_relative_to(home.root)
    assert not main.path.samefile(image.path) and main.path.stat().st_size == image.path.stat().st_size
    assert (made.digest, made.source, made.parent) == (image.digest, image.id, "")
    assert [path.name for path in home.staging.iterdir() if not path.name.startswith(".")] == []
    with pytest.raises(NotFoundError, match="no home of Goldsmith"):
        create_version(there, "web", Wanted(WEB), from_home=tmp_path / "nowhere")
    registry.close()
    there.registry.close()


def test_names_of_sources_and_targets(image: ImageRecord, at_work: Services) -> None:
    registry = at_work.registry
    for text in ("web", "images/web", IMAGE):
        assert find_source(registry, text, "0000").id.lower() == IMAGE.lower()
    with pytest.raises(NotFoundError):
        find_source(registry, "Team.gallery/web/1.0.0", "0000")
    with pytest.raises(UsageError):
        find_source(registry, "a/b/c/d", "0000")
    assert parse_target(registry, "team.gallery/web") == WEB
    assert parse_target(registry, "team.gallery/web/1.2.3") == f"{WEB}/versions/1.2.3"
    assert parse_target(registry, WEB) == WEB
    with pytest.raises(UsageError, match="no number"):
        parse_target(registry, "team.gallery/web/latest")


def test_a_replica_known_to_be_damaged_is_no_source(image: ImageRecord, at_work: Services) -> None:
    regions = [TargetRegion(name="westus"), TargetRegion(name="eastus")]
    made = create_version(at_work, "web", Wanted(WEB, regions))
    own, other = made.replica("westus"), made.replica("eastus")
    assert own is not None and other is not None
    registry = at_work.registry
    registry.copy_damaged(made.id, own.location, "its content is another")
    assert finished_of(at_work, made.id)[1].vhd == other.path
    with pytest.raises(NotFoundError, match="in westus is complete"):
        finished_of(at_work, made.id, "westus")
    registry.copy_damaged(made.id, other.location, "its content is another")
    with pytest.raises(NotFoundError, match="No replica"):
        create_version(at_work, made.id, Wanted(WEB))
    assert len(registry.list_versions()) == 1
