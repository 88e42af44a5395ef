"""A guest's memory comes back as QEMU wrote it, packed or not."""

from __future__ import annotations

import os
import random
import zlib
from pathlib import Path

import pytest

from builder.vm import memory_file


def everything(file: Path) -> bytes:
    found = bytearray()
    with memory_file.reading(file) as descriptor:
        while data := os.read(descriptor, 65536):
            found += data
    return bytes(found)


@pytest.fixture
def plain(tmp_path: Path) -> Path:
    """9 MiB, of which half can be packed; begins as QEMU's stream does."""
    file = tmp_path / "plain"
    noise = random.Random(1).randbytes(1024**2)
    file.write_bytes(b"QEVM" + bytes(4 * 1024**2) + noise * 5)
    return file


def test_a_packed_memory_is_smaller_private_and_comes_back(plain: Path, tmp_path: Path) -> None:
    packed = tmp_path / "packed"
    checksum = memory_file.pack(plain, packed)
    assert packed.stat().st_size < plain.stat().st_size * 0.6
    assert packed.stat().st_mode & 0o777 == 0o600
    assert checksum == zlib.crc32(packed.read_bytes())
    assert everything(packed) == plain.read_bytes()


def test_a_plain_memory_is_read_as_it_is(plain: Path) -> None:
    assert everything(plain) == plain.read_bytes()


def test_an_empty_one_is_empty(tmp_path: Path) -> None:
    (tmp_path / "empty").touch()
    assert everything(tmp_path / "empty") == b""


@pytest.mark.parametrize("damage", ["cut short", "changed"])
def test_a_damaged_one_ends_early(plain: Path, tmp_path: Path, damage: str) -> None:
    packed = tmp_path / "packed"
    memory_file.pack(plain, packed)
    data = packed.read_bytes()
    middle = len(data) // 2
    changed = (
        data[:middle] + bytes(64) if damage == "cut short" else data[:200] + b"\xff" * 5000 + data[5200:]
    )
    packed.write_bytes(changed)
    assert everything(packed) != plain.read_bytes()


def test_a_reader_that_goes_away_ends_the_unpacking(plain: Path, tmp_path: Path) -> None:
    packed = tmp_path / "packed"
    memory_file.pack(plain, packed)
    before = set(Path("/proc/self/fd").iterdir())
    with memory_file.reading(packed) as descriptor:
        assert os.read(descriptor, 4) == b"QEVM"
    assert set(Path("/proc/self/fd").iterdir()) == before


def test_what_is_there_is_not_overwritten(plain: Path, tmp_path: Path) -> None:
    (tmp_path / "packed").write_bytes(b"mine")
    with pytest.raises(FileExistsError):
        memory_file.pack(plain, tmp_path / "packed")
    assert (tmp_path / "packed").read_bytes() == b"mine"


def test_a_failure_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        memory_file.pack(tmp_path / "missing", tmp_path / "packed")
    assert list(tmp_path.iterdir()) == []


def test_a_prefetch_of_nothing_is_no_error(tmp_path: Path) -> None:
    memory_file.prefetch(tmp_path / "missing")
    assert not (tmp_path / "missing").exists()
