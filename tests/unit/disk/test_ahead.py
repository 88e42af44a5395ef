"""A copy made before it is known whether it is wanted: whole under its name, or gone."""

from __future__ import annotations

from pathlib import Path

import pytest

from builder.disk.ahead import CopyAhead


@pytest.fixture
def source(tmp_path: Path) -> Path:
    file = tmp_path / "source"
    with file.open("wb") as out:
        out.write(b"begin")
        out.seek(3 * 1024**2)
        out.write(b"end")
    return file


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    place = tmp_path / "there"
    place.mkdir()
    return place


def begun(source: Path, folder: Path) -> CopyAhead:
    copy = CopyAhead.begin(source, folder)
    assert copy is not None
    return copy


def test_it_has_no_name_until_it_is_asked_for(source: Path, folder: Path) -> None:
    copy = begun(source, folder)
    assert list(folder.iterdir()) == []
    seen: list[bytes] = []
    copy.appear(folder / "copy", lambda path: seen.append(path.read_bytes()))
    assert seen == [source.read_bytes()]
    assert (folder / "copy").read_bytes() == source.read_bytes()
    assert not (folder / "copy").samefile(source)
    assert [path.name for path in folder.iterdir()] == ["copy"]


def test_it_takes_the_place_of_what_was_there(source: Path, folder: Path) -> None:
    (folder / "copy").write_bytes(b"old")
    begun(source, folder).appear(folder / "copy", lambda _: None)
    assert (folder / "copy").read_bytes() == source.read_bytes()


def test_one_that_is_refused_leaves_what_was_there(source: Path, folder: Path) -> None:
    def refuse(_: Path) -> None:
        raise ValueError("not that")

    (folder / "copy").write_bytes(b"old")
    with pytest.raises(ValueError, match="not that"):
        begun(source, folder).appear(folder / "copy", refuse)
    assert (folder / "copy").read_bytes() == b"old"
    assert [path.name for path in folder.iterdir()] == ["copy"]


def test_what_failed_beside_is_told_to_who_asks(folder: Path, tmp_path: Path) -> None:
    copy = begun(tmp_path / "missing", folder)
    with pytest.raises(FileNotFoundError):
        copy.appear(folder / "copy", lambda _: None)
    assert list(folder.iterdir()) == []


def test_what_is_forgotten_is_gone(source: Path, folder: Path) -> None:
    before = set(Path("/proc/self/fd").iterdir())
    copy = begun(source, folder)
    copy.forget()
    copy.forget()
    assert list(folder.iterdir()) == []
    assert set(Path("/proc/self/fd").iterdir()) == before
