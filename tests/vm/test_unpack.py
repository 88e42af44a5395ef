"""Compressed images: made by the real programs, unpacked by us."""

from __future__ import annotations

import hashlib
import random
from pathlib import Path

import pytest

from builder.deadline import Deadline
from builder.download import unpack as module
from builder.download.errors import DownloadError
from builder.download.unpack import Compression, compression_of, unpack
from builder.errors import BuildTimeoutError, EnvironmentProblem
from builder.events import EventBus
from builder.process import run
from builder.redact import Redactor

MIB = 1024**2
PROGRAMS: dict[Compression, tuple[list[str], str]] = {
    "gzip": (["gzip", "-k"], ".gz"),
    "xz": (["xz", "-k", "-1"], ".xz"),
    "zstd": (["zstd", "-k", "-q"], ".zst"),
    "bzip2": (["bzip2", "-k"], ".bz2"),
}


@pytest.fixture
def disk(tmp_path: Path) -> Path:
    path = tmp_path / "disk.raw"
    with path.open("wb") as file:
        file.truncate(48 * MIB + 512)
        file.seek(20 * MIB + 77)
        file.write(random.Random(2).randbytes(3 * MIB))
    return path


def packed(disk: Path, kind: Compression) -> Path:
    argv, ending = PROGRAMS[kind]
    run([*argv, disk], timeout=60)
    return disk.with_name(disk.name + ending)


def take(
    source: Path, kind: Compression, dest: Path, *, seconds: float = 60, limit: int = module.LIMIT
) -> int:
    return unpack(source, kind, dest, deadline=Deadline(seconds), bus=EventBus(Redactor()), limit=limit)


@pytest.mark.parametrize("kind", list(PROGRAMS))
def test_what_is_unpacked_is_the_disk_with_its_holes(tmp_path: Path, disk: Path, kind: Compression) -> None:
    source, dest = packed(disk, kind), tmp_path / "out"
    assert compression_of(source, f"https://host.example/{source.name}".rpartition("/")[2]) == kind
    assert compression_of(source, "disk.raw") is None
    assert compression_of(disk, source.name) is None
    assert take(source, kind, dest) == disk.stat().st_size
    assert hashlib.sha256(dest.read_bytes()).digest() == hashlib.sha256(disk.read_bytes()).digest()
    assert dest.stat().st_blocks * 512 < 5 * MIB


@pytest.mark.parametrize("kind", list(PROGRAMS))
def test_what_is_damaged_or_cut_short_is_said_and_leaves_nothing(
    tmp_path: Path, disk: Path, kind: Compression
) -> None:
    source, dest = packed(disk, kind), tmp_path / "out"
    whole = source.read_bytes()
    source.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(DownloadError, match="cannot be unpacked"):
        take(source, kind, dest)
    broken = bytearray(whole)
    broken[len(broken) // 2 : len(broken) // 2 + 64] = bytes(64)
    source.write_bytes(broken)
    with pytest.raises(DownloadError, match="cannot be unpacked"):
        take(source, kind, dest)
    assert not dest.exists()


@pytest.mark.parametrize("kind", list(PROGRAMS))
def test_a_bomb_a_deadline_and_a_full_disk_end_it(
    tmp_path: Path, disk: Path, kind: Compression, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, dest = packed(disk, kind), tmp_path / "out"
    with pytest.raises(DownloadError, match="more than 10485760 bytes"):
        take(source, kind, dest, limit=10 * MIB)
    with pytest.raises(BuildTimeoutError):
        take(source, kind, dest, seconds=0)
    monkeypatch.setattr(module, "_SPARE", 2**60)
    monkeypatch.setattr(module, "_LOOK_EVERY", MIB)
    with pytest.raises(EnvironmentProblem, match="about to be full"):
        take(source, kind, dest)
    assert not dest.exists()
