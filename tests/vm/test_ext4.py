"""The real debugfs and e2fsck on a file system made by mke2fs; no VM boots."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from builder.disk import qemu_img
from builder.disk.ext4 import Ext4Image, fsck, preen
from builder.disk.filesystem import find_root
from builder.disk.graph import BlockGraph, DiskLayer
from builder.disk.view import UnsupportedFilesystem
from builder.errors import BuildError
from builder.process import require, run

MIB = 1024**2
START = 2 * MIB


def tree(root: Path) -> Path:
    for folder in ("etc", "usr/lib", "root", "var/a b"):
        (root / folder).mkdir(parents=True)
    (root / "usr/lib/os-release").write_text("ID=debian\n")
    (root / "etc/os-release").symlink_to("../usr/lib/os-release")
    (root / "lib").symlink_to("/usr/lib")
    (root / "etc/dangling").symlink_to("/nowhere")
    (root / "etc/far").symlink_to("d/" * 60)
    (root / "etc/loop").symlink_to("loop")
    (root / "etc/machine-id").write_bytes(b"")
    (root / 'var/a b/q"uote').write_bytes(b"quoted")
    (root / "var/a b/new\nline").write_bytes(b"odd")
    (root / "var/large").write_bytes(bytes(range(256)) * 20_000)
    (root / "root/secret").write_bytes(b"\xff\x00\r\n")
    (root / "root/secret").chmod(0o600)
    return root


@pytest.fixture(scope="module")
def disk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A GPT disk: an ESP-like partition without ext, an empty ext one, and the root."""
    folder = tmp_path_factory.mktemp("disk")
    path = folder / "disk?x.raw"
    with path.open("wb") as file:
        file.truncate(80 * MIB)
    lines = (
        "label: gpt",
        "start=2048, size=2048, name=esp",
        "start=4096, size=65536, name=root",
        "start=100000",
    )
    table = "".join(f"{line}\n" for line in lines)
    run([require("sfdisk", "fdisk"), "-q", path], stdin=table.encode(), timeout=60)
    plain = folder / "plain"
    plain.symlink_to(path)  # mke2fs takes no '?' either
    mke2fs = [require("mke2fs", "e2fsprogs"), "-q", "-F", "-t", "ext4"]
    run([*mke2fs, "-d", tree(folder / "tree"), "-E", f"offset={START}", plain, "32768k"], timeout=60)
    run([*mke2fs, "-E", f"offset={100000 * 512}", plain, "8192k"], timeout=60)
    return path


@pytest.fixture(scope="module")
def image(disk: Path) -> Ext4Image:
    partition, found = find_root(disk)
    assert (partition.number, partition.start, partition.name) == (2, START, "root")
    assert isinstance(found, Ext4Image)
    return found


@pytest.mark.parametrize(
    ("path", "content"),
    [
        ("/etc/os-release", b"ID=debian\n"),
        ("/lib/os-release", b"ID=debian\n"),
        ("/etc/machine-id", b""),
        ("/root/secret", b"\xff\x00\r\n"),
        ('/var/a b/q"uote', b"quoted"),
        ("/var/large", bytes(range(256)) * 20_000),
        ("/etc", None),
        ("/none", None),
        ("/none/deeper", None),
        ("/etc/dangling", None),
        ("/etc/loop", None),
    ],
)
def test_files_are_read(image: Ext4Image, path: str, content: bytes | None) -> None:
    assert image.read(path) == content


def test_many_files_at_once(image: Ext4Image) -> None:
    found = image.read_many(["/etc/os-release", "/none", "/root/secret"])
    assert found == {"/etc/os-release": b"ID=debian\n", "/none": None, "/root/secret": b"\xff\x00\r\n"}


def test_folders_are_listed(image: Ext4Image) -> None:
    assert image.listdir("/") == ["etc", "lib", "lost+found", "root", "usr", "var"]
    assert image.listdir("/lib") == ["os-release"]
    assert image.listdir("/var/a b") == ["new\nline", 'q"uote']
    assert image.listdir("/none") is None
    assert image.listdir("/etc/os-release") is None
    (entry,) = image.scandir("/root") or []
    assert (entry.name, entry.mode, entry.size, entry.uid) == ("secret", 0o100600, 4, os.getuid())


