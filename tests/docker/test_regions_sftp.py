"""Replicas on a real SFTP server."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from builder.cancellation import Interrupted
from builder.disk.extents import content_digest
from builder.registry.records import Delivery, NewRegion, ReplicaRecord
from builder.registry.store import Registry
from builder.replication.checking import Checker
from builder.replication.place import Places
from builder.replication.removal import delete_version
from builder.replication.replicator import CopyNews, Replicator
from builder.settings import Home, Settings
from builder.vm.access import BuildAccess
from templates.model.gallery import DefinitionProperties, Gallery, Identifier, ImageDefinition
from tests.unit.disk.vhd_file import MIB, write_vhd

from .conftest import Containers

GALLERY = "/subscriptions/0000/resourceGroups/rg/providers/Microsoft.Compute/galleries/team"
WEB = f"{GALLERY}/images/web"
SIZE = 48 * MIB
FOLDER = "/home/packer/images/team/web/1.0.0"


@pytest.fixture
def options(containers: Containers, access: BuildAccess, tmp_path: Path) -> dict[str, object]:
    port = containers._services.port_for("guest", 22)
    key = tmp_path / "key"
    key.write_text(access.client_key.private)
    key.chmod(0o600)
    known = tmp_path / "known_hosts"
    known.write_text(f"[127.0.0.1]:{port} {access.host_key.public}\n")
    return {
        "url": f"sftp://packer@127.0.0.1:{port}/home/packer/images",
        "options": {"key_filename": str(key), "known_hosts": str(known), "look_for_keys": False},
    }


class Lab:
    def __init__(self, root: Path, region: dict[str, object]) -> None:
        self.home = Home(root / "home")
        self.home.root.mkdir()
        settings = Settings.model_validate({"regions": {"eastus": region}})
        self.registry = Registry.of(self.home, settings)
        self.places = Places(self.home, settings)
        self.registry.create_gallery(Gallery(id=GALLERY, name="team", location="westus"))
        properties = DefinitionProperties(
            os_type="Linux", identifier=Identifier(publisher="me", offer="web", sku="1")
        )
        self.registry.create_definition(ImageDefinition(id=WEB, name="web", properties=properties))
        self.version = self.registry.reserve_version(WEB, "1.0.0").id
        self.disk = write_vhd(
            self.home.regions / "westus/team/web/1.0.0/os.vhd", SIZE, bytes(range(1, 256)) * 70000, 4 * MIB
        )
        only = ReplicaRecord("westus", 1, "Standard_LRS", self.disk, 4096)
        digest = content_digest(self.disk, SIZE)
        self.registry.complete_version(self.version, Delivery([only], size=SIZE, digest=digest))
        location = self.places.of("eastus").location("team", "web", "1.0.0")
        self.registry.change_regions(self.version, add=[NewRegion("eastus", 2, "Standard_LRS", location)])
        self.news: list[CopyNews] = []

    def replicator(self, jobs: int = 2) -> Replicator:
        return Replicator(self.registry, self.places, jobs=jobs, told=self.news.append)


def test_a_server_gets_the_data_and_leaves_the_holes(
    containers: Containers, options: dict[str, object], tmp_path: Path
) -> None:
    containers.inside("guest", "rm", "-rf", "/home/packer/images")
    lab = Lab(tmp_path, options)
    report = lab.replicator().run([lab.version])
    assert (len(report.made), report.failed) == (2, [])
    sums = containers.inside("guest", "sha256sum", f"{FOLDER}/os.vhd", f"{FOLDER}/os-2.vhd").split()
    assert len({sums[0], sums[2]}) == 1
    assert report.sent < 2 * (18 * MIB)
    size, blocks = containers.inside("guest", "stat", "-c", "%s %b", f"{FOLDER}/os.vhd").split()
    assert int(size) == SIZE + 512
    assert int(blocks) * 512 < SIZE / 2

    checker = Checker(lab.registry, lab.places)
    assert [one.damage for one in checker.run([lab.version], None, lambda _: None)] == ["", "", ""]
    damage = f"printf x | dd of={FOLDER}/os-2.vhd bs=1 seek=5000000 conv=notrunc"
    containers.inside("guest", "sh", "-c", damage)
    found = Checker(lab.registry, lab.places).run([lab.version], None, lambda _: None)
    assert [bool(one.damage) for one in found] == [False, False, True]
    assert len(lab.replicator().run([lab.version]).made) == 1
    again = containers.inside("guest", "sha256sum", f"{FOLDER}/os-2.vhd").split()
    assert again[0] == sums[0]

    assert delete_version(lab.registry, lab.places, lab.version)[1] == []
    assert containers.inside("guest", "find", "/home/packer/images", "-type", "f").split() == [
        "/home/packer/images/.goldsmith-place.json"
    ]


def test_it_goes_on_in_the_middle_of_a_file(
    containers: Containers, options: dict[str, object], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("builder.replication.remote._STEP", MIB)
    containers.inside("guest", "rm", "-rf", "/home/packer/images")
    lab = Lab(tmp_path, options)
    begun = time.monotonic()

    def half() -> None:
        assert time.monotonic() - begun < 120
        size = containers.inside("guest", "sh", "-c", f"stat -c %s {FOLDER}/.os.vhd.part || true").split()
        if size and int(size[0]) > 6 * MIB:
            raise Interrupted(2)

    with pytest.raises(Interrupted):
        lab.replicator(1).run([lab.version], look=half)
    replica = lab.registry.find_version(lab.version).replica("eastus")
    assert replica is not None
    assert replica.copies[0].state == "Pending"
    kept = int(containers.inside("guest", "stat", "-c", "%s", f"{FOLDER}/.os.vhd.part"))
    assert kept > 6 * MIB
    report = lab.replicator(1).run([lab.version])
    assert (len(report.made), report.failed) == (2, [])
    first = next(news for news in lab.news if news.kind == "done")
    assert 0 < first.sent <= SIZE - kept + MIB
    assert first.sent < 17 * MIB


def test_a_server_that_nobody_knows_is_refused(
    containers: Containers, options: dict[str, object], tmp_path: Path
) -> None:
    (tmp_path / "known_hosts").write_text("")
    lab = Lab(tmp_path, options)
    report = lab.replicator(1).run([lab.version])
    assert "the host key of" in report.failed[0][1]
    assert "is not in" in report.failed[0][1]
