from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from builder.registry import postgres
from builder.registry.caller import Caller
from builder.registry.limits import AZURES, Limits
from builder.registry.records import DataDiskRecord, Delivery, ImageRecord, ReplicaRecord, VersionRecord
from builder.registry.store import Registry
from builder.settings import Home
from templates.model.gallery import DefinitionProperties, Gallery, Identifier, ImageDefinition

GROUP = "/subscriptions/0000/resourceGroups/Images/providers/Microsoft.Compute"
GALLERY = f"{GROUP}/galleries/Team.gallery"
WEB = f"{GALLERY}/images/web"
IMAGE = f"{GROUP}/images/Web"
ME = Caller("User", "alice", object_id="1000")
SERVER = "GOLDSMITH_TEST_REGISTRY_URL"


def gallery(arm_id: str = GALLERY, **changes: Any) -> Gallery:
    return Gallery(id=arm_id, name=arm_id.rsplit("/", 1)[1], **changes)


def definition(arm_id: str = WEB, triple: str = "me:web:1", **changes: Any) -> ImageDefinition:
    publisher, offer, sku = triple.split(":")
    outer = {key: changes.pop(key) for key in ("location", "tags") if key in changes}
    properties = DefinitionProperties(
        os_type=changes.pop("os_type", "Linux"),
        identifier=Identifier(publisher=publisher, offer=offer, sku=sku),
        **changes,
    )
    return ImageDefinition(id=arm_id, name=arm_id.rsplit("/", 1)[1], properties=properties, **outer)


def image_record(
    home: Home, arm_id: str = IMAGE, run: str = "run-1", *, digest: str = "d", keep_file: bool = False
) -> ImageRecord:
    name = arm_id.rsplit("/", 1)[1]
    path = home.images / "images" / name.lower() / f"{run}.vhd"
    path.parent.mkdir(parents=True, exist_ok=True)
    if not keep_file:
        path.write_bytes(b"disk")
    return ImageRecord(
        id=arm_id,
        name=name,
        resource_group=arm_id.split("/")[4],
        location="westus",
        os_type="Linux",
        generation="V2",
        path=path,
        size=4,
        size_on_disk=4096,
        digest=digest,
        source="s",
        template="t",
        run_id=run,
        tags={"a": "b"},
        created_at=datetime(2026, 1, 2, 3, 4, 5, 678, tzinfo=UTC),
        created_by=str(ME),
    )


def with_data_disks(record: ImageRecord, *luns: int) -> ImageRecord:
    """`record` with a file beside it for each lun."""
    disks = []
    for lun in luns:
        path = record.path.with_name(f"{record.path.stem}-lun{lun}.vhd")
        path.write_bytes(b"data")
        disks.append(DataDiskRecord(lun, path, 4, 4096, f"digest-{lun}"))
    return replace(record, data_disks=tuple(disks))


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    if os.environ.get(SERVER):  # the command finds the same registry
        monkeypatch.setenv("GOLDSMITH_REGISTRY_URL", os.environ[SERVER])
    return Home(tmp_path / "home")


def open_registry(home: Home, caller: Caller = ME, limits: Limits = AZURES) -> Registry:
    """The registry of `home`, as somebody; in the ring that has a PostgreSQL server these tests run on
    that, too.
    """
    return Registry(home, url=os.environ.get(SERVER), caller=caller, limits=limits)


@pytest.fixture
def registry(home: Home) -> Iterator[Registry]:
    if os.environ.get(SERVER):
        empty(os.environ[SERVER])
    opened = open_registry(home)
    yield opened
    opened.close()


def empty(url: str) -> None:
    """Make the database as it was when the server made it."""
    engine = postgres.engine(postgres.parse(url)).execution_options(**{postgres.WRITES: True})
    with engine.begin() as connection:
        connection.execute(text("DROP SCHEMA public CASCADE"))
        connection.execute(text("CREATE SCHEMA public"))
    engine.dispose()


@pytest.fixture
def web(registry: Registry) -> Registry:
    """A registry with one gallery in West US and one definition."""
    registry.create_gallery(gallery(location="West US"))
    registry.create_definition(definition())
    return registry


Publish = Callable[..., VersionRecord]


@pytest.fixture
def publish(web: Registry, home: Home) -> Publish:
    def make(
        name: str | None = None,
        regions: Sequence[str | tuple[str, bool | None]] = ("West US",),
        *,
        exclude: bool = False,
    ) -> VersionRecord:
        version = web.reserve_version(WEB, name)
        replicas = []
        for item in regions:
            region, flag = item if isinstance(item, tuple) else (item, None)
            path = (
                home.regions
                / region.lower().replace(" ", "")
                / "team.gallery/web"
                / version.version
                / "os.vhd"
            )
            path.parent.mkdir(parents=True)
            path.write_bytes(b"disk")
            replicas.append(ReplicaRecord(region, 1, "Standard_LRS", path, 4096, flag))
        return web.complete_version(version.id, Delivery(replicas, size=4, exclude_from_latest=exclude))

    return make
