from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from disk.vhd_file import MIB
from registry.conftest import GALLERY, WEB, definition, gallery

import builder.distributors.replicas as module
from builder.disk.data_disk import DataDiskSize
from builder.disk.extents import content_digest
from builder.disk.vhd import VhdError
from builder.distributors.shared_image import SharedImageDistributor
from builder.errors import ConflictError, InUseError, NotFoundError, PreflightError
from builder.events import Envelope
from builder.registry.records import Delivery
from builder.registry.store import Registry
from builder.services import Services
from builder.settings import Settings
from distributors.conftest import LINUX, Finished, with_data_disks
from templates.arm_id import ResourceIdError
from templates.model.distribute import SharedImageDistributor as Model


@pytest.fixture
def registry(services: Services) -> Registry:
    services.registry.create_gallery(gallery(location="West US"))
    services.registry.create_definition(definition(hyper_v_generation="V2"))
    return services.registry


def target(services: Services, image: str = WEB, **fields: Any) -> SharedImageDistributor:
    data = {"type": "SharedImage", "runOutputName": "shared", "galleryImageId": image, **fields}
    return SharedImageDistributor(Model.model_validate(data), services)


def regions(*names: str) -> list[dict[str, Any]]:
    return [{"name": name} for name in names]


def files(services: Services) -> list[Path]:
    return sorted(path for path in services.home.regions.rglob("*") if path.is_file())


def test_the_next_version_in_the_definitions_region(
    services: Services, registry: Registry, finished: Finished
) -> None:
    distributor = target(services, artifactTags={"a": "b"})
    assert distributor.preflight(LINUX) == "the next version of Team.gallery/web in West US"
    assert registry.list_versions() == []
    image = finished()
    artifact = distributor.distribute(image)
    version = registry.find_version(f"{WEB}/versions/latest")
    assert (artifact.version, artifact.artifact_id, artifact.type) == ("0.0.1", version.id, "SharedImage")
    assert artifact.path == services.home.regions / "westus/team.gallery/web/0.0.1/os.vhd"
    assert artifact.path.stat().st_ino == image.vhd.stat().st_ino
    assert (version.size, version.digest, version.run_id) == (2 * MIB, image.digest, "run-1")
    assert version.tags == artifact.tags == {"a": "b"}
    assert target(services).distribute(finished("run-2")).version == "0.0.2"


def test_every_region_gets_a_link(services: Services, registry: Registry, finished: Finished) -> None:
    wanted = [
        {"name": "eastus", "replicaCount": 3, "storageAccountType": "Premium_LRS"},
        {"name": "West US"},
    ]
    artifact = target(services, targetRegions=wanted, excludeFromLatest=True).distribute(finished())
    version = registry.find_version(artifact.artifact_id)
    assert [(r.region, r.count, r.storage_account_type) for r in version.replicas] == [
        ("eastus", 3, "Premium_LRS"),
        ("West US", 1, "Standard_LRS"),
    ]
    assert version.exclude_from_latest
    assert len({path.stat().st_ino for path in files(services)}) == 1
    assert len(files(services)) == 4
    assert all(replica.state == "Completed" and replica.usable for replica in version.replicas)
    assert [copy.location for copy in version.replicas[0].copies][1].endswith(
        "eastus/team.gallery/web/0.0.1/os-2.vhd"
    )
    assert artifact.path.is_relative_to(services.home.regions / "westus")


def test_an_explicit_version_is_reserved_and_given_back(services: Services, registry: Registry) -> None:
    distributor = target(services, f"{WEB}/versions/1.2.3")
    assert distributor.preflight(LINUX) == "version 1.2.3 of Team.gallery/web in West US"
    assert [v.state for v in registry.list_versions()] == ["Creating"]
    with pytest.raises(ConflictError, match="being made by another build"):
        target(replace(services, run_id="other"), f"{WEB}/versions/1.2.3").preflight(LINUX)
    assert distributor.preflight(LINUX).startswith("version 1.2.3")
    distributor.release()
    distributor.release()
    assert registry.list_versions() == []


@pytest.mark.parametrize("run_id", ["run-one", ""])
def test_two_targets_of_one_build_cannot_make_the_same_version(
    services: Services, registry: Registry, run_id: str
) -> None:
    """Also where one only asks, who has no run: nobody else would have to be waited for."""
    mine = replace(services, run_id=run_id)
    first = target(mine, f"{WEB}/versions/1.2.3")
    first.preflight(LINUX)
    with pytest.raises(ConflictError, match=r"Two targets .* version 1\.2\.3 of Team\.gallery/web") as caught:
        target(mine, f"{WEB.upper()}/versions/1.2.3").preflight(LINUX)
    assert not isinstance(caught.value, InUseError)
    first.release()
    assert registry.list_versions() == []


def test_an_explicit_version_is_published_once(
    services: Services, registry: Registry, finished: Finished
) -> None:
    distributor = target(services, f"{WEB}/versions/1.2.3")
    distributor.preflight(LINUX)
    done = registry.find_version(distributor.distribute(finished()).artifact_id)
    assert (done.version, done.run_id) == ("1.2.3", "run-1")
    distributor.release()
    assert registry.find_version(done.id) == done
    with pytest.raises(ConflictError, match=r"Version 1\.2\.3 of Team\.gallery/web already exists"):
        target(services, f"{WEB}/versions/1.2.3").preflight(LINUX)


