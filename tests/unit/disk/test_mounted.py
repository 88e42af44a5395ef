from __future__ import annotations

import struct
import uuid
from collections.abc import Mapping
from pathlib import Path

import pytest

from builder.disk import mounted
from builder.disk.filesystem import FileSystem, identify, on_data_disk
from builder.disk.mounted import MountedImage, join
from builder.disk.partitions import Partition
from builder.errors import BuildError
from disk.vhd_file import MIB, write_vhd

ESP = "C12A7328-F81F-11D2-BA4B-00A0C93EC93B"
LINUX = "0FC63DAF-8483-4772-8E79-3D69D8477DE4"


class Files:
    """A file system of a dictionary; a value `-> x` is a symbolic link."""

    def __init__(self, files: Mapping[str, bytes]) -> None:
        self.files = dict(files)

    def read(self, path: str) -> bytes | None:
        return self.files.get(path)

    def listdir(self, path: str) -> list[str] | None:
        start = path.rstrip("/") + "/"
        return (
            sorted({n.removeprefix(start).split("/")[0] for n in self.files if n.startswith(start)}) or None
        )

    def readlink(self, path: str) -> str | None:
        value = self.files.get(path, b"")
        return value.removeprefix(b"-> ").decode() if value.startswith(b"-> ") else None


Disk = dict[int, tuple[FileSystem, Files | None]]


def test_each_path_is_looked_up_where_it_is_mounted() -> None:
    image = MountedImage(
        {
            "/": Files({"/etc/passwd": b"root", "/var/hidden": b"below the mount", "/various": b"v"}),
            "/var": Files({"/lib/dbus/machine-id": b"123", "/log/below": b"hidden"}),
            "/var/log": Files({"/cloud-init.log": b"log"}),
        }
    )
    assert image.read("/etc/passwd") == b"root"
    assert image.read("/various") == b"v"
    assert image.read("/var/lib/dbus/machine-id") == b"123"
    assert image.read("/var/hidden") is None
    assert image.listdir("/var/log") == image.listdir("/var/log/") == ["cloud-init.log"]
    assert image.listdir("/var") == ["lib", "log"]


@pytest.mark.parametrize(
    "path", ["/home/me/key", "/srv/me/key", "/var/homes/../homes/me/key", "/latest", "/var/up/home/me/key"]
)
def test_links_lead_from_one_file_system_into_another(path: str) -> None:
    root = {"/home": b"-> var/homes", "/srv": b"-> /home", "/latest": b"-> srv/me/key"}
    var = {"/homes/me/key": b"secret", "/up": b"-> ..", "/loop": b"-> loop"}
    image = MountedImage({"/": Files(root), "/var": Files(var)})
    assert image.read(path) == b"secret"
    assert image.read("/var/loop/x") is None


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> Disk:
    """Partitions by number, and what is in them; None cannot be read."""
    found: Disk = {}

    def view(_path: Path, start: int) -> Files:
        files = found[start][1]
        if files is None:
            raise BuildError("damaged")
        return files

    monkeypatch.setattr(mounted, "file_systems", lambda _: [system for system, _ in found.values()])
    monkeypatch.setattr(mounted, "VIEWS", {"ext4": view, "vfat": view})
    return found


def system(number: int, kind: str, kind_guid: str = LINUX, **names: str) -> FileSystem:
    # The start is the number, so that the fixture finds its files by it.
    part = Partition(number, number, 1, kind_guid, names.pop("partlabel", ""), names.pop("partuuid", ""))
    return FileSystem(part, kind, **names)


def joined(disk: Disk, fstab: str) -> tuple[MountedImage, tuple[str, ...]]:
    root = Files({"/etc/fstab": fstab.encode(), "/root": b"r"})
    disk[1] = (system(1, "ext4", uuid="R"), root)
    return join(Path("disk"), disk[1][0].partition, root)


@pytest.mark.parametrize(
    "device",
    [
        "UUID=abc-1",
        'UUID="ABC-1"',
        "LABEL=Data",
        "PARTUUID=p-2",
        "PARTLABEL=vars",
        "/dev/sda2",
        "/dev/nvme0n1p2",
        "/dev/disk/by-uuid/abc-1",
        "/dev/disk/by-partlabel/vars",
    ],
)
def test_fstab_names_a_partition_in_many_ways(disk: Disk, device: str) -> None:
    var = system(2, "ext4", uuid="abc-1", label="Data", partuuid="P-2", partlabel="vars")
    disk[2] = (var, Files({"/x": b"in var"}))
    image, unproved = joined(disk, f"# comment\nUUID=R / ext4 rw 0 1\n{device} /var ext4 defaults 0 2\n")
    assert image.read("/var/x") == b"in var"
    assert image.read("/root") == b"r"
    assert unproved == ()


def test_what_cannot_be_looked_into_is_said(disk: Disk) -> None:
    disk[2] = (system(2, "xfs", uuid="X"), None)
    disk[3] = (system(3, "ext4", uuid="E"), None)
    disk[4] = (system(4, "ext4"), Files({}))
    disk[5] = (system(5, ""), None)
    disk[6] = (system(6, "swap"), None)
    fstab = """
        UUID=X /var xfs defaults 0 0
        UUID=E /home ext4 defaults 0 0
        /dev/mapper/vg-tmp /tmp ext4 nofail 0 0
        UUID=elsewhere /data ext4 defaults 0 0
        /dev/disk/cloud/azure_resource-part1 /mnt auto defaults,nofail 0 2
        tmpfs /run tmpfs defaults 0 0
        /dev/sda6 none swap sw 0 0
        /var/log /log none bind 0 0
        broken
    """
    _, unproved = joined(disk, fstab)
    assert unproved == (
        "/var (xfs)",
        "/home (ext4: damaged)",
        "/tmp (ext4 on /dev/mapper/vg-tmp)",
        "/data (ext4 on UUID=elsewhere)",
        "partition 4 (ext4, not in fstab)",
    )


