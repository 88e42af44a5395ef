"""XFS as RHEL has it: a guest's own kernel writes it, we read it, check it, prove it and grow it."""

from __future__ import annotations

import hashlib
import json
import os
import random
import shutil
from collections import Counter
from pathlib import Path

import pytest
import xfs_disk
from harness import Cli, assert_nothing_left
from layered import Series, shell
from xfs_disk import MIB, ROOT, ROOT_SIZE, XfsDisk

from builder.disk import xfs_repair
from builder.disk.extents import content_digest
from builder.disk.filesystem import file_systems, find_root
from builder.disk.graph import BlockGraph, DiskLayer
from builder.disk.mounted import join
from builder.disk.partitions import Partition
from builder.disk.view import UnsupportedFilesystem
from builder.disk.xfs import XfsImage
from builder.disk.xfs_volume import XfsVolume
from builder.errors import BuildError, EnvironmentProblem
from builder.gate import gate
from builder.process import require, run
from builder.settings import Home, Settings
from builder.stages.source import check_tools
from builder.vm import accelerator, replay

pytestmark = [pytest.mark.timeout(3000), pytest.mark.long]

# As our own stop does, with files deleted while they are open on both file systems, a folder as well, and two
# whose numbers put them into one list: there are 64, by the inode's number (xfs_agi.agi_unlinked).
ORPHANS = "; ".join(
    (
        "mkdir /mnt/srv/many",
        "for n in $(seq 0 129); do : >/mnt/srv/many/$n; done",
        "first=$(stat -c %i /mnt/srv/many/0)",
        "same() { [ $((($(stat -c %i /mnt/srv/many/$1) - first) % 64)) = 0 ]; }",
        "for n in $(seq 1 129); do ! same $n || other=$n; done",
        "exec 6</mnt/srv/many/0 7</mnt/srv/many/$other",
        "rm -r /mnt/srv/many",
        "exec 3>/mnt/srv/deleted 4>/mnt/boot/deleted 5>/mnt/srv/deleted2",
        "echo text >&3",
        "rm /mnt/srv/deleted /mnt/boot/deleted /mnt/srv/deleted2",
        "mkdir /mnt/srv/gone",
        "cd /mnt/srv/gone",
        "rmdir /mnt/srv/gone",
        "sync",
        "echo more >&3",
        "echo u >/proc/sysrq-trigger",
        "sleep 2",
        "echo o >/proc/sysrq-trigger",
        "sleep 60",
    )
)


@pytest.fixture(scope="module")
def left(home: Path, tmp_path_factory: pytest.TempPathFactory) -> XfsDisk:
    """The disk as its guest left it."""
    base = xfs_disk.source_with_tools(home)
    return xfs_disk.make(base, home, tmp_path_factory.mktemp("xfs"), ORPHANS)


def roots(disk: Path) -> list[Partition]:
    return [system.partition for system in file_systems(disk) if system.kind == "xfs"]


@pytest.fixture(scope="module")
def disk(left: XfsDisk) -> XfsDisk:
    """The same, brought to rest."""
    for part in roots(left.path):
        xfs_repair.settle(left.path, part.start, part.size)
    return left


def test_what_was_deleted_while_open_is_freed_and_nothing_else_changes(left: XfsDisk, tmp_path: Path) -> None:
    copy = tmp_path / "disk.raw"
    run(["cp", "--sparse=always", left.path, copy], timeout=120)
    boot, root = roots(copy)
    few, more = (XfsImage(copy, part.start).orphans() for part in (boot, root))
    # And whatever the kernel has not come to yet: since 5.14 it frees in the background what nobody has open.
    assert (len(few), len(more) >= 5) == (1, True), "the guest left them"
    assert len({number % 64 for number in more}) < len(more), "two are on one list"
    before = listing(copy, root)
    for part in (boot, root):
        xfs_repair.settle(copy, part.start, part.size)
        assert XfsImage(copy, part.start).orphans() == []
    assert listing(copy, root) == before
    assert XfsImage(copy, root.start).listdir("/lost+found") is None
    once = content_digest(copy)
    xfs_repair.settle(copy, root.start, root.size)
    assert content_digest(copy) == once, "checking alone writes nothing"
    assert list(tmp_path.glob(".apart-*")) == []


def listing(path: Path, part: Partition) -> list[str]:
    image = XfsImage(path, part.start)
    below, found = ["/"], []
    while below:
        folder = below.pop()
        for name in image.listdir(folder) or []:
            full = f"{folder.rstrip('/')}/{name}"
            inode = image.stat(full)
            assert inode is not None
            found.append(f"{full} {inode.mode:o} {inode.size}")
            if inode.mode & 0o170000 == 0o040000:
                below.append(full)
    return found


