"""Finished images in the cache: found as they were stored, or not at all."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from builder.layers.finished import FinishedLayer, FinishedStore
from layers.made import FACTS, an_id, put_image, rewrite_meta

ID = an_id("image")


def found(store: FinishedStore) -> FinishedLayer:
    image = store.find(ID)
    assert image is not None
    return image


def test_an_empty_store(finished: FinishedStore) -> None:
    assert (finished.find(ID), finished.find(""), finished.all(), finished.sweep()) == (None, None, [], [])


def test_an_image_is_found_as_it_was_stored(finished: FinishedStore) -> None:
    put_image(finished, "image", b"content")
    image = found(finished)
    assert image.vhd.read_bytes() == b"content"
    assert {name: getattr(image.meta, name) for name in FACTS} == FACTS
    assert image.meta.validated == ()
    assert not image.vhd.stat().st_mode & 0o222
    assert finished.all() == [image]


def test_it_shares_its_blocks_with_what_is_distributed(finished: FinishedStore, tmp_path: Path) -> None:
    vhd = tmp_path / "os.vhd"
    vhd.write_bytes(b"content")
    image = finished.add(vhd, FACTS, ID, tmp_path / "draft")
    assert image is not None
    assert image.vhd.samefile(vhd)


@pytest.mark.parametrize("change", ["longer", "touched", "gone"])
def test_a_changed_file_is_a_miss(finished: FinishedStore, change: str) -> None:
    put_image(finished, "image")
    vhd = finished.root / ID / "os.vhd"
    vhd.chmod(0o600)
    if change == "longer":
        before = vhd.stat().st_mtime_ns
        vhd.write_bytes(b"vhd and more")
        os.utime(vhd, ns=(before, before))
    elif change == "touched":
        os.utime(vhd, (5, 5))
    else:
        vhd.unlink()
    assert finished.find(ID) is None
    assert finished.all() == []
    assert [path.name for path in finished.sweep()] == [ID]


@pytest.mark.parametrize(
    "changes",
    [{"format": 9}, {"id": an_id("other")}, {"frozen": "x"}, {"validated": [1]}, {"os_type": "OS2"}],
)
def test_another_meta_is_a_miss(finished: FinishedStore, changes: dict[str, object]) -> None:
    put_image(finished, "image")
    rewrite_meta(finished.root / ID, **changes)
    assert finished.find(ID) is None
    assert finished.all() == []


def test_it_remembers_the_validations_it_passed(finished: FinishedStore) -> None:
    put_image(finished, "image")
    for digest in ("one", "two", "one"):
        finished.passed(found(finished), digest)
    assert found(finished).meta.validated == ("one", "two")
    assert {path.name for path in (finished.root / ID).iterdir()} == {"os.vhd", "meta.json"}


def test_passing_or_using_what_went_harms_nobody(finished: FinishedStore) -> None:
    put_image(finished, "image")
    image = found(finished)
    finished.drop(ID)
    finished.passed(image, "one")
    finished.used(image)
    finished.drop(ID)
    assert list(finished.root.iterdir()) == []


def test_used_is_remembered(finished: FinishedStore) -> None:
    put_image(finished, "image")
    image = found(finished)
    os.utime(image.folder / "meta.json", (5, 5))
    finished.used(image)
    assert (image.folder / "meta.json").stat().st_mtime > 1000
    assert finished.find(ID) == image


def test_a_newer_one_takes_its_place(finished: FinishedStore) -> None:
    put_image(finished, "image", b"old")
    finished.passed(found(finished), "one")
    put_image(finished, "image", b"newer")
    assert found(finished).vhd.read_bytes() == b"newer"
    assert found(finished).meta.validated == ()
    assert [path.name for path in finished.root.iterdir()] == [ID]


def test_two_adders_of_one_id(finished: FinishedStore, tmp_path: Path) -> None:
    results: list[FinishedLayer | None] = []

    def add(number: int) -> None:
        vhd = tmp_path / f"{number}.vhd"
        vhd.write_bytes(b"image of %d" % number)
        facts = {**FACTS, "proof": str(number)}
        results.append(FinishedStore(finished.root).add(vhd, facts, ID, tmp_path / f"draft-{number}"))

    threads = [threading.Thread(target=add, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    image = found(finished)
    assert image.vhd.read_bytes() == b"image of " + image.meta.proof.encode()
    assert len(results) == 6
    assert finished.sweep() == []


def test_a_place_that_cannot_be_written_is_an_error(finished: FinishedStore, tmp_path: Path) -> None:
    finished.root.write_text("a file in its place")
    vhd = tmp_path / "os.vhd"
    vhd.write_bytes(b"x")
    with pytest.raises(OSError, match=r"directory|exists"):
        finished.add(vhd, FACTS, ID, tmp_path / "draft")


def test_sweep_finds_what_was_on_its_way_out(finished: FinishedStore) -> None:
    put_image(finished, "image")
    put_image(finished, "other")
    (finished.root / an_id("other")).rename(finished.root / ".trash-1")
    assert [path.name for path in finished.sweep()] == [".trash-1"]
