"""The headers of a VHDX, read by ourselves before any program that would follow them.

Layout: [MS-VHDX] version 4 and later, sections 2.2 (headers, region table) and 2.6 (metadata). All
numbers are little-endian.
"""

from __future__ import annotations

import struct
import uuid
from typing import BinaryIO

from builder.disk.found import Damaged, Found, Refused

MAGIC = b"vhdxfile"
_KIB = 1024
_HEADERS = (64 * _KIB, 128 * _KIB)
_REGIONS = (192 * _KIB, 256 * _KIB)
_HEADER_SIZE, _REGION_SIZE, _METADATA_SIZE = 4 * _KIB, 64 * _KIB, 64 * _KIB
_BAT = uuid.UUID("2DC27766-F623-4200-9D64-115E9BFD4A08")
_METADATA = uuid.UUID("8B7CA206-4790-4B9A-B8FE-575F050F886E")
_FILE_PARAMETERS = uuid.UUID("CAA16737-FA36-4D43-B3B6-33F0AA44E76B")
_DISK_SIZE = uuid.UUID("2FA54224-CD1B-4876-B211-5DBED83BF4B8")
_MAX_SIZE = 64 * _KIB**4
_FIXED, _HAS_PARENT = 1, 2


def read_vhdx(file: BinaryIO, file_size: int) -> Found | None:
    """What the headers promise; None when there are none.

    Raises Damaged, and Refused for a differencing disk, which names a parent.
    """
    if _at(file, 0, len(MAGIC)) != MAGIC:
        return None
    if not any(_sound(_at(file, at, _HEADER_SIZE), b"head") for at in _HEADERS):
        raise Damaged("neither of its two headers is sound")
    regions = next((table for at in _REGIONS if _sound(table := _at(file, at, _REGION_SIZE), b"regi")), None)
    if regions is None:
        raise Damaged("neither of its two region tables is sound")
    places = _places(regions)
    if any(kind not in places or sum(places[kind]) > file_size for kind in (_BAT, _METADATA)):
        raise Damaged("its regions lie outside of the file: it was cut")
    items = _items(_at(file, places[_METADATA][0], _METADATA_SIZE))
    if _FILE_PARAMETERS not in items or _DISK_SIZE not in items:
        raise Damaged("it does not say how large its disk is")
    start = places[_METADATA][0]
    flags = int.from_bytes(_at(file, start + items[_FILE_PARAMETERS] + 4, 4), "little")
    size = int.from_bytes(_at(file, start + items[_DISK_SIZE], 8), "little")
    if not 0 < size <= _MAX_SIZE or size % 512:
        raise Damaged(f"a disk of {size} bytes cannot be")
    if flags & _HAS_PARENT:
        raise Refused(
            "it is a differencing disk: it needs its parent",
            "Merge it in Hyper-V (Convert-VHD) and use the result.",
        )
    return Found("vhdx", "fixed" if flags & _FIXED else "dynamic", size)


def _at(file: BinaryIO, place: int, length: int) -> bytes:
    file.seek(place)
    return file.read(length)


def _sound(block: bytes, signature: bytes) -> bool:
    """Whether a header or region table has its signature and its CRC-32C (the field itself as zero)."""
    stored = int.from_bytes(block[4:8], "little")
    return block[:4] == signature and crc32c(block[:4] + bytes(4) + block[8:]) == stored


def _places(table: bytes) -> dict[uuid.UUID, tuple[int, int]]:
    """Kind to (offset, length) of every region."""
    count = min(int.from_bytes(table[8:12], "little"), 2047)
    found: dict[uuid.UUID, tuple[int, int]] = {}
    for number in range(count):
        kind, offset, length, _required = struct.unpack_from("<16sQII", table, 16 + 32 * number)
        found[uuid.UUID(bytes_le=kind)] = (offset, length)
    return found


def _items(table: bytes) -> dict[uuid.UUID, int]:
    """Kind to offset (within the region) of every metadata item."""
    if table[:8] != b"metadata":
        raise Damaged("its metadata is not where its region table says")
    count = min(int.from_bytes(table[10:12], "little"), 2047)
    found: dict[uuid.UUID, int] = {}
    for number in range(count):
        kind, offset, _length, _flags = struct.unpack_from("<16sIII", table, 32 + 32 * number)
        found[uuid.UUID(bytes_le=kind)] = offset
    return found


def _table() -> list[int]:
    rows = []
    for value in range(256):
        for _ in range(8):
            value = value >> 1 ^ (0x82F63B78 if value & 1 else 0)  # noqa: PLW2901
        rows.append(value)
    return rows


_CRC_TABLE = _table()


def crc32c(data: bytes) -> int:
    """CRC-32C (Castagnoli, RFC 3720 appendix B.4), which Python has not.

    >>> hex(crc32c(b"123456789"))
    '0xe3069283'
    """
    crc = 0xFFFFFFFF
    for byte in data:
        crc = crc >> 8 ^ _CRC_TABLE[(crc ^ byte) & 0xFF]
    return crc ^ 0xFFFFFFFF