def test_every_form_of_file_and_directory_is_read_as_the_kernel_wrote_it(disk: XfsDisk) -> None:
    partition, root = find_root(disk.path)
    assert partition.name == "root"
    assert isinstance(root, XfsImage)
    assert len(disk.kinds) > 4000
    formats = set()
    for path, (mode, uid, gid, number, content) in disk.kinds.items():
        inode = root.stat(path)
        assert inode is not None, path
        assert (inode.mode, inode.uid, inode.gid, inode.number) == (mode, uid, gid, number), path
        kind = mode & 0o170000
        formats.add((kind, inode.format))
        if kind == 0o120000:
            assert root.readlink(path) == content
        elif kind == 0o100000:
            data = root.read(path)
            assert data is not None
            assert hashlib.sha256(data).hexdigest() == content, path
        else:
            assert root.read(path) is None
    assert {
        (0o100000, 3),
        (0o100000, 2),
        (0o040000, 1),
        (0o040000, 2),
        (0o120000, 1),
        (0o120000, 2),
    } <= formats
    for folder in ("none", "short", "block", "leaf", "node"):
        there = f"{xfs_disk.KINDS}/{folder}/"
        names = sorted(path.removeprefix(there) for path in disk.kinds if path.startswith(there))
        assert root.listdir(there) == names


def test_links_are_followed_within_the_file_system(disk: XfsDisk) -> None:
    _, root = find_root(disk.path)
    top = xfs_disk.KINDS
    assert root.listdir(f"{top}/link") == root.listdir(f"{top}/short")
    assert root.read(f"{top}/up") == b"localhost\n"
    assert root.read(f"{top}/link/../up") == b"localhost\n"
    assert root.read("/../../etc/hostname") == b"localhost\n"
    assert root.readlink(f"{top}/far") == "d/" * 500
    for nothing in ("loop", "far", "none/x", "up/x", "short/name-00000-/x"):
        assert root.read(f"{top}/{nothing}") is None
        assert root.listdir(f"{top}/{nothing}") is None
    assert root.readlink("/etc") is None


def test_boot_is_joined_as_fstab_says(disk: XfsDisk) -> None:
    image, unproved = join(disk.path, *find_root(disk.path))
    assert unproved == ()
    assert "grub" in (image.listdir("/boot") or [])
    assert b"Debian on XFS" in (image.read("/boot/grub/grub.cfg") or b"")
    assert (image.read("/vmlinuz") or b"")[0x202:0x206] == b"HdrS", "a link from one into the other"
    assert image.listdir("/boot/efi/EFI/BOOT") == ["BOOTX64.EFI"]


def test_the_vhd_gate_looks_into_boot_and_root(disk: XfsDisk) -> None:
    """A raw disk, so what is asked of the file is not known; what is asked of the guest is."""
    report = gate.check(disk.path, os_type="Linux")
    found = {one.rule: one.outcome for one in report.results}
    assert found.pop("vhd-footer") == "failed"
    for name in (
        "hyperv-drivers",
        "udf-vfat",
        "serial-console",
        "provisioning-agent",
        "no-os-swap",
        "ssh-server",
    ):
        assert found[name] == "ok", report.results


def test_damage_is_told(disk: XfsDisk, tmp_path: Path) -> None:
    copy = tmp_path / "disk.raw"
    run(["cp", "--sparse=always", disk.path, copy], timeout=120)
    volume = XfsVolume(copy, ROOT * MIB)
    etc = XfsImage(copy, ROOT * MIB).stat("/etc")
    assert etc is not None
    first = next(volume.extents(etc))
    with copy.open("r+b") as file:
        file.seek(ROOT * MIB + volume.byte(first))
        file.write(b"\xa5" * 4096)
    with pytest.raises(BuildError, match="is damaged"):
        XfsImage(copy, ROOT * MIB).listdir("/etc")
    before = content_digest(copy)
    with pytest.raises(BuildError, match="is damaged"):
        xfs_repair.settle(copy, ROOT * MIB, (ROOT_SIZE - 1) * MIB)
    assert content_digest(copy) == before


def crc32c(data: bytes | bytearray) -> int:
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
    return crc ^ 0xFFFFFFFF


