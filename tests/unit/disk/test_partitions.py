from __future__ import annotations

import struct
import uuid
import zlib
from pathlib import Path

import pytest

from builder.disk.partitions import Partition, PartitionTableError, partitions, room_after_last

LINUX = uuid.UUID("0FC63DAF-8483-4772-8E79-3D69D8477DE4")
EFI = uuid.UUID("C12A7328-F81F-11D2-BA4B-00A0C93EC93B")


def mbr(*entries: tuple[int, int, int]) -> bytes:
    table = b"".join(
        struct.pack("<B3sB3sII", 0, b"", kind, b"", first, count) for kind, first, count in entries
    )
    return bytes(446) + table.ljust(64, b"\0") + b"\x55\xaa"


def gpt(*entries: tuple[uuid.UUID, int, int, str] | None) -> bytes:
    table = b"".join(
        bytes(128)
        if entry is None
        else struct.pack(
            "<16s16sQQQ72s", entry[0].bytes_le, b"u" * 16, entry[1], entry[2], 0, entry[3].encode("utf-16-le")
        )
        for entry in entries
    ).ljust(128 * 128, b"\0")
    head = struct.pack(
        "<8sIIIIQQQQ16sQIII", b"EFI PART", 0x10000, 92, 0, 0, 1, 99, 34, 90, b"g" * 16, 2, 128, 128, 0
    )
    head = head[:16] + struct.pack("<I", zlib.crc32(head)) + head[20:]
    return mbr((0xEE, 1, 99)) + head.ljust(512, b"\0") + table


def test_gpt(tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.write_bytes(gpt((EFI, 2048, 4095, "esp"), None, (LINUX, 4096, 8191, "Wurzel ä")))
    assert partitions(disk) == [
        Partition(1, 2048 * 512, 2048 * 512, str(EFI).upper(), "esp"),
        Partition(3, 4096 * 512, 4096 * 512, str(LINUX).upper(), "Wurzel ä"),
    ]


def test_mbr_with_logical_partitions(tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    with disk.open("wb") as file:
        file.write(mbr((0x83, 2048, 100), (0, 0, 0), (0x05, 4096, 1000)))
        file.seek(4096 * 512)
        file.write(mbr((0x83, 8, 50), (0x05, 200, 300)))
        file.seek((4096 + 200) * 512)
        file.write(mbr((0x82, 8, 60)))
    assert partitions(disk) == [
        Partition(1, 2048 * 512, 100 * 512, "0x83", ""),
        Partition(5, (4096 + 8) * 512, 50 * 512, "0x83", ""),
        Partition(6, (4096 + 200 + 8) * 512, 60 * 512, "0x82", ""),
    ]


def test_a_loop_of_logical_partitions_ends(tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    with disk.open("wb") as file:
        file.write(mbr((0x05, 4, 100)))
        file.seek(5 * 512)
        file.write(mbr((0x83, 1, 1), (0x05, 1, 1)))
        file.seek(4 * 512)
        file.write(mbr((0x83, 1, 1), (0x05, 1, 1)))
    assert 1 < len(partitions(disk)) <= 128


def damaged_checksum() -> bytes:
    data = bytearray(gpt((LINUX, 2048, 4095, "")))
    data[512 + 56] ^= 1
    return bytes(data)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (bytes(4096), "has no partition table"),
        (b"", "has no partition table"),
        (mbr((0xEE, 1, 99)) + bytes(4096), "promises a GPT in its MBR but has none"),
        (damaged_checksum(), "wrong checksum"),
    ],
)
def test_what_cannot_be_read_is_said(tmp_path: Path, content: bytes, message: str) -> None:
    disk = tmp_path / "disk"
    disk.write_bytes(content)
    with pytest.raises(PartitionTableError, match=message):
        partitions(disk)


def test_room_after_the_last_partition(tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.write_bytes(gpt((EFI, 2048, 4095, "esp"), (LINUX, 4096, 8191, "")))
    assert room_after_last(disk, 10000 * 512) == (10000 - 8192) * 512
