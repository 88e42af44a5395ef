"""Data disks through the whole pipeline: made, filled, distributed, checked, and started from again."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, cast

import pytest
from harness import Cli, CliResult, assert_nothing_left

from builder.deadline import Deadline
from builder.disk import qemu_img
from builder.disk.ext4 import Ext4Image, fsck, preen
from builder.disk.filesystem import on_data_disk
from builder.disk.graph import BlockGraph, DiskLayer
from builder.disk.vhd import check_fixed_vhd
from builder.errors import BuildError
from builder.events import EventBus
from builder.redact import Redactor
from builder.registry.store import Registry
from builder.settings import Home
from builder.stages.proof import settle_data_disk
from templates.model.gallery import DefinitionProperties, Gallery, Identifier, ImageDefinition

if TYPE_CHECKING:
    from builder.stages.context import BuildContext

pytestmark = pytest.mark.timeout(3000)
GIB = 1024**3
IMAGE = "/subscriptions/s/resourceGroups/disks/providers/Microsoft.Compute/images/with-disks"
GALLERY = "/subscriptions/s/resourceGroups/disks/providers/Microsoft.Compute/galleries/disks"
SOURCES = {
    "image": {"type": "ManagedImage", "imageId": IMAGE},
    "version": {
        "type": "SharedImageVersion",
        "imageVersionId": f"{GALLERY}/images/with-disks/versions/latest",
    },
}
FILL = r"""set -e
disk=/dev/disk/by-id/virtio-lun0
sudo mkfs.ext4 -q -L store $disk
echo 'LABEL=store /srv/store ext4 defaults 0 2' | sudo tee -a /etc/fstab >/dev/null
sudo mkdir /srv/store && sudo mount /srv/store
echo first | sudo tee /srv/store/first >/dev/null
test -b /dev/disk/by-id/virtio-lun1 && ! sudo blkid /dev/disk/by-id/virtio-lun1
"""
MORE = r"""set -e
grep -q first /srv/store/first
echo second | sudo tee /srv/store/second >/dev/null
test -b /dev/disk/by-id/virtio-lun2
"""


def template(cli: Cli, name: str, source: dict[str, str], script: str, **properties: object) -> Path:
    path = cli.cwd / f"{name}.json"
    content = {
        "type": "Microsoft.VirtualMachineImages/imageTemplates",
        "apiVersion": "2025-10-01",
        "name": name,
        "location": "local",
        "properties": {
            "source": source,
            "customize": [{"type": "Shell", "name": "Disks", "inline": script.splitlines()}],
            "distribute": [{"type": "VHD", "runOutputName": name}],
            **properties,
        },
    }
    path.write_text(json.dumps(content))
    return path


@pytest.fixture(scope="module")
def made(cli: Cli) -> CliResult:
    """Two blank disks; a file system on the first, and a check in a VM booted from the result."""
    debian = {"type": "PlatformImage", "publisher": "Debian", "offer": "debian-12", "sku": "12"}
    targets = [
        {"type": "VHD", "runOutputName": "data"},
        {"type": "ManagedImage", "runOutputName": "image", "imageId": IMAGE, "location": "local"},
        {
            "type": "SharedImage",
            "runOutputName": "version",
            "galleryImageId": f"{GALLERY}/images/with-disks",
        },
    ]
    registry = Registry(Home(cli.home))
    registry.create_gallery(Gallery(id=GALLERY, name="disks"))
    identifier = Identifier(publisher="tests", offer="disks", sku="1")
    properties = DefinitionProperties(os_type="Linux", hyper_v_generation="V1", identifier=identifier)
    registry.create_definition(
        ImageDefinition(id=f"{GALLERY}/images/with-disks", name="with-disks", properties=properties)
    )
    registry.close()
    check = {"type": "Shell", "inline": ["grep -q first /srv/store/first"]}
    path = template(
        cli,
        "data",
        debian,
        FILL,
        additionalDataDisks=[{"sizeGB": 1}, {"sizeGB": 1}],
        distribute=targets,
        validate={"inVMValidations": [check]},
    )
    planned = cli("plan", path)
    assert planned.code == 0, planned.text
    assert "lun 0: 1.0 GiB, lun 1: 1.0 GiB" in planned.out
    assert "the image has data disks" in planned.out
    result = cli(path, "--output-dir", cli.cwd / "data", "--events", cli.cwd / "data.jsonl")
    assert result.code == 0, result.text
    return result


def test_every_target_has_the_disks(made: CliResult, cli: Cli, home: Path) -> None:
    folder = cli.cwd / "data"
    assert sorted(file.name for file in folder.iterdir()) == ["data-lun0.vhd", "data-lun1.vhd", "data.vhd"]
    for lun in (0, 1):
        assert check_fixed_vhd(folder / f"data-lun{lun}.vhd").virtual_size == GIB
    store = Ext4Image(folder / "data-lun0.vhd")
    assert not store.needs_recovery
    assert store.read("/first") == b"first\n"
    assert (folder / "data-lun1.vhd").stat().st_blocks * 512 < 1024**2, "a blank disk takes no space"
    assert "not proved" not in made.text, "the proof looks into what fstab mounts"
    lines = [json.loads(line) for line in (cli.cwd / "data.jsonl").read_text().splitlines()]
    artifact = next(line for line in lines if line["kind"] == "artifact" and line["runOutput"] == "data")
    assert artifact["dataDisks"] == [str(folder / f"data-lun{lun}.vhd") for lun in (0, 1)]
    shown = json.loads(cli("images", "show", IMAGE, "--json").out)
    assert [(disk["lun"], disk["size"]) for disk in shown["dataDisks"]] == [(0, GIB), (1, GIB)]
    verified = cli("images", "verify", IMAGE)
    assert verified.code == 0, verified.text
    collected = cli("gc", "--json")
    assert collected.code == 0, collected.text
    assert all(Path(disk["path"]).is_file() for disk in shown["dataDisks"]), "gc knows whose they are"
    assert_nothing_left(home)


@pytest.mark.parametrize("kind", [pytest.param("image", marks=pytest.mark.long), "version"])
def test_a_build_from_it_has_its_disks_and_one_more(made: CliResult, cli: Cli, home: Path, kind: str) -> None:
    folder = cli.cwd / kind
    path = template(cli, "more", SOURCES[kind], MORE, additionalDataDisks=[{"sizeGB": 2}])
    # Both have the same content: without this the second would find the finished image of the first.
    result = cli(path, "--output-dir", folder, "--no-cache")
    assert result.code == 0, result.text
    sizes = [check_fixed_vhd(folder / f"more-lun{lun}.vhd").virtual_size // GIB for lun in (0, 1, 2)]
    assert sizes == [1, 1, 2]
    store = Ext4Image(folder / "more-lun0.vhd")
    assert (store.read("/first"), store.read("/second")) == (b"first\n", b"second\n")
    before = Ext4Image(cli.cwd / "data" / "data-lun0.vhd")
    assert before.read("/second") is None, "nothing writes to a source"
    assert_nothing_left(home)


def test_deleting_the_image_takes_its_disks(made: CliResult, cli: Cli) -> None:
    shown = json.loads(cli("images", "show", IMAGE, "--json").out)
    files = [Path(part["path"]) for part in (shown, *shown["dataDisks"])]
    assert len(files) == 3
    assert all(file.is_file() for file in files)
    assert cli("images", "delete", IMAGE, "--yes").code == 0
    assert not [file for file in files if file.exists()]


def test_a_blank_disk_is_a_graph_of_its_own(tmp_path: Path) -> None:
    """`json_name` of an overlay without anything below it: qemu-img takes the null for 'no backing file'."""
    blank = tmp_path / "blank.qcow2"
    subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", blank, "1M"], check=True, timeout=60)
    name = BlockGraph((DiskLayer(blank, "qcow2"),)).json_name()
    subprocess.run(["qemu-img", "convert", "-O", "raw", "--", name, tmp_path / "raw"], check=True, timeout=60)
    assert (tmp_path / "raw").read_bytes() == bytes(1024**2)


def test_a_journal_on_a_bare_disk_is_replayed_in_its_vhd(tmp_path: Path) -> None:
    raw, vhd = tmp_path / "raw", tmp_path / "lun0.vhd"
    raw.touch()
    os.truncate(raw, 64 * 1024**2)
    subprocess.run(["mke2fs", "-q", "-t", "ext4", "-L", "store", raw], check=True, timeout=60)
    dirty = ["debugfs", "-w", "-R", "feature needs_recovery", str(raw)]
    subprocess.run(dirty, check=True, capture_output=True, timeout=60)
    size = qemu_img.flatten_to_vhd(BlockGraph((DiskLayer(raw, "raw"),)), vhd, size=64 * 1024**2, timeout=60)
    (found,) = on_data_disk(vhd, 0)
    assert (found.kind, found.label, found.lun) == ("ext4", "store", 0)
    assert Ext4Image(vhd).needs_recovery
    preen(vhd, 0, found.partition.size)
    fsck(vhd)
    assert not Ext4Image(vhd).needs_recovery
    assert check_fixed_vhd(vhd).virtual_size == size


def settled(vhd: Path) -> list[str]:
    """What is said of a data disk."""
    bus = EventBus(Redactor())
    said: list[str] = []
    bus.add_sink(lambda envelope: said.append(envelope.event.message))  # type: ignore[attr-defined]
    context = SimpleNamespace(bus=bus, deadline=Deadline(120))
    settle_data_disk(cast("BuildContext", context), vhd, 3)
    return said


def as_vhd(raw: Path) -> Path:
    vhd = raw.with_suffix(".vhd")
    graph = BlockGraph((DiskLayer(raw, "raw"),))
    qemu_img.flatten_to_vhd(graph, vhd, size=raw.stat().st_size, timeout=120)
    return vhd


def test_xfs_on_a_bare_disk_is_checked(tmp_path: Path) -> None:
    raw = tmp_path / "raw"
    raw.touch()
    os.truncate(raw, 320 * 1024**2)
    subprocess.run(["mkfs.xfs", "-q", raw], check=True, timeout=60)
    vhd = as_vhd(raw)
    assert settled(vhd) == []
    with vhd.open("r+b") as file:  # the root inode's magic
        file.seek(next(at for at in range(0, 1 << 20, 512) if _at(vhd, at, 2) == b"IN"))
        file.write(b"XX")
    with pytest.raises(BuildError, match="damaged"):
        settled(vhd)


def test_what_cannot_be_checked_is_said(tmp_path: Path) -> None:
    raw = tmp_path / "raw"
    raw.write_bytes(bytes(1024**2))
    assert settled(as_vhd(raw)) == []
    raw.write_bytes(b"LUKS\xba\xbe" + bytes(1024**2 - 6))
    assert settled(as_vhd(raw)) == ["Not checked: data disk 3 (LUKS)."]
    protective = bytes(446 + 4) + b"\xee" + bytes(59) + b"\x55\xaa"
    raw.write_bytes(protective + bytes(1024**2 - 512))
    (said,) = settled(as_vhd(raw))
    assert said.startswith("Data disk 3 was not checked: ")
    assert "promises a GPT" in said


def _at(path: Path, place: int, length: int) -> bytes:
    with path.open("rb") as file:
        file.seek(place)
        return file.read(length)