def test_features_of_a_later_time_are_told(tmp_path: Path) -> None:
    """Both readers refuse what they cannot know: ours, and the xfsprogs of this machine."""
    part = tmp_path / "part.xfs"
    with part.open("wb") as file:
        file.truncate(400 * MIB)
    run([require("mkfs.xfs", "xfsprogs"), "-q", part], timeout=60)
    with part.open("r+b") as file:
        block = bytearray(file.read(512))
        block[216:220] = (0x4000000B).to_bytes(4, "big")
        block[224:228] = bytes(4)
        block[224:228] = crc32c(block).to_bytes(4, "little")
        file.seek(0)
        file.write(block)
    with pytest.raises(UnsupportedFilesystem, match="not known here"):
        XfsImage(part)
    with pytest.raises(UnsupportedFilesystem, match="newer than the xfsprogs"):
        xfs_repair.settle(part, 0, 400 * MIB)


@pytest.mark.parametrize(
    "options",
    [
        ("-m", "crc=0", "-n", "ftype=0"),
        ("-m", "crc=0", "-b", "size=1024", "-i", "size=256", "-n", "size=4096"),
        ("-m", "bigtime=0,inobtcount=0,reflink=0"),
        ("-b", "size=1024", "-n", "size=8192"),
        ("-i", "size=2048", "-m", "rmapbt=1"),
    ],
    ids=["v4", "v4-small", "RHEL-8", "small-blocks", "large-inodes"],
)
def test_older_and_odd_formats(tmp_path: Path, options: tuple[str, ...]) -> None:
    """Made by mkfs.xfs alone from a list of files: no kernel of today writes version 4."""
    # Into a block of its own it writes a link as version 4 has it, whatever the version (xfsprogs 6.1).
    far = "e/" * (300 if "crc=0" in options else 50)
    (tmp_path / "content").write_bytes(os.urandom(300_000))
    lines = ["x", "0 0", "d--755 0 0", "etc d--755 0 0"]
    lines += [f"name-{number:05} ---640 1 2 /dev/null" for number in range(3000)]
    lines += [
        f"file ---600 0 0 {tmp_path / 'content'}",
        "$",
        f"far l--777 0 0 {far}",
        "near l--777 0 0 etc/file",
        "$",
    ]
    (tmp_path / "list").write_text("\n".join(lines) + "\n")
    part = tmp_path / "part.xfs"
    with part.open("wb") as file:
        file.truncate(400 * MIB)
    run([require("mkfs.xfs", "xfsprogs"), "-q", *options, "-p", tmp_path / "list", part], timeout=60)
    image = XfsImage(part)
    assert image.listdir("/") == ["etc", "far", "near"]
    assert image.listdir("/etc") == ["file", *(f"name-{number:05}" for number in range(3000))]
    assert image.read("/near") == (tmp_path / "content").read_bytes()
    assert image.readlink("/far") == far
    inode = image.stat("/etc/name-02999")
    assert inode is not None
    assert (inode.mode, inode.uid, inode.gid, inode.size) == (0o100640, 1, 2, 0)
    xfs_repair.settle(part, 0, 400 * MIB)


def test_a_log_is_replayed_by_the_kernel_of_the_image(left: XfsDisk, home: Path, tmp_path: Path) -> None:
    parts = roots(left.cut)
    for part in parts:
        with pytest.raises(xfs_repair.LogWaits):
            xfs_repair.settle(left.cut, part.start, part.size)
    files, _ = join(left.cut, *find_root(left.cut))
    size, numbers = left.cut.stat().st_size, [part.number for part in parts]
    chosen = accelerator.choose(Settings(), Home(home))
    replay.replay(left.cut, size, files, numbers, chosen, timeout=300)
    for part in parts:
        xfs_repair.settle(left.cut, part.start, part.size)
    files, _ = join(left.cut, *find_root(left.cut))
    assert files.read("/srv/cut") == b"cut\n"
    assert "cut" in (files.listdir("/boot") or [])
    with pytest.raises(replay.ReplayError, match="could not mount") as caught:
        replay.replay(left.cut, size, files, [2], chosen, timeout=300)
    assert caught.value.details
    assert list(left.cut.parent.glob(".replay-*")) == []


