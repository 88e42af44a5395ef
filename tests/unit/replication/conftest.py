from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest
from disk.vhd_file import MIB, write_vhd
from registry.conftest import WEB, definition, gallery

from builder.disk.extents import content_digest
from builder.registry import sqlite
from builder.registry.records import DataDiskRecord, Delivery, NewRegion, ReplicaRecord, VersionRecord
from builder.registry.store import Registry
from builder.replication.place import Places
from builder.replication.replicator import CopyNews, Replicator, Report
from builder.settings import Home, Settings

SIZE = 4 * MIB
DATA = bytes(range(256)) * 1024
"""256 KiB, at the beginning of each disk and at 2 MiB."""


@pytest.fixture(autouse=True)
def no_fsync(monkeypatch: pytest.MonkeyPatch) -> None:
    """Power cuts are not what these tests are about; waiting for the disk made them ten times slower."""
    monkeypatch.setattr(sqlite, "SYNCHRONOUS", "OFF")


@pytest.fixture
def elsewhere(tmp_path: Path) -> Iterator[Path]:
    """A folder on another file system."""
    here = tmp_path.stat().st_dev
    others = [one for one in ("/dev/shm", "/var/tmp", Path.home()) if Path(one).stat().st_dev != here]
    assert others, "there is only one file system here"
    folder = Path(tempfile.mkdtemp(prefix="goldsmith-test-", dir=others[0]))
    yield folder
    shutil.rmtree(folder)


class Team:
    """A registry with versions whose first copy is in West US, and places for other regions."""

    def __init__(self, root: Path) -> None:
        self.home = Home(root / "home")
        self.home.root.mkdir()
        self.settings = Settings()
        self.registry = Registry.of(self.home, self.settings)
        self.registry.create_gallery(gallery(location="West US"))
        self.registry.create_definition(definition())
        self.news: list[CopyNews] = []

    def put(self, **regions: object) -> None:
        """Where regions lie from now on."""
        self.settings = Settings.model_validate({"regions": regions})
        self.registry.close()
        self.registry = Registry.of(self.home, self.settings)

    @property
    def places(self) -> Places:
        return Places(self.home, self.settings)

    def publish(self, count: int = 1, luns: Sequence[int] = (), data: bytes = DATA) -> VersionRecord:
        held = self.registry.reserve_version(WEB)
        os_disk = Path(self.places.of("westus").location("team.gallery", "web", held.version))
        write_vhd(os_disk, SIZE, data)
        with os_disk.open("r+b") as file:
            file.seek(2 * MIB)
            file.write(data)
        disks = []
        for lun in luns:
            path = write_vhd(os_disk.with_name(f"os-lun{lun}.vhd"), MIB, b"data disk", 65536)
            disks.append(DataDiskRecord(lun, path, MIB, 4096, content_digest(path, MIB)))
        only = ReplicaRecord("West US", count, "Standard_LRS", os_disk, 4096, None, tuple(disks))
        delivery = Delivery([only], size=SIZE, digest=content_digest(os_disk, SIZE))
        return self.registry.complete_version(held.id, delivery)

    def add(self, version: VersionRecord, region: str, count: int = 1) -> None:
        location = self.places.of(region).location("team.gallery", "web", version.version)
        self.registry.change_regions(version.id, add=[NewRegion(region, count, "Standard_LRS", location)])

    def replicate(
        self, version: VersionRecord, jobs: int = 2, look: Callable[[], object] = lambda: None
    ) -> Report:
        replicator = Replicator(self.registry, self.places, jobs=jobs, told=self.news.append)
        return replicator.run([version.id], look=look)

    def now(self, version: VersionRecord) -> VersionRecord:
        return self.registry.find_version(version.id)

    def states(self, version: VersionRecord) -> dict[str, tuple[str, bool]]:
        return {one.region: (one.state, one.usable) for one in self.now(version).replicas}

    def files(self, version: VersionRecord, region: str) -> list[Path]:
        replica = self.now(version).replica(region)
        assert replica is not None
        return [Path(at) for at in replica.locations]


@pytest.fixture
def team(tmp_path: Path) -> Iterator[Team]:
    made = Team(tmp_path)
    yield made
    made.registry.close()


def flip(path: Path, at: int = 1000) -> None:
    """One bit of a file that nobody may write, as a disk would lose it."""
    mode = path.stat().st_mode
    path.chmod(0o600)
    with path.open("r+b") as file:
        file.seek(at)
        byte = file.read(1)[0]
        file.seek(at)
        file.write(bytes([byte ^ 1]))
    path.chmod(mode)


def same(one: Path, other: Path) -> bool:
    return one.read_bytes() == other.read_bytes()


def allocated(*paths: Path) -> int:
    seen = {(p.stat().st_dev, p.stat().st_ino): p.stat().st_blocks * 512 for p in paths}
    return sum(seen.values())
