"""What `build cache prune` takes, and what `list` and `du` say."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from builder.layers.budget import Entry, Victim, victims
from builder.layers.cache import Cache
from builder.layers.inventory import items, usage
from builder.layers.prune import Choice, choose
from builder.settings import Home
from layers.made import an_id, put, put_image, rewrite_meta, used_at
from layers.test_layer_budget import EVERYTHING, caches, order


def test_nothing_asked_is_what_is_over_the_budget() -> None:
    total = sum(entry.size for entry in EVERYTHING)
    assert choose(EVERYTHING, Choice(), total) == []
    assert choose(EVERYTHING, Choice(), total - 20) == victims(EVERYTHING, total - 20)


def test_warm_bases_are_spared_on_wish() -> None:
    gone = choose(EVERYTHING, Choice(keep_warm=True), 0)
    assert {victim.name for victim in gone} == {"side", "low", "high", "old-image", "new-image"}


def test_everything() -> None:
    assert order(choose(EVERYTHING, Choice(everything=True), 10**9)) == [
        ("layer", "high"),
        ("layer", "side"),
        ("layer", "low"),
        ("layer", "old-base"),
        ("layer", "new-base"),
        ("image", "new-image"),
        ("image", "old-image"),
    ]
    gone = choose(EVERYTHING, Choice(everything=True, keep_warm=True), 10**9)
    assert {entry.name for entry in EVERYTHING} - {victim.name for victim in gone} == {"new-base", "old-base"}


def test_unused_for_long() -> None:
    """low is old enough, but what lies on it is not; its memory could go."""
    gone = choose(EVERYTHING, Choice(unused_since=3.5), 10**9)
    assert order(gone) == [("layer", "old-base"), ("layer", "side"), ("image", "old-image")]
    assert gone[1] == Victim("layer", "side", 15)
    memory = choose(EVERYTHING, Choice(unused_since=3.5, memory_only=True), 10**9)
    assert order(memory) == [("memory", "old-base"), ("memory", "low"), ("memory", "side")]


def test_only_memory_snapshots() -> None:
    gone = choose(EVERYTHING, Choice(memory_only=True, keep_warm=True), 10**9)
    assert {(victim.what, victim.name) for victim in gone} == {
        ("memory", "low"), ("memory", "high"), ("memory", "side"),
    }  # fmt: skip


choices = st.builds(
    Choice, st.booleans(), st.none() | st.floats(0, 100), st.booleans(), keep_warm=st.booleans()
)


@given(caches(), choices, st.integers(0, 300))
def test_nothing_hangs_in_the_air_and_nothing_else_goes(
    entries: list[Entry], choice: Choice, room: int
) -> None:
    left = {entry.name: entry for entry in entries}
    for victim in choose(entries, choice, room):
        entry = left[victim.name]
        assert choice.allows(entry)
        if victim.what != "memory":
            assert not choice.memory_only
            assert entry.what == "image" or entry.instance not in {one.parent for one in left.values()}
            del left[victim.name]
    if choice == Choice(everything=True):
        assert not left


@pytest.fixture
def filled(cache: Cache) -> Cache:
    used_at(put(cache.layers, "base", frozen=(1000.0,)), 2000.0)
    put(cache.layers, "one", "base-1", frozen=(1000.0, 1001.0), template="db")
    put_image(cache.finished, "image")
    return cache


def test_the_items(filled: Cache) -> None:
    base, one, image = items(filled)
    assert (base.id, base.type, base.kind, base.lies_on) == (an_id("base"), "layer", "boot", "")
    assert (base.created.timestamp(), base.last_used.timestamp()) == (1000.0, 2000.0)
    assert (one.name, one.template, one.kind, one.lies_on) == ("one", "db", "Shell", an_id("base"))
    assert one.disk > 0 and one.memory > 0
    assert (image.type, image.kind, image.memory) == ("image", "image", 0)


def test_a_time_that_is_none(cache: Cache) -> None:
    rewrite_meta(put(cache.layers, "base").folder, frozen=[1e300])
    assert [item.created.year for item in items(cache)] == [1970]


def test_the_usage(filled: Cache, home: Home) -> None:
    (home.bases / "key").mkdir(parents=True)
    (home.bases / "key" / "disk.raw").write_bytes(b"x" * 8192)
    (home.bases / ".key.lock").touch()
    home.downloads.mkdir(parents=True)
    (home.downloads / "file").write_bytes(b"x" * 4096)
    found = usage(home, filled)
    kinds = {kind.kind: kind for kind in found.kinds}
    assert {name: kind.count for name, kind in kinds.items()} == {
        "warm bases": 1, "layers": 1, "memory snapshots": 2, "finished images": 1,
        "source disks": 1, "downloads": 1,
    }  # fmt: skip
    assert kinds["source disks"].size >= 8192
    assert not kinds["source disks"].prunable and not kinds["downloads"].prunable
    assert found.used == sum(kind.size for kind in found.kinds if kind.prunable)
    assert found.used == sum(entry.size for entry in filled.entries())
    assert found.budget == filled.budget


def test_the_usage_of_no_home(tmp_path: Path, cache: Cache) -> None:
    found = usage(Home(tmp_path / "none"), cache)
    assert found.used == 0
    assert found.free > 0