def test_links_and_existence(image: Ext4Image) -> None:
    assert image.readlink("/etc/os-release") == "../usr/lib/os-release"
    assert image.readlink("/etc/far") == "d/" * 60
    assert image.readlink("/etc") is None
    assert image.is_symlink("/lib")
    assert image.is_dir("/lib")
    assert image.exists("/etc/dangling")
    assert not image.exists("/etc/none")


def test_everything_is_found_by_walking(image: Ext4Image) -> None:
    found = {path for path, _ in image.walk("/")}
    assert {"/etc/os-release", "/usr/lib/os-release", "/var/a b/new\nline", "/root/secret"} <= found
    assert "/lib/os-release" not in found


def test_the_finished_vhd_is_looked_into_as_it_is(disk: Path, tmp_path: Path) -> None:
    vhd = tmp_path / "disk.vhd"
    qemu_img.flatten_to_vhd(BlockGraph((DiskLayer(disk, "raw"),)), vhd, size=80 * MIB, timeout=60)
    partition, image = find_root(vhd)
    assert isinstance(image, Ext4Image)
    assert image.read("/etc/os-release") == b"ID=debian\n"
    assert not image.needs_recovery
    fsck(vhd, partition.start)


def test_a_damaged_file_system_is_not_clean(disk: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy?"
    copy.write_bytes(disk.read_bytes())
    fsck(copy, START)
    with copy.open("r+b") as file:
        file.seek(START + 4096)
        file.write(b"\xa5" * 4096)
    with pytest.raises(BuildError, match="is not clean"):
        fsck(copy, START)


def test_a_journal_that_waits_is_seen(disk: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    copy.write_bytes(disk.read_bytes())
    with copy.open("r+b") as file:
        file.seek(START + 1024 + 0x60)
        flags = int.from_bytes(file.read(4), "little") | 4
        file.seek(START + 1024 + 0x60)
        file.write(flags.to_bytes(4, "little"))
    assert Ext4Image(copy, START).needs_recovery


def test_looking_changes_nothing(disk: Path, image: Ext4Image) -> None:
    before = disk.read_bytes()
    image.read("/etc/os-release")
    list(image.walk("/"))
    fsck(disk, START)
    assert disk.read_bytes() == before


def test_a_disk_without_a_root_says_what_it_has(disk: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    copy.write_bytes(disk.read_bytes())
    with copy.open("r+b") as file:
        file.seek(START)
        file.write(b"LUKS\xba\xbe" + bytes(MIB))
    with pytest.raises(UnsupportedFilesystem) as caught:
        find_root(copy)
    assert caught.value.details == (
        "partition 1: no known file system",
        "partition 2: LUKS",
        "partition 3: ext4 without /etc",
    )


def test_a_journal_is_replayed_inside_the_image(disk: Path, tmp_path: Path) -> None:
    """A block written into the journal only, as a frozen guest leaves it: afterwards the file shows it."""
    image = tmp_path / "disk.raw"
    image.write_bytes(disk.read_bytes())
    root = Ext4Image(image, START)
    (block,) = root._debugfs(["bmap /var/large 0"])
    new = tmp_path / "new"
    new.write_bytes(b"from the journal".ljust(1024, b"."))
    script = tmp_path / "script"
    script.write_text(f"jo\njw -b {block.strip()} {new}\njc\n")
    run([require("debugfs", "e2fsprogs"), "-w", "-f", script, f"{image}?offset={START}"], timeout=60)
    assert root.needs_recovery
    assert (root.read("/var/large") or b"")[:16] != b"from the journal"
    before = image.read_bytes()[:START]
    preen(image, START, 32 * MIB)
    fsck(image, START)
    assert not root.needs_recovery
    assert (root.read("/var/large") or b"")[:16] == b"from the journal"
    assert image.read_bytes()[:START] == before
    assert list(tmp_path.glob(".apart*")) == []
