"""Writes fixed VHDs by the book, independently of the code under test."""

from __future__ import annotations

import struct
from pathlib import Path

MIB = 1024**2


def footer(
    size: int,
    *,
    disk_type: int = 2,
    version: int = 0x00010000,
    data_offset: int = 2**64 - 1,
    cookie: bytes = b"conectix",
    wrong_checksum: bool = False,
) -> bytes:
    head = cookie + struct.pack(">IIQI", 2, version, data_offset, 86400)
    head += b"qem2" + struct.pack(">I", 0x00050003) + b"Wi2k" + struct.pack(">QQ", size, size)
    head += struct.pack(">HBBI", 1024, 16, 63, disk_type)
    tail = bytes(range(16)) + bytes(1 + 427)
    total = ~(sum(head) + sum(tail)) & 0xFFFFFFFF
    return head + struct.pack(">I", total ^ int(wrong_checksum)) + tail


def write_vhd(path: Path, size: int = 2 * MIB, data: bytes = b"", at: int = 0, **changes: object) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        file.truncate(size)
        file.seek(at)
        file.write(data)
        file.seek(size)
        file.write(footer(size, **changes))  # type: ignore[arg-type]
    return path
