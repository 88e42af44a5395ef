"""What is refused before a disk is converted: no process is started here."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest
from registry.conftest import GROUP, IMAGE, WEB, definition, gallery, image_record

from builder.cli.images_import import data_disks_of
from builder.disk.formats import DiskFormatError
from builder.errors import ConflictError, NotFoundError, PreflightError, UsageError
from builder.interchange.importing import Incoming, import_image, import_version
from builder.publish import Wanted
from builder.services import Services

DISK = Incoming(Path("disk.vhd"))


def test_a_name_that_cannot_be_one(services: Services) -> None:
    with pytest.raises(PreflightError, match="is invalid"):
        import_image(DISK, f"{GROUP}/images/a b", services)
    with pytest.raises(UsageError, match="can only be a gallery version"):
        import_image(replace(DISK, os_state="Specialized"), IMAGE, services)


def test_one_that_is_there(services: Services) -> None:
    services.registry.put_image(image_record(services.home))
    with pytest.raises(ConflictError, match="There is a managed image"):
        import_image(DISK, IMAGE, services)


def test_a_definition_that_takes_no_such_disk(services: Services) -> None:
    with pytest.raises(NotFoundError):
        import_version(DISK, Wanted(WEB), services)
    services.registry.create_gallery(gallery(location="West US"))
    services.registry.create_definition(definition())
    for wrong, said in (
        (replace(DISK, os_state="Specialized"), "OS State"),
        (replace(DISK, generation="V2"), "Hypervisor generation"),
        (replace(DISK, os_type="Windows"), "OS type"),
    ):
        with pytest.raises(PreflightError, match=said):
            import_version(wrong, Wanted(f"{WEB}/versions/1.0.0"), services)
    assert services.registry.list_versions() == []


@pytest.mark.parametrize("lun", ["9" * 5000, "\u00b2", "-1", "64", ""])
def test_a_lun_that_is_none(lun: str) -> None:
    with pytest.raises(UsageError, match="luns go up to 63"):
        data_disks_of([f"{lun}=data.vhd"])


def test_a_pipe_is_not_waited_for(services: Services, tmp_path: Path) -> None:
    pipe = tmp_path / "disk.vhd"
    os.mkfifo(pipe)
    for file in (pipe, Path("/dev/zero")):
        with pytest.raises(DiskFormatError, match="is no disk: a pipe"):
            import_image(replace(DISK, file=file), IMAGE, services)
