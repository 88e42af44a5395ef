"""What a disk is taken for, by its partition table; what is in file systems needs real ones (tests/vm)."""

from __future__ import annotations

import uuid
from pathlib import Path

import pytest
from disk.test_partitions import EFI, LINUX, gpt, mbr
from disk.vhd_file import MIB, write_vhd

from builder.errors import UsageError
from builder.interchange.looks import look_at

BIOS = uuid.UUID("21686148-6449-6E6F-744E-656564454649")


def disk(tmp_path: Path, table: bytes) -> Path:
    return write_vhd(tmp_path / "os.vhd", 4 * MIB, table)


@pytest.mark.parametrize(
    ("table", "generation", "why"),
    [
        (mbr((0x83, 2048, 100)), "V1", "MBR without an EFI system partition"),
        (mbr((0xEF, 2048, 100)), "V2", "has an EFI system partition"),
        (gpt((EFI, 2048, 4095, ""), (LINUX, 4096, 8000, "")), "V2", "has an EFI system partition"),
        (gpt((BIOS, 2048, 4095, ""), (EFI, 4096, 8000, "")), "V2", "a BIOS boot partition, too"),
        (gpt((BIOS, 2048, 4095, ""), (LINUX, 4096, 8000, "")), "V1", "has a BIOS boot partition"),
    ],
)
def test_the_generation_by_the_partition_table(
    tmp_path: Path, table: bytes, generation: str, why: str
) -> None:
    looks = look_at(disk(tmp_path, table), os_type="Linux")
    assert looks.generation == generation
    assert why in looks.generation_why
    assert looks.os_why == "as said"
    assert looks.unlooked and str(tmp_path) not in looks.unlooked


@pytest.mark.parametrize("table", [b"", gpt((LINUX, 4096, 8000, ""))])
def test_a_generation_nobody_can_tell_has_to_be_said(tmp_path: Path, table: bytes) -> None:
    path = disk(tmp_path, table)
    with pytest.raises(UsageError, match="generation") as caught:
        look_at(path, os_type="Linux")
    assert "--generation" in (caught.value.hint or "")
    assert look_at(path, os_type="Linux", generation="V1").generation_why == "as said"


def test_what_is_said_against_what_is_seen(tmp_path: Path) -> None:
    path = disk(tmp_path, mbr((0x83, 2048, 100)))
    assert look_at(path, os_type="Linux", generation="V1").remarks == ()
    assert "may not start" in look_at(path, os_type="Linux", generation="V2").remarks[0]


def test_an_operating_system_nobody_can_tell_has_to_be_said(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="operating system") as caught:
        look_at(disk(tmp_path, mbr((0x83, 2048, 100))))
    assert "--os-type" in (caught.value.hint or "")


def test_windows_by_its_file_system(tmp_path: Path) -> None:
    boot = b"\xeb\x52\x90NTFS    "
    table = mbr((0x07, 2048, 2048)).ljust(2048 * 512, b"\0") + boot
    looks = look_at(disk(tmp_path, table))
    assert (looks.os_type, looks.generation) == ("Windows", "V1")
    assert "NTFS" in looks.os_why and "NTFS" in looks.unlooked
    assert "looks like Windows" in look_at(disk(tmp_path, table), os_type="Linux").remarks[0]
