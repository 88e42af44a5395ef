"""What lies in the partitions of an image, and a view of each that can be looked into."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from builder.disk.ext4 import Ext4Image
from builder.disk.fat import FatImage
from builder.disk.partitions import Partition, partitions
from builder.disk.vhd import read_footer
from builder.disk.view import FileView, UnsupportedFilesystem
from builder.disk.xfs import XfsImage

VIEWS: Mapping[str, Callable[[Path, int], FileView]] = {
    "ext4": Ext4Image,
    "xfs": XfsImage,
    "vfat": FatImage,
}
"""How a file system of a kind is looked into: path of the disk, first byte."""

_ROOTS = ("ext4", "xfs")
# Where a superblock has its magic, UUID and label (blkid's tables say the same). In bytes; 0: it has none.
_SUPERBLOCKS = (
    (0x438, b"\x53\xef", "ext4", 0x468, 0x478, 16),
    (0, b"XFSB", "xfs", 32, 108, 12),
    (0x10040, b"_BHRfS_M", "btrfs", 0x10020, 0x1012B, 256),
    (0, b"LUKS\xba\xbe", "LUKS", 0, 0, 0),
    (512, b"LABELONE", "LVM", 0, 0, 0),
    (3, b"NTFS    ", "ntfs", 0, 0, 0),
    (4086, b"SWAPSPACE2", "swap", 0, 0, 0),
)
_HEAD = 68 * 1024


@dataclass(frozen=True, slots=True)
class FileSystem:
    """What a partition holds: `kind` as in fstab, its UUID and label as blkid writes them. `lun` is that of
    its data disk; partition 0 is a whole disk without a table.
    """

    partition: Partition
    kind: str
    uuid: str = ""
    label: str = ""
    lun: int | None = None


def file_systems(path: Path) -> list[FileSystem]:
    """What each partition of a raw disk or fixed VHD holds. Raises PartitionTableError."""
    return [identify(path, partition) for partition in partitions(path)]


def on_data_disk(path: Path, lun: int) -> list[FileSystem]:
    """What the data disk in a fixed VHD holds, in its partitions or without any. Raises VhdError, and
    PartitionTableError for a table that cannot be read.
    """
    whole = identify(path, Partition(0, 0, read_footer(path).current_size, "", ""))
    with path.open("rb") as file:
        table = file.read(512)[510:] == b"\x55\xaa"
    # The boot sectors of these two end as a partition table does.
    if table and whole.kind not in ("vfat", "ntfs"):
        return [replace(system, lun=lun) for system in file_systems(path)]
    return [replace(whole, lun=lun)] if whole.kind else []


def find_root(path: Path) -> tuple[Partition, FileView]:
    """The partition that holds `/etc`, and a view of it.

    Raises UnsupportedFilesystem naming what was found when nothing that can be read holds one.
    """
    found: list[str] = []
    for system in file_systems(path):
        number, kind = system.partition.number, system.kind
        if kind not in _ROOTS:
            found.append(f"partition {number}: {kind or 'no known file system'}")
            continue
        try:
            view = VIEWS[kind](path, system.partition.start)
        except UnsupportedFilesystem as error:
            found.append(f"partition {number}: {error.message}")
            continue
        if view.listdir("/etc") is not None:
            return system.partition, view
        found.append(f"partition {number}: {kind} without /etc")
    raise UnsupportedFilesystem(
        f"No root file system that can be read offline was found on {path}: ext or XFS with /etc.",
        details=tuple(found),
    )


def identify(path: Path, partition: Partition) -> FileSystem:
    """What lies in a partition, by its superblock; kind "" when nothing is known there."""
    with path.open("rb") as file:
        file.seek(partition.start)
        head = file.read(_HEAD)
    head += bytes(_HEAD - len(head))
    for magic_at, magic, kind, uuid_at, label_at, length in _SUPERBLOCKS:
        if head[magic_at : magic_at + len(magic)] == magic:
            identity = str(uuid.UUID(bytes=head[uuid_at : uuid_at + 16])) if uuid_at else ""
            return FileSystem(partition, kind, identity, _text(head[label_at : label_at + length]))
    for serial, kind_at in ((67, 82), (39, 54)):
        if head[kind_at : kind_at + 3] == b"FAT" and head[510:512] == b"\x55\xaa":
            number = int.from_bytes(head[serial : serial + 4], "little")
            label = _text(head[serial + 4 : serial + 15]).rstrip()
            return FileSystem(partition, "vfat", f"{number >> 16:04X}-{number & 0xFFFF:04X}", label)
    return FileSystem(partition, "")


def _text(raw: bytes) -> str:
    return raw.partition(b"\0")[0].decode(errors="replace")
