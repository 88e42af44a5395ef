from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest
from disk.vhd_file import MIB

from builder.cancellation import Interrupted, cancel_on_signals
from builder.disk.vhd import VhdError
from builder.distributors.managed_image import ManagedImageDistributor
from builder.errors import PreflightError
from builder.registry.records import ImageRecord
from builder.registry.schema import DataDiskRow, ImageRow
from builder.registry.store import Registry, RegistryError
from builder.services import Services
from distributors.conftest import LINUX, Finished, with_data_disks
from templates.arm_id import ResourceIdError
from templates.model.distribute import ManagedImageDistributor as Model

IMAGE = "/subscriptions/0000/resourceGroups/Images/providers/Microsoft.Compute/images/Web"


def target(services: Services, image_id: str = IMAGE, location: str = "westus") -> ManagedImageDistributor:
    model = Model(
        type="ManagedImage",
        run_output_name="image",
        image_id=image_id,
        location=location,
        artifact_tags={"a": "b"},
    )
    return ManagedImageDistributor(model, services)


def files(services: Services) -> list[Path]:
    return sorted(path for path in services.home.images.rglob("*") if path.is_file())


def test_the_image_is_recorded_and_its_file_linked(services: Services, finished: Finished) -> None:
    distributor = target(services)
    assert distributor.preflight(LINUX) == "managed image Images/Web in westus"
    image = finished()
    artifact = distributor.distribute(image)
    record = services.registry.find_image(IMAGE.lower())
    assert artifact.path == record.path == services.home.images / "images" / "web" / "run-1.vhd"
    assert artifact.path.stat().st_ino == image.vhd.stat().st_ino
    assert artifact.path.stat().st_mode & 0o777 == 0o444
    assert (artifact.artifact_id, artifact.type, artifact.size) == (IMAGE, "ManagedImage", 2 * MIB)
    assert (record.location, record.os_type, record.generation) == ("westus", "Linux", "V2")
    assert (record.digest, record.source, record.template) == (image.digest, "debian 12", "web")
    assert record.tags == {"a": "b"}


def test_one_id_is_one_target_in_any_case(services: Services) -> None:
    assert target(services).target() == target(services, IMAGE.upper()).target()
    assert target(services).target() != target(services, f"{IMAGE}2").target()


def test_the_next_build_replaces_it_and_its_file(services: Services, finished: Finished) -> None:
    target(services).distribute(finished("run-1"))
    assert "replacing the one of" in target(services).preflight(LINUX)
    second = target(services, location="eastus").distribute(finished("run-2", b"new"))
    assert files(services) == [second.path]
    assert services.registry.find_image(IMAGE).location == "eastus"


def test_the_same_image_twice_in_a_run_keeps_its_file(services: Services, finished: Finished) -> None:
    image = finished()
    first = target(services).distribute(image)
    target(services).distribute(image)
    assert files(services) == [first.path]