def test_any_damage_ends_in_an_answer_or_an_error_of_ours(tmp_path: Path) -> None:
    """Bytes of its inodes, directories and headers are changed at random, always the same ones."""
    lines = ["x", "0 0", "d--755 0 0", "few d--755 0 0", "a ---600 0 0 /dev/null", "$", "many d--755 0 0"]
    lines += [*(f"name-{number:05} ---640 1 2 /dev/null" for number in range(300)), "$", "l l--777 0 0 few/a"]
    (tmp_path / "list").write_text("\n".join([*lines, "$"]) + "\n")
    part = tmp_path / "part.xfs"
    with part.open("wb") as file:
        file.truncate(320 * MIB)
    run([require("mkfs.xfs", "xfsprogs"), "-q", "-p", tmp_path / "list", part], timeout=60)
    with part.open("rb") as file:
        head = file.read(2 * MIB)
    marks = (b"XFSB", b"XAGI", b"IN", b"XD")
    places = [at for at in range(0, len(head), 512) if head[at : at + 4].startswith(marks)]
    chance = random.Random(5)
    outcomes: Counter[str] = Counter()
    for _ in range(400):
        changed = [
            chance.choice(places[:40]) + chance.randrange(256) for _ in range(chance.choice((1, 3, 20)))
        ]
        with part.open("r+b", buffering=0) as file:
            for at in changed:
                file.seek(at)
                file.write(bytes([chance.choice((0, 255, chance.randrange(256)))]))
            try:
                image = XfsImage(part)
                image.orphans()
                for path in ("/few/a", "/l", "/many/name-00299", "/few"):
                    image.read(path)
                    image.readlink(path)
                    image.listdir(path)
                outcomes["answer"] += 1
            except BuildError:
                outcomes["error"] += 1
            for at in changed:
                file.seek(at)
                file.write(head[at : at + 1])
    assert min(outcomes["answer"], outcomes["error"]) > 20


GROWN = 9


@pytest.fixture(scope="module")
def series(disk: XfsDisk, cli: Cli, tmp_path_factory: pytest.TempPathFactory) -> Series:
    """Builds from that disk, as a `file` recipe of a team's catalogue names it."""
    recipe = {"kind": "file", "path": str(disk.path), "format": "raw"}
    own = {"publisher": "Own", "offer": "xfs", "sku": "1", "versions": {"1.0.0": recipe}}
    (cli.home / "catalogue.json").write_text(json.dumps({"format": 1, "images": [own]}))
    return Series(cli, tmp_path_factory.mktemp("xfs-builds"), "on-xfs")


SOURCE = {"type": "PlatformImage", "publisher": "Own", "offer": "xfs", "sku": "1", "version": "latest"}
PROFILE = {"osDiskSizeGB": GROWN}
WORK = shell(
    "Work",
    "findmnt -no FSTYPE /",
    "findmnt -no FSTYPE /boot",
    'test "$(df --output=size -k / | tail -1)" -gt 4400000 && echo the disk grew',
    "echo made on XFS | sudo tee /etc/made",
)


def test_a_debian_on_xfs_is_built_grown_and_proved(series: Series, disk: XfsDisk) -> None:
    built = series([WORK], source=SOURCE, vmProfile=PROFILE)
    assert built.result.code == 0, built.result.text
    assert built.output.count("xfs") == 2
    assert "the disk grew" in built.output
    assert not {"Unproved", "Unchecked"} & set(built.codes)
    assert "checks passed" in built.result.text
    image, unproved = join(built.vhd, *find_root(built.vhd))
    assert unproved == ()
    assert image.read("/etc/made") == b"made on XFS\n"
    assert image.read("/etc/machine-id") == b""
    frag = disk.kinds[f"{xfs_disk.KINDS}/frag"][4]
    assert hashlib.sha256(image.read(f"{xfs_disk.KINDS}/frag") or b"").hexdigest() == frag
    for part in roots(built.vhd):
        assert XfsImage(built.vhd, part.start).orphans() == []
        xfs_repair.settle(built.vhd, part.start, part.size)
    assert_nothing_left(series.cli.home)


def test_what_is_left_on_it_is_found(series: Series) -> None:
    plant = shell(
        "Plant",
        "sudo mkdir -p /root/.ssh",
        "echo 'ssh-ed25519 AAAA somebody' | sudo tee /root/.ssh/authorized_keys",
    )
    built = series([WORK, plant], source=SOURCE, vmProfile=PROFILE)
    assert built.result.code == 1, built.result.text
    assert built.outcomes()[0] == "cached"
    assert "/root/.ssh/authorized_keys lets somebody in" in built.result.text
    assert not built.vhd.exists()


def test_without_xfsprogs_the_package_is_named(
    disk: XfsDisk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "which", lambda *_, **__: None)
    with pytest.raises(EnvironmentProblem, match="xfs_repair is not installed") as caught:
        xfs_repair.settle(tmp_path / "none", 0, MIB)
    assert "apt-get install xfsprogs" in caught.value.hint
    with pytest.raises(EnvironmentProblem, match="xfs_repair is not installed"):
        check_tools(BlockGraph((DiskLayer(disk.path, "raw"),)))
    check_tools(BlockGraph((DiskLayer(disk.path, "qcow2"),)))
