from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from disk.vhd_file import MIB, write_vhd

from builder.deadline import Deadline
from builder.disk.data_disk import DataDiskSize
from builder.disk.extents import content_digest
from builder.distributors.base import ExpectedImage, FinishedDataDisk, FinishedImage
from builder.events import Envelope, EventBus
from builder.redact import Redactor
from builder.services import Services
from builder.settings import Home, Settings

DISKS = (DataDiskSize(0, MIB), DataDiskSize(1, MIB))
LINUX = ExpectedImage("Linux", "V2", 2 * MIB)


@pytest.fixture
def said() -> list[Envelope]:
    return []


@pytest.fixture
def services(tmp_path: Path, said: list[Envelope]) -> Iterator[Services]:
    redactor = Redactor()
    bus = EventBus(redactor)
    bus.add_sink(said.append)
    base = tmp_path / "templates"
    base.mkdir()
    made = Services(
        home=Home(tmp_path / "home"),
        settings=Settings(),
        bus=bus,
        redactor=redactor,
        deadline=Deadline(60),
        base_dir=base,
        output_dir=tmp_path / "out",
    )
    yield made
    made.registry.close()


Finished = Callable[..., FinishedImage]


@pytest.fixture
def finished(services: Services) -> Finished:
    def make(run_id: str = "run-1", data: bytes = b"data", **changes: Any) -> FinishedImage:
        vhd = write_vhd(services.home.staging / run_id / "os.vhd", 2 * MIB, data, MIB)
        image = FinishedImage(
            vhd=vhd,
            virtual_size=2 * MIB,
            os_type="Linux",
            generation="V2",
            digest_of=partial(content_digest, vhd, 2 * MIB),
            source="debian 12",
            template="web",
            run_id=run_id,
        )
        return replace(image, **changes)

    return make


def with_data_disks(image: FinishedImage, *luns: int) -> FinishedImage:
    """`image` with data disks of 1 MiB."""
    disks = []
    for lun in luns:
        vhd = write_vhd(image.vhd.with_name(f"lun{lun}.vhd"), MIB, f"disk {lun}".encode())
        disks.append(FinishedDataDisk(lun, vhd, MIB, partial(content_digest, vhd, MIB)))
    return replace(image, data_disks=tuple(disks))