def test_a_failure_leaves_the_old_image(
    services: Services, finished: Finished, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = target(services).distribute(finished("run-1"))

    def refuse(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Registry, "put_image", refuse)
    with pytest.raises(KeyboardInterrupt):
        target(services).distribute(finished("run-2"))
    assert files(services) == [old.path]
    assert services.registry.find_image(IMAGE).run_id == "run-1"


def after_the_commit(monkeypatch: pytest.MonkeyPatch, then: Callable[[], None]) -> None:
    real = Registry.put_image

    def put(self: Registry, record: ImageRecord) -> ImageRecord | None:
        old = real(self, record)
        then()
        return old

    monkeypatch.setattr(Registry, "put_image", put)


def fail() -> None:
    raise KeyboardInterrupt


def test_a_failure_after_the_commit_leaves_the_image_and_its_file(
    services: Services, finished: Finished, monkeypatch: pytest.MonkeyPatch
) -> None:
    after_the_commit(monkeypatch, fail)
    with pytest.raises(KeyboardInterrupt):
        target(services).distribute(finished("run-2"))
    record = services.registry.find_image(IMAGE)
    assert files(services) == [record.path]


def test_a_registry_that_does_not_answer_costs_no_file(
    services: Services, finished: Finished, monkeypatch: pytest.MonkeyPatch
) -> None:
    after_the_commit(monkeypatch, fail)

    def locked(*_: object) -> None:
        raise RegistryError("locked")

    with monkeypatch.context() as patch:
        patch.setattr(Registry, "find_image", locked)
        with pytest.raises(KeyboardInterrupt):
            target(services).distribute(finished("run-2"))
    assert files(services) == [services.registry.find_image(IMAGE).path]


def test_a_cancel_at_the_commit_waits_until_the_old_file_is_gone(
    services: Services, finished: Finished, monkeypatch: pytest.MonkeyPatch
) -> None:
    target(services).distribute(finished("run-1"))
    after_the_commit(monkeypatch, lambda: os.kill(os.getpid(), signal.SIGTERM))
    with pytest.raises(Interrupted), cancel_on_signals():
        target(services).distribute(finished("run-2"))
    record = services.registry.find_image(IMAGE)
    assert record.run_id == "run-2"
    assert files(services) == [record.path]


def test_a_broken_vhd_is_never_recorded(services: Services, finished: Finished) -> None:
    image = finished()
    with image.vhd.open("r+b") as file:
        file.truncate(MIB)
    with pytest.raises(VhdError):
        target(services).distribute(image)
    assert files(services) == []
    assert services.registry.list_images() == []


@pytest.mark.parametrize(
    ("image_id", "location", "error"),
    [
        ("Web", "westus", ResourceIdError),
        (IMAGE.replace("images/Web", "disks/Web"), "westus", ResourceIdError),
        (IMAGE, " ", PreflightError),
        (IMAGE.replace("Web", ".."), "westus", PreflightError),
        (IMAGE.replace("Images", ".."), "westus", PreflightError),
    ],
)
def test_what_cannot_be(services: Services, image_id: str, location: str, error: type[Exception]) -> None:
    with pytest.raises(error):
        target(services, image_id, location).preflight(LINUX)


def test_data_disks_are_recorded_and_replaced_with_their_image(
    services: Services, finished: Finished
) -> None:
    image = with_data_disks(finished(), 0, 2)
    artifact = target(services).distribute(image)
    record = services.registry.find_image(IMAGE)
    folder = services.home.images / "images" / "web"
    assert record.files == (folder / "run-1.vhd", folder / "run-1-lun0.vhd", folder / "run-1-lun2.vhd")
    assert artifact.data_disks == record.files[1:]
    assert [(d.lun, d.size, d.digest) for d in record.data_disks] == [
        (d.lun, MIB, d.digest) for d in image.data_disks
    ]
    assert all(file.stat().st_mode & 0o777 == 0o444 for file in record.files)
    assert services.registry.remove_orphans(lambda _: False) == []
    deleted = [change.name for change in target(services).changes() if change.action == "delete"]
    assert deleted == [str(file) for file in record.files]
    target(services).distribute(with_data_disks(finished("run-2"), 0))
    assert [file.name for file in files(services)] == ["run-2-lun0.vhd", "run-2.vhd"]


def test_a_data_disk_that_cannot_be_linked_leaves_nothing(services: Services, finished: Finished) -> None:
    image = with_data_disks(finished(), 0, 1)
    image.data_disks[1].vhd.write_bytes(b"broken")
    with pytest.raises(VhdError):
        target(services).distribute(image)
    assert files(services) == []
    assert services.registry.list_images() == []


def test_a_data_disk_of_a_living_run_is_no_orphan(services: Services, finished: Finished) -> None:
    image = with_data_disks(finished(), 11)
    target(services).distribute(image)
    with services.registry._db.write() as session:  # as before the row is there
        session.query(ImageRow).delete()
        session.query(DataDiskRow).delete()
    assert services.registry.remove_orphans(lambda run: run == "run-1") == []
    assert len(services.registry.remove_orphans(lambda _: False)) == 2
