"""What is remembered of a file holds exactly as long as nobody touches it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from builder.disk.known_files import KnownFiles, settled


@pytest.fixture
def known(tmp_path: Path) -> KnownFiles:
    return KnownFiles(tmp_path / "known.json")


def test_a_file_is_known_until_it_is_written(known: KnownFiles, tmp_path: Path) -> None:
    file = tmp_path / "disk"
    file.write_bytes(b"one")
    assert known.digest(file) == ""
    known.note(file, "d1")
    assert known.digest(file) == "d1"
    file.write_bytes(b"two")
    assert known.digest(file) == ""


def test_another_file_of_that_size_and_time_is_not_taken_for_it(known: KnownFiles, tmp_path: Path) -> None:
    file, other = tmp_path / "disk", tmp_path / "other"
    file.write_bytes(b"one")
    other.write_bytes(b"two")
    times = (file.stat().st_atime_ns, file.stat().st_mtime_ns)
    known.note(file, "d1")
    os.utime(other, ns=times)
    other.replace(file)
    assert known.digest(file) == ""


def test_a_chance_of_times_does_not_hide_a_change(known: KnownFiles, tmp_path: Path) -> None:
    file = tmp_path / "disk"
    file.write_bytes(b"one")
    times = (file.stat().st_atime_ns, file.stat().st_mtime_ns)
    known.note(file, "d1")
    file.write_bytes(b"two")
    os.utime(file, ns=times)
    assert known.digest(file) == "", "the change time cannot be set"


@pytest.mark.parametrize("text", ["", "[]", "{", '{"x": 1}'])
def test_a_broken_memo_is_no_memo(tmp_path: Path, text: str) -> None:
    memo, file = tmp_path / "known.json", tmp_path / "disk"
    memo.write_text(text)
    file.write_bytes(b"one")
    known = KnownFiles(memo)
    assert known.digest(file) == ""
    known.note(file, "d1")
    assert known.digest(file) == "d1"


def test_it_does_not_grow_for_ever(
    known: KnownFiles, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("builder.disk.known_files._MOST", 5)
    files = [tmp_path / str(number) for number in range(7)]
    for file in files:
        file.touch()
        known.note(file, file.name)
    assert [known.digest(file) for file in (files[0], files[-1])] == ["", "6"]


def test_a_file_written_just_now_may_be_written_again(tmp_path: Path) -> None:
    file = tmp_path / "disk"
    file.touch()
    assert not settled(file)
    os.utime(file, (0, 0))
    assert settled(file)
    assert not settled(tmp_path / "missing")