def test_the_source_scheme(services: Services, registry: Registry, finished: Finished) -> None:
    scheme = {"scheme": "Source"}
    distributor = target(services, versioning=scheme)
    with pytest.raises(PreflightError, match="the source has no"):
        distributor.preflight(LINUX)
    assert "after the source's 5.6.7" in distributor.preflight(replace(LINUX, source_version="5.6.7"))
    assert distributor.distribute(finished(source_version="5.6.7")).version == "5.6.7"
    assert (
        target(services, versioning=scheme).distribute(finished("2", source_version="5.6.7")).version
        == "5.6.8"
    )


def test_versioning_beside_a_named_version_is_warned_about(
    services: Services, registry: Registry, said: list[Envelope]
) -> None:
    target(services, f"{WEB}/versions/1.0.0", versioning={"scheme": "Latest"}).preflight(LINUX)
    assert [getattr(item.event, "code", "") for item in said] == ["VersioningIgnored"]


@pytest.mark.parametrize("failing", ["second disk", "registry"])
def test_a_failure_takes_everything_back(
    services: Services, registry: Registry, finished: Finished, monkeypatch: pytest.MonkeyPatch, failing: str
) -> None:
    kept = target(services).distribute(finished("run-0"))
    if failing == "registry":
        monkeypatch.setattr(Registry, "complete_version", _interrupted)
    else:
        monkeypatch.setattr(module, "link_data_disks", _interrupted)
    distributor = target(services, f"{WEB}/versions/9.0.0", targetRegions=regions("westus", "eastus"))
    distributor.preflight(LINUX)
    with pytest.raises(KeyboardInterrupt):
        distributor.distribute(finished())
    assert files(services) == [kept.path]
    assert [v.version for v in registry.list_versions()] == ["0.0.1"]
    assert not (services.home.regions / "eastus").exists()


@pytest.mark.parametrize("name", ["", "/versions/9.0.0"])
def test_a_failure_after_the_commit_leaves_the_version_and_its_files(
    services: Services, registry: Registry, finished: Finished, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    real = Registry.complete_version

    def complete(self: Registry, version_id: str, delivery: Delivery) -> None:
        real(self, version_id, delivery)
        _interrupted()

    monkeypatch.setattr(Registry, "complete_version", complete)
    distributor = target(services, WEB + name, targetRegions=regions("westus", "eastus"))
    distributor.preflight(LINUX)
    with pytest.raises(KeyboardInterrupt):
        distributor.distribute(finished())
    distributor.release()
    version = registry.find_version(f"{WEB}/versions/latest")
    assert files(services) == [version.replicas[0].path]
    assert [(r.region, r.state, r.usable) for r in version.replicas] == [
        ("westus", "Completed", True),
        ("eastus", "Replicating", False),
    ]


def test_a_reservation_names_its_run(services: Services, registry: Registry) -> None:
    first = target(replace(services, run_id="run-one"), f"{WEB}/versions/1.0.0")
    first.preflight(LINUX)
    with pytest.raises(ConflictError, match=r"being made by another build \(run-one\)"):
        target(services, f"{WEB}/versions/1.0.0").preflight(LINUX)
    first.release()


def _interrupted(*_: object) -> None:
    raise KeyboardInterrupt


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"os_type": "Windows"}, "has a different OS type ['Linux'] than the parent gallery image OS type"),
        (
            {"hyper_v_generation": "V1"},
            "The resource with id 'shared' has a different Hypervisor generation ['V2'] than the parent "
            "gallery image Hypervisor generation ['V1']",
        ),
        (
            {"os_state": "Specialized"},
            "Cannot create Gallery Image Version from: shared since the OS State in the parent gallery image "
            "(Specialized) is not Generalized",
        ),
    ],
)
def test_an_image_of_another_kind_is_refused(
    services: Services, registry: Registry, changes: dict[str, Any], message: str
) -> None:
    other = f"{GALLERY}/images/other"
    properties = {"hyper_v_generation": "V2", **changes}
    registry.create_definition(definition(other, "me:other:1", **properties))
    with pytest.raises(PreflightError) as caught:
        target(services, f"{other}/versions/1.0.0").preflight(LINUX)
    assert message in caught.value.message
    assert registry.list_versions() == []


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        (
            {"targetRegions": regions("eastus", "northeurope")},
            "Gallery image version publishing profile regions eastus, northeurope must contain the location "
            "of image version West US",
        ),
        (
            {"replicationRegions": ["eastus"]},
            "regions eastus must contain the location of image version West US",
        ),
        (
            {"targetRegions": regions("westus", "West US")},
            "Duplicate regions are not allowed in target publishing regions",
        ),
        (
            {"targetRegions": regions("westus"), "replicationRegions": ["westus"]},
            "both targetRegions and replicationRegions",
        ),
        (
            {"targetRegions": regions("westus", "eastus"), "replicationMode": "Shallow"},
            "it allows one region with one replica",
        ),
        (
            {"targetRegions": [{"name": "westus", "replicaCount": 101}]},
            "A version may have 100 replicas; 101",
        ),
        ({"targetRegions": regions("westus", "../x")}, "'../x' is not a region name"),
    ],
)
def test_regions_that_cannot_be(
    services: Services, registry: Registry, fields: dict[str, Any], message: str
) -> None:
    with pytest.raises(PreflightError) as caught:
        target(services, f"{WEB}/versions/1.0.0", **fields).preflight(LINUX)
    assert message in caught.value.message
    assert registry.list_versions() == []


