"""What a program changed in a copy of a partition comes back, holes and all."""

from __future__ import annotations

from pathlib import Path

import pytest

from builder.disk.apart import apart

BLOCK = 64 * 1024
START = 3 * BLOCK + 512  # of an old table, not on any boundary


@pytest.fixture
def image(tmp_path: Path) -> Path:
    path = tmp_path / "disk"
    with path.open("wb") as file:
        file.truncate(20 * BLOCK)
        for place in (0, START, START + 5 * BLOCK, START + 8 * BLOCK - 3):
            file.seek(place)
            file.write(b"data")
    return path


def test_the_copy_is_the_partition_and_nothing_is_left(image: Path) -> None:
    before = image.read_bytes()
    with apart(image, START, 8 * BLOCK) as copy:
        assert copy.path.read_bytes() == before[START : START + 8 * BLOCK]
        copy.path.write_bytes(b"not brought back")
    assert image.read_bytes() == before
    assert list(image.parent.iterdir()) == [image]


def test_only_the_partition_changes_also_where_data_became_a_hole(image: Path) -> None:
    before = image.read_bytes()
    with apart(image, START, 8 * BLOCK) as copy:
        with copy.path.open("r+b") as file:
            file.truncate(0)  # all holes
            file.truncate(8 * BLOCK)
            file.seek(2 * BLOCK - 1)
            file.write(b"new")
        copy.write_back()
    after = image.read_bytes()
    assert after[:START] == before[:START]
    assert after[START + 8 * BLOCK :] == before[START + 8 * BLOCK :]
    inside = bytearray(8 * BLOCK)
    inside[2 * BLOCK - 1 : 2 * BLOCK + 2] = b"new"
    assert after[START : START + 8 * BLOCK] == inside
