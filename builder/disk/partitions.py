"""Partition tables, read by us: GPT (UEFI specification 2.10, chapter 5) and MBR."""

from __future__ import annotations

import struct
import uuid
import zlib
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import BinaryIO

from builder.errors import BuildError

SECTOR = 512
_GPT_HEADER = struct.Struct("<8sIIIIQQQQ16sQIII")
_GPT_ENTRY = struct.Struct("<16s16sQQQ72s")
_MBR_ENTRY = struct.Struct("<B3sB3sII")
_MBR_TABLE = 446
_PROTECTIVE = 0xEE
_EXTENDED = {0x05, 0x0F, 0x85}
_MAX_ENTRIES = 1024
_MAX_ENTRY_SIZE = 4096
_MAX_LOGICAL = 128


class PartitionTableError(BuildError):
    """A disk has no partition table that can be read."""

    code = "PartitionTable"


@dataclass(frozen=True, slots=True)
class Partition:
    """One partition. `start` and `size` in bytes; `type_guid` is upper case for GPT and `0x83`-like
    for MBR; `name` is GPT's, often empty. `unique` is what Linux calls its PARTUUID.
    """

    number: int
    start: int
    size: int
    type_guid: str
    name: str
    unique: str = field(default="", compare=False)


def partitions(path: Path) -> list[Partition]:
    """The partitions of a raw disk or fixed VHD, in table order. Raises PartitionTableError."""
    with path.open("rb") as file:
        mbr = _read(file, 0, SECTOR)
        if mbr[510:512] != b"\x55\xaa":
            raise PartitionTableError(f"{path} has no partition table.")
        entries = [_MBR_ENTRY.unpack_from(mbr, _MBR_TABLE + 16 * i) for i in range(4)]
        if any(entry[2] == _PROTECTIVE for entry in entries):
            return _gpt(file, path)
        disk = int.from_bytes(mbr[440:444], "little")
        return [replace(part, unique=f"{disk:08x}-{part.number:02x}") for part in _mbr(file, entries)]


def room_after_last(path: Path, size: int) -> int:
    """Bytes of a disk of `size` bytes that lie behind its last partition. Raises PartitionTableError."""
    return size - max((part.start + part.size for part in partitions(path)), default=0)


def _gpt(file: BinaryIO, path: Path) -> list[Partition]:
    raw = _read(file, SECTOR, SECTOR)
    header = _GPT_HEADER.unpack_from(raw)
    signature, size, stored = header[0], header[2], header[3]
    if signature != b"EFI PART" or not _GPT_HEADER.size <= size <= SECTOR:
        raise PartitionTableError(f"{path} promises a GPT in its MBR but has none.")
    if zlib.crc32(raw[:16] + bytes(4) + raw[20:size]) != stored:
        raise PartitionTableError(f"The GPT header of {path} is damaged (wrong checksum).")
    table_lba, count, entry_size = header[10], header[11], header[12]
    if not _GPT_ENTRY.size <= entry_size <= _MAX_ENTRY_SIZE or count > _MAX_ENTRIES:
        raise PartitionTableError(f"The GPT of {path} has entries of {entry_size} bytes, {count} of them.")
    table = _read(file, table_lba * SECTOR, count * entry_size)
    found = []
    for index in range(len(table) // entry_size):
        kind, unique, first, last, _, name = _GPT_ENTRY.unpack_from(table, index * entry_size)
        if any(kind):
            guid = str(uuid.UUID(bytes_le=kind)).upper()
            label = name.decode("utf-16-le", "replace").partition("\0")[0]
            size = (last - first + 1) * SECTOR
            partuuid = str(uuid.UUID(bytes_le=unique))
            found.append(Partition(index + 1, first * SECTOR, size, guid, label, partuuid))
    return found


def _mbr(file: BinaryIO, entries: list[tuple[int, bytes, int, bytes, int, int]]) -> list[Partition]:
    found = []
    for index, (_, _, kind, _, first, sectors) in enumerate(entries):
        if kind in _EXTENDED:
            found += _logical(file, first)
        elif kind and sectors:
            found.append(Partition(index + 1, first * SECTOR, sectors * SECTOR, f"0x{kind:02x}", ""))
    return found


def _logical(file: BinaryIO, extended: int) -> list[Partition]:
    """Follow the chain of extended boot records; numbers start at 5."""
    found: list[Partition] = []
    record = extended
    while len(found) < _MAX_LOGICAL:
        raw = _read(file, record * SECTOR, SECTOR)
        if raw[510:512] != b"\x55\xaa":
            break
        _, _, kind, _, first, sectors = _MBR_ENTRY.unpack_from(raw, _MBR_TABLE)
        start, size = (record + first) * SECTOR, sectors * SECTOR
        found.append(Partition(5 + len(found), start, size, f"0x{kind:02x}", ""))
        _, _, link, _, offset, _ = _MBR_ENTRY.unpack_from(raw, _MBR_TABLE + 16)
        if not link or not offset:
            break
        record = extended + offset
    return found


def _read(file: BinaryIO, offset: int, length: int) -> bytes:
    file.seek(offset)
    return file.read(length).ljust(length, b"\0") if length <= SECTOR else file.read(length)
