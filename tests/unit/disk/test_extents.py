from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from builder.disk import extents
from builder.disk.extents import (
    BLOCK,
    allocated_size,
    appearing,
    clone,
    content_digest,
    data_extents,
    hard_link,
    link_or_copy,
)
from disk.vhd_file import MIB, write_vhd


def sparse(path: Path, size: int, *pieces: tuple[int, bytes]) -> Path:
    with path.open("wb") as file:
        file.truncate(size)
        for at, data in pieces:
            file.seek(at)
            file.write(data)
    return path


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_extents_are_what_was_written(tmp_path: Path) -> None:
    path = sparse(tmp_path / "a", 8 * MIB, (MIB, b"x" * 4096), (4 * MIB, b"y" * 4096))
    with path.open("rb") as file:
        found = list(data_extents(file.fileno(), 8 * MIB))
    assert len(found) == 2
    assert all(start <= at < end for (start, end), at in zip(found, (MIB, 4 * MIB), strict=True))
    assert sum(end - start for start, end in found) < MIB


def test_holes_and_zeros_are_the_same_content(tmp_path: Path) -> None:
    holes = sparse(tmp_path / "holes", 4 * MIB, (MIB + 5, b"data"))
    zeros = tmp_path / "zeros"
    zeros.write_bytes(holes.read_bytes())
    assert allocated_size(zeros) > allocated_size(holes)
    assert content_digest(zeros) == content_digest(holes)


def test_place_size_and_content_all_count(tmp_path: Path) -> None:
    variants = [
        sparse(tmp_path / "1", 4 * MIB, (MIB, b"data")),
        sparse(tmp_path / "2", 4 * MIB, (2 * MIB, b"data")),
        sparse(tmp_path / "3", 4 * MIB, (MIB, b"date")),
        sparse(tmp_path / "4", 5 * MIB, (MIB, b"data")),
        sparse(tmp_path / "5", 4 * MIB),
        sparse(tmp_path / "6", 4 * MIB, (MIB, b"data"), (2 * MIB, b"data")),
    ]
    assert len({content_digest(path) for path in variants}) == len(variants)


def test_a_footer_outside_the_size_does_not_count(tmp_path: Path) -> None:
    one = write_vhd(tmp_path / "1.vhd", 2 * MIB, b"same")
    two = write_vhd(tmp_path / "2.vhd", 2 * MIB, b"same", version=7)
    assert content_digest(one, 2 * MIB) == content_digest(two, 2 * MIB)
    assert content_digest(one) != content_digest(two)


@settings(max_examples=25, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 6 * BLOCK), st.binary(min_size=1, max_size=3 * BLOCK)), max_size=4),
    st.integers(1, 8 * BLOCK),
)
def test_a_clone_is_the_same_and_as_sparse(
    tmp_path_factory: pytest.TempPathFactory, pieces: list[tuple[int, bytes]], size: int
) -> None:
    folder = tmp_path_factory.mktemp("clone")
    source = sparse(folder / "a", size, *pieces)
    clone(source, folder / "b")
    assert (folder / "b").read_bytes() == source.read_bytes()
    assert content_digest(folder / "b") == content_digest(source)
    assert allocated_size(folder / "b") <= allocated_size(source) + 4096
    assert names(folder) == ["a", "b"]


def test_a_clone_is_independent_and_replaces(tmp_path: Path) -> None:
    source = sparse(tmp_path / "a", MIB, (0, b"new"))
    target = tmp_path / "b"
    target.write_bytes(b"old")
    clone(source, target)
    assert target.stat().st_ino != source.stat().st_ino
    assert target.read_bytes()[:3] == b"new"


def test_a_clone_that_fails_its_check_leaves_what_was_there(tmp_path: Path) -> None:
    source = sparse(tmp_path / "a", MIB)
    (tmp_path / "b").write_bytes(b"old")

    def refuse(path: Path) -> None:
        assert path.stat().st_size == MIB
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        clone(source, tmp_path / "b", verify=refuse)
    assert (tmp_path / "b").read_bytes() == b"old"
    assert names(tmp_path) == ["a", "b"]


def test_a_link_is_the_same_file_and_replaces_at_once(tmp_path: Path) -> None:
    source = sparse(tmp_path / "a", MIB)
    target = tmp_path / "deep" / "b"
    hard_link(source, target)
    hard_link(source, target)
    assert target.stat().st_ino == source.stat().st_ino
    assert names(target.parent) == ["b"]
    link_or_copy(source, tmp_path / "c")
    assert source.stat().st_nlink == 3


def test_where_no_link_is_possible_a_copy_is_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(self: Path, target: Path) -> None:
        raise OSError(18, "Invalid cross-device link")

    monkeypatch.setattr(Path, "hardlink_to", refuse)
    source = sparse(tmp_path / "a", MIB, (7, b"data"))
    link_or_copy(source, tmp_path / "b")
    assert (tmp_path / "b").read_bytes() == source.read_bytes()
    assert (tmp_path / "b").stat().st_ino != source.stat().st_ino


def test_without_copy_file_range_the_copy_is_still_exact(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*args: object) -> int:
        raise OSError(95, "Operation not supported")

    monkeypatch.setattr(os, "copy_file_range", refuse)
    source = sparse(tmp_path / "a", 4 * MIB, (MIB + 3, b"x" * (MIB + 1)))
    clone(source, tmp_path / "b")
    assert (tmp_path / "b").read_bytes() == source.read_bytes()


@pytest.mark.parametrize("can_be_nameless", [True, False])
def test_a_file_appears_whole_or_not_at_all(
    tmp_path: Path, can_be_nameless: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not can_be_nameless:
        monkeypatch.setattr(extents, "nameless_file", lambda _: None)
    path = tmp_path / "file"
    with appearing(path) as stream:
        stream.write(b"first" * 10_000)
        assert not path.exists()
    assert path.read_bytes() == b"first" * 10_000
    assert path.stat().st_mode & 0o777 == 0o600
    with pytest.raises(ZeroDivisionError), appearing(path) as stream:
        stream.write(b"second")
        1 / 0  # noqa: B018 - whatever goes wrong
    assert path.read_bytes() == b"first" * 10_000
    with appearing(path, 0o644) as stream:
        stream.write(b"third")
    assert path.read_bytes() == b"third"
    assert path.stat().st_mode & 0o777 == 0o644
    assert names(tmp_path) == ["file"]
