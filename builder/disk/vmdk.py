"""The header and descriptor of a VMDK, read by ourselves before any program that would follow them.

Layout: "Virtual Disk Format 5.0" (VMware technical note). A descriptor may name any file as an extent
or a parent, and QEMU would open it: only names of files that lie beside it are taken.
"""

from __future__ import annotations

import os
import re
import struct
from pathlib import Path
from typing import BinaryIO

from builder.disk.found import Damaged, Found, Refused

MAGIC = b"KDMV"
TEXT_MAGIC = b"# Disk DescriptorFile"
_OLD_MAGIC = b"COWD"
_HEADER = struct.Struct("<4sIIQQQQIQQQB4sH")
_SECTOR = 512
_LINE_ENDS = b"\n \r\n"
# As much as QEMU reads of a descriptor that is embedded, and more than any list of extents needs.
_DESCRIPTOR = 20 * _SECTOR
_MAX_DESCRIPTOR = 1024 * 1024
# Every line that QEMU could take for an extent has to be one of exactly this form.
_IS_EXTENT = re.compile(r"^(?:RW|RDONLY|NOACCESS)(?:[ \t]|$)")
_EXTENT = re.compile(r'^RW[ \t]+(\d{1,16})[ \t]+(FLAT|SPARSE)[ \t]+"([^"]*)"(?:[ \t]+(\d{1,16}))?$', re.ASCII)
_SETTING = re.compile(r"^[A-Za-z][\w.]*[ \t]*=", re.ASCII)
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
_CREATE_TYPE = re.compile(r'^\s*createType\s*=\s*"(\w+)"', re.MULTILINE)
_PLAIN_NAME = re.compile(r"^[A-Za-z0-9_][A-Za-z0-9_. +-]*$")
_MAX_SECTORS = 1 << 53
WHOLE = "Make it one file: qemu-img convert -f vmdk -O vmdk -o subformat=streamOptimized DISK.vmdk ONE.vmdk"


def read_vmdk(file: BinaryIO, path: Path) -> Found | None:
    """What the header or the descriptor promises; None when there is neither.

    Raises Damaged, and Refused when it needs a file that is not one of its own beside it.
    """
    file.seek(0)
    head = file.read(_SECTOR)
    if head.startswith(TEXT_MAGIC):
        file.seek(0)
        return _described(file.read(_MAX_DESCRIPTOR + 1), path)
    if head[:4] == _OLD_MAGIC:
        raise Refused("it is a disk of VMware ESX 2", WHOLE)
    if head[:4] != MAGIC:
        return None
    capacity, at, length = _sparse(head)
    if not at:
        raise Refused("it is a part of a disk, whose descriptor is in another file", "Name the descriptor.")
    if at > os.fstat(file.fileno()).st_size:
        raise Damaged("its descriptor lies outside of the file")
    file.seek(at)
    text = file.read(max(length, _DESCRIPTOR))
    _check_parent(text)
    kind = _CREATE_TYPE.search(text.decode("latin-1"))
    return Found("vmdk", kind[1] if kind else "sparse", capacity)


def _sparse(head: bytes) -> tuple[int, int, int]:
    """Disk size, and place and length of the embedded descriptor, all in bytes."""
    if len(head) < _SECTOR:
        raise Damaged("it ends within its header")
    (
        _magic, version, _flags, capacity, grain, descriptor_at, descriptor_size,
        _entries, _spare_at, _directory_at, _overhead, _unclean, ends, compression,
    ) = _HEADER.unpack_from(head)  # fmt: skip
    if version not in (1, 2, 3) or ends != _LINE_ENDS or compression not in (0, 1):
        raise Damaged("its header makes no sense, or it was copied as text")
    if not capacity:
        # QEMU would then take the embedded descriptor's extents, in whichever files they are.
        raise Refused("its data is in other files", WHOLE)
    if capacity > _MAX_SECTORS or grain & (grain - 1) or not 8 <= grain <= 1 << 16:
        raise Damaged(f"{capacity} sectors in grains of {grain} cannot be")
    if descriptor_at > _MAX_SECTORS or descriptor_size * _SECTOR > _MAX_DESCRIPTOR:
        raise Damaged("its descriptor is nowhere")
    return capacity * _SECTOR, descriptor_at * _SECTOR, descriptor_size * _SECTOR


def _check_parent(text: bytes) -> None:
    # Wherever it stands: QEMU looks for the word, not for a line.
    if b"parentFileNameHint" in text:
        raise Refused(
            "it is a snapshot: it needs its parent",
            "Consolidate the machine's snapshots and export it again.",
        )


def _described(text: bytes, path: Path) -> Found:
    """A disk whose data is in files of their own."""
    if len(text) > _MAX_DESCRIPTOR:
        raise Damaged("its descriptor is too long")
    _check_parent(text)
    sectors, parts = 0, list[Path]()
    # Lines as QEMU splits them. What it would read otherwise than we do is refused, not passed over.
    for line in text.rstrip(b"\0").decode("latin-1").split("\n"):
        line = line.strip(" \t\r")  # noqa: PLW2901
        if _CONTROL.search(line):
            raise Damaged("its descriptor has control characters")
        if _IS_EXTENT.match(line):
            count, part = _extent(line, path.parent)
            sectors += count
            parts.append(part)
        elif line and not line.startswith("#") and not _SETTING.match(line):
            raise Damaged(f"its descriptor has a line that means nothing: {line[:40]!r}")
    if not 0 < sectors <= _MAX_SECTORS:
        raise Damaged("it describes no disk")
    kind_found = _CREATE_TYPE.search(text.decode("latin-1"))
    return Found("vmdk", kind_found[1] if kind_found else "described", sectors * _SECTOR, tuple(parts))


def _extent(line: str, folder: Path) -> tuple[int, Path]:
    """Size in sectors, and the file of one part."""
    extent = _EXTENT.match(line)
    if extent is None or not _PLAIN_NAME.match(extent[3]):
        raise Refused(f"a part of it is not one that is taken here ({line[:60]})", WHOLE)
    count, part = int(extent[1]), folder / extent[3]
    if part.is_symlink() or not part.is_file():
        raise Refused(f"its data is in {part.name}, which is not beside it", WHOLE)
    if extent[2] == "SPARSE":
        _check_sparse_part(part)
    elif part.stat().st_size < (int(extent[4] or 0) + count) * _SECTOR:
        raise Damaged(f"its part {part.name} was cut")
    return count, part


def _check_sparse_part(part: Path) -> None:
    with part.open("rb") as file:
        head = file.read(_SECTOR)
        if head[:4] != MAGIC:
            raise Damaged(f"its part {part.name} is not one")
        _sparse(head)