@pytest.mark.parametrize("fstab", ["", "LABEL=UEFI /boot/efi vfat umask=0077 0 1\n"])
def test_the_efi_partition_is_looked_into_mounted_or_not(disk: Disk, fstab: str) -> None:
    disk[2] = (system(2, "vfat", ESP, label="UEFI"), Files({"/loader/random-seed": b"seed"}))
    image, unproved = joined(disk, fstab)
    assert image.read("/boot/efi/loader/random-seed") == b"seed"
    assert unproved == ()


def test_superblocks(tmp_path: Path) -> None:
    def of(*pieces: tuple[int, bytes]) -> tuple[str, str, str]:
        path = tmp_path / "disk"
        with path.open("wb") as file:
            file.truncate(200 * 1024)
            for at, data in pieces:
                file.seek(4096 + at)
                file.write(data)
        found = identify(path, Partition(1, 4096, 1, LINUX, ""))
        return found.kind, found.uuid, found.label

    name = uuid.uuid4()
    assert of((0x438, b"\x53\xef"), (0x468, name.bytes), (0x478, b"root")) == ("ext4", str(name), "root")
    assert of((0, b"XFSB"), (32, name.bytes), (108, b"data")) == ("xfs", str(name), "data")
    assert of((0x10040, b"_BHRfS_M"), (0x10020, name.bytes))[:2] == ("btrfs", str(name))
    signature = (510, b"\x55\xaa")
    serial = struct.pack("<I", 0x12AB34CD)
    assert of((82, b"FAT32   "), (67, serial), (71, b"UEFI       "), signature) == (
        "vfat",
        "12AB-34CD",
        "UEFI",
    )
    assert of((54, b"FAT16   "), (39, serial), (43, b"NO NAME    "), signature)[:2] == ("vfat", "12AB-34CD")
    assert of((512, b"LABELONE")) == ("LVM", "", "")
    assert of() == ("", "", "")


@pytest.mark.parametrize(
    "device", ["LABEL=store", "/dev/disk/by-id/virtio-lun4", "/dev/disk/azure/scsi1/lun4"]
)
def test_a_data_disk_is_mounted_as_the_fstab_says(
    disk: Disk, monkeypatch: pytest.MonkeyPatch, device: str
) -> None:
    store = FileSystem(Partition(0, 9, 1, "", ""), "ext4", label="store", lun=4)
    disk[9] = (store, Files({"/key": b"on the data disk"}))
    monkeypatch.setattr(mounted, "file_systems", lambda _: [disk[1][0]])
    monkeypatch.setattr(mounted, "on_data_disk", lambda _, lun: [store])
    root = Files({"/etc/fstab": f"{device} /store ext4 defaults 0 2\n".encode()})
    disk[1] = (system(1, "ext4"), root)
    files, unproved = join(Path("disk"), disk[1][0].partition, root, {4: Path("data")})
    assert files.read("/store/key") == b"on the data disk"
    assert unproved == ()


def test_the_os_disks_numbers_are_not_a_data_disks(disk: Disk, monkeypatch: pytest.MonkeyPatch) -> None:
    store = FileSystem(Partition(2, 9, 1, LINUX, ""), "ext4", lun=0)
    monkeypatch.setattr(mounted, "on_data_disk", lambda _, lun: [store])
    root = Files({"/etc/fstab": b"/dev/sda2 /store ext4 defaults 0 2\n"})
    disk[1] = (system(1, "ext4"), root)
    _, unproved = join(Path("disk"), disk[1][0].partition, root, {0: Path("data")})
    assert unproved == ("/store (ext4 on /dev/sda2)",)


def test_a_data_disk_needs_no_partition_table(tmp_path: Path) -> None:
    whole = tmp_path / "whole"
    content = bytearray(1 << 20)
    assert not write_bytes(whole, content)
    content[0x438:0x43A] = b"\x53\xef"
    (found,) = write_bytes(whole, content)
    assert (found.kind, found.lun, found.partition.start, found.partition.number) == ("ext4", 1, 0, 0)
    content[446 : 446 + 16] = struct.pack("<B3sB3sII", 0, b"", 0x83, b"", 2048, 8)
    content[510:512] = b"\x55\xaa"
    (found,) = write_bytes(whole, content)
    assert (found.kind, found.lun, found.partition.start) == ("", 1, 1 << 20), "a table goes before"
    content[3:11], content[0x438:0x43A] = b"NTFS    ", bytes(2)
    (found,) = write_bytes(whole, content)
    assert (found.kind, found.partition.number) == ("ntfs", 0), "its boot sector ends as a table does"


def write_bytes(path: Path, content: bytearray) -> list[FileSystem]:
    """What is found when a disk begins like that."""
    return on_data_disk(write_vhd(path, 4 * MIB, bytes(content)), 1)