def test_shallow_in_one_region_is_fine(services: Services, registry: Registry, finished: Finished) -> None:
    artifact = target(services, replicationMode="Shallow").distribute(finished())
    assert registry.find_version(artifact.artifact_id).replication_mode == "Shallow"


def test_a_disk_that_is_too_large(services: Services, registry: Registry) -> None:
    with pytest.raises(PreflightError, match="larger than the 2 TiB"):
        target(services).preflight(replace(LINUX, size=3 * 1024**4))
    target(services, replicationMode="Shallow").preflight(replace(LINUX, size=3 * 1024**4))


def test_gallery_and_definition_must_be_there(services: Services, registry: Registry) -> None:
    with pytest.raises(NotFoundError, match="was not found") as caught:
        target(services, f"{GALLERY}/images/none").preflight(LINUX)
    assert "declare gallery and definition in the deployment" in (caught.value.hint or "")
    with pytest.raises(ResourceIdError):
        target(services, f"{WEB}/versions/latest").preflight(LINUX)


def test_release_never_raises(
    services: Services, registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    distributor = target(services, f"{WEB}/versions/1.0.0")
    distributor.preflight(LINUX)

    def refuse(*_: object) -> None:
        raise OSError("the disk is gone")

    monkeypatch.setattr(Registry, "abandon_version", refuse)
    distributor.release()


def test_every_region_has_the_data_disks(services: Services, registry: Registry, finished: Finished) -> None:
    image = with_data_disks(finished(), 0, 1)
    artifact = target(services, targetRegions=regions("West US", "eastus")).distribute(image)
    version = registry.find_version(artifact.artifact_id)
    for replica in version.replicas:
        folder = replica.path.parent
        assert replica.files == tuple(folder / name for name in ("os.vhd", "os-lun0.vhd", "os-lun1.vhd"))
        assert [(d.lun, d.digest) for d in replica.data_disks] == [
            (d.lun, d.digest) for d in image.data_disks
        ]
    assert artifact.data_disks == version.replicas[0].files[1:]
    assert len(files(services)) == 6
    assert registry.remove_orphans(lambda _: False) == []
    registry.delete_version(version.id)
    assert files(services) == []


def test_a_broken_data_disk_takes_the_version_back(
    services: Services, registry: Registry, finished: Finished
) -> None:
    image = with_data_disks(finished(), 0, 1)
    image.data_disks[1].vhd.write_bytes(b"broken")
    with pytest.raises(VhdError):
        target(services).distribute(image)
    assert files(services) == []
    assert registry.list_versions() == []


def test_a_data_disk_is_as_limited_as_the_os_disk(services: Services, registry: Registry) -> None:
    large = replace(LINUX, data_disks=(DataDiskSize(0, 3 * 1024**4),))
    with pytest.raises(PreflightError, match=r"The disk of 3\.0 TiB is larger than the 2 TiB"):
        target(services).preflight(large)


def test_what_a_killed_build_left_in_a_place_outside_the_home_is_no_obstacle(
    services: Services, registry: Registry, finished: Finished, tmp_path: Path
) -> None:
    """It was killed before its version was published, or in the middle of the copy."""
    place = tmp_path / "west"
    rest = place / "team.gallery/web/1.0.0/os.vhd"
    rest.parent.mkdir(parents=True)
    rest.write_bytes(b"another build's")
    rest.with_name(".os.vhd.part").write_bytes(b"another build's" * 10000)
    here = replace(services, settings=Settings.model_validate({"regions": {"westus": str(place)}}))
    distributor = target(here, f"{WEB}/versions/1.0.0")
    distributor.preflight(LINUX)
    artifact = distributor.distribute(finished())
    assert artifact.path == rest
    assert content_digest(rest, artifact.size) == registry.find_version(artifact.artifact_id).digest
    assert [path.name for path in rest.parent.iterdir()] == ["os.vhd"]


def test_a_version_whose_region_is_at_a_url_says_its_url(
    services: Services, registry: Registry, finished: Finished
) -> None:
    url = "memory://shared-image-target"
    here = replace(services, settings=Settings.model_validate({"regions": {"westus": url}}))
    artifact = target(here).distribute(with_data_disks(finished(), 1))
    folder = f"{url}/team.gallery/web/0.0.1"
    assert (artifact.path, artifact.uri) == (None, f"{folder}/os.vhd")
    assert artifact.data_disks == (f"{folder}/os-lun1.vhd",)
    assert artifact.place == artifact.artifact_id
