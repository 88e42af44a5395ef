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
_EXTENT = re.compile(r'^(?:RW|RDONLY|NOACCESS)\s+(\d+)\s+(\w+)(?:\s+"([^"]*)")?(?:\s+\d+)?\s*$')
_CREATE_TYPE = re.compile(r'^\s*createType\s*=\s*"(\w+)"', re.MULTILINE)
_PLAIN_NAME = re.compile(r"^[A-Za-z0-9_][A-Za-z0-9_. +-]*$")
_MAX_SECTORS = 1 << 53
_WHOLE = "Make it one file: qemu-img convert -O vmdk -o subformat=streamOptimized DISK.vmdk whole.vmdk"


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
        raise Refused("it is a disk of VMware ESX 2", _WHOLE)
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
        raise Refused("its data is in other files", _WHOLE)
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
    sectors, missing, parts = 0, list[str](), list[Path]()
    for line in text.decode("latin-1").splitlines():
        extent = _EXTENT.match(line.strip())
        if extent is None:
            continue
        count, kind, name = int(extent[1]), extent[2], extent[3]
        sectors += count
        if kind == "ZERO":
            continue
        if kind not in ("FLAT", "SPARSE") or not name or not _PLAIN_NAME.match(name):
            raise Refused(f"it names '{name}' as a part of it, of the kind {kind}", _WHOLE)
        part = path.parent / name
        parts.append(part)
        if part.is_symlink() or not part.is_file():
            missing.append(name)
        elif kind == "SPARSE":
            _check_sparse_part(part)
    if missing:
        raise Refused(f"its data is in {', '.join(missing[:3])}, which is not beside it", _WHOLE)
    if not 0 < sectors <= _MAX_SECTORS:
        raise Damaged("it describes no disk")
    kind_found = _CREATE_TYPE.search(text.decode("latin-1"))
    return Found("vmdk", kind_found[1] if kind_found else "described", sectors * _SECTOR, tuple(parts))


def _check_sparse_part(part: Path) -> None:
    with part.open("rb") as file:
        head = file.read(_SECTOR)
        if head[:4] != MAGIC:
            raise Damaged(f"its part {part.name} is not one")
        _sparse(head)
