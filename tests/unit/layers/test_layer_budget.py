"""What goes first when the cache is full, and keeping it so."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from builder.layers import cache as cache_module
from builder.layers.budget import Entry, Victim, victims
from builder.layers.cache import KEEP_FREE, Cache
from builder.settings import Home, Settings
from layers.made import an_id, put, put_image, used_at


def layer(name: str, used: float, parent: str = "", *, disk: int = 10, memory: int = 5) -> Entry:
    return Entry(name, "layer", used, disk, memory, instance=f"{name}-1", parent=parent, warm_base=not parent)


def image(name: str, used: float, disk: int = 10) -> Entry:
    return Entry(name, "image", used, disk)


EVERYTHING = [
    layer("new-base", 9.0),
    layer("old-base", 1.0),
    layer("low", 3.0, "new-base-1"),
    layer("high", 4.0, "low-1"),
    layer("side", 2.0, "new-base-1"),
    image("new-image", 8.0),
    image("old-image", 0.0),
]


def order(chosen: list[Victim]) -> list[tuple[str, str]]:
    return [(victim.what, victim.name) for victim in chosen]


def test_the_order_that_is_documented() -> None:
    assert order(victims(EVERYTHING, 0)) == [
        ("memory", "side"),
        ("memory", "low"),
        ("memory", "high"),
        ("layer", "side"),
        ("layer", "high"),  # low is older, but high lies on it
        ("layer", "low"),
        ("image", "old-image"),
        ("image", "new-image"),
        ("memory", "old-base"),
        ("memory", "new-base"),
        ("layer", "old-base"),
        ("layer", "new-base"),
    ]


def test_no_more_goes_than_must() -> None:
    total = sum(entry.size for entry in EVERYTHING)
    assert victims(EVERYTHING, total) == []
    assert order(victims(EVERYTHING, total - 1)) == [("memory", "side")]
    assert order(victims(EVERYTHING, total - 6)) == [("memory", "side"), ("memory", "low")]


def test_what_frees_nothing_does_not_go_for_it() -> None:
    entries = [image("linked", 0.0, disk=0), layer("base", 1.0, memory=0), layer("top", 0.0, "base-1")]
    assert order(victims(entries, 0)) == [("memory", "top"), ("layer", "top"), ("layer", "base")]


sizes = st.integers(0, 40)


@st.composite
def caches(draw: st.DrawFn) -> list[Entry]:
    entries: list[Entry] = []
    for number in range(draw(st.integers(0, 10))):
        below = [entry for entry in entries if entry.what == "layer"]
        parent = draw(st.sampled_from(below)).instance if below and draw(st.booleans()) else ""
        used = draw(st.floats(0, 100))
        if draw(st.integers(0, 3)) == 0:
            entries.append(image(f"i{number}", used, draw(sizes)))
        else:
            entries.append(layer(f"l{number}", used, parent, disk=draw(sizes), memory=draw(sizes)))
    return entries


@given(caches(), st.integers(0, 300))
def test_afterwards_it_fits_and_nothing_hangs_in_the_air(entries: list[Entry], budget: int) -> None:
    chosen = victims(entries, budget)
    left = {entry.name: entry for entry in entries}
    memory = {entry.name: entry.memory for entry in entries}
    step_went = base_went = False
    for victim in chosen:
        entry = left[victim.name]
        assert sum(one.disk + memory[one.name] for one in left.values()) > budget  # else it went for nothing
        if victim.what == "memory":
            assert victim.size == memory[victim.name] > 0
            memory[victim.name] = 0
        else:
            assert memory[victim.name] == 0  # always before its disk
            assert entry.what == "image" or entry.instance not in {one.parent for one in left.values()}
            del left[victim.name]
        step_went |= not entry.warm_base
        base_went |= entry.warm_base
        if base_went:
            assert all(one.warm_base or one.what == "image" for one in left.values())
    rest = sum(one.disk + memory[one.name] for one in left.values())
    assert rest <= budget or not left
    assert step_went or base_went or not chosen


@given(caches(), st.integers(0, 300), st.integers(0, 300))
def test_a_smaller_budget_takes_the_same_and_then_more(entries: list[Entry], one: int, other: int) -> None:
    few, many = victims(entries, max(one, other)), victims(entries, min(one, other))
    assert many[: len(few)] == few


# ---- the cache of a home


@pytest.fixture
def filled(cache: Cache) -> Cache:
    """base <- one <- two with their memories, and an image; two was used last."""
    for number, (name, parent) in enumerate((("base", ""), ("one", "base-1"), ("two", "one-1"))):
        used_at(put(cache.layers, name, parent), 100.0 + number)
    put_image(cache.finished, "image")
    return cache


def names(cache: Cache) -> set[str]:
    return {layer.meta.name for layer in cache.layers.all()} | {"image" for _ in cache.finished.all()}


def test_the_budget_is_a_setting(home: Home) -> None:
    cache = Cache.of(home, Settings(cache_size_gib=0.5))
    assert cache.budget == 512 * 1024**2
    assert (cache.layers.root, cache.finished.root) == (home.layers, home.finished)


def test_the_entries_of_a_cache(filled: Cache) -> None:
    entries = {entry.name: entry for entry in filled.entries()}
    base, one = entries[an_id("base")], entries[an_id("one")]
    assert (base.warm_base, base.parent, base.used) == (True, "", 100.0)
    assert (one.warm_base, one.parent, one.instance) == (False, "base-1", "one-1")
    assert base.disk > one.disk > 0  # seed and access lie in the base
    assert base.memory > 0
    assert entries[an_id("image")].disk > 0


def test_an_image_that_has_another_name_costs_nothing(filled: Cache, tmp_path: Path) -> None:
    os.link(filled.finished.root / an_id("image") / "os.vhd", tmp_path / "distributed.vhd")
    assert {entry.disk for entry in filled.entries() if entry.what == "image"} == {0}


def test_what_is_left_of_a_memory_is_counted_and_goes(filled: Cache) -> None:
    os.truncate(filled.layers.root / an_id("one") / "memory", 4096)
    assert {entry.name: entry.memory for entry in filled.entries()}[an_id("one")] > 0
    assert ("memory", an_id("one")) in order(filled.trim(0))


def test_trimming_to_nothing(filled: Cache) -> None:
    gone = filled.trim(0)
    assert names(filled) == set()
    assert filled.entries() == []
    assert sum(victim.size for victim in gone) > 0
    assert filled.trim(0) == []


def test_trimming_keeps_what_fits(filled: Cache) -> None:
    total = sum(entry.size for entry in filled.entries())
    gone = filled.trim(total - 1)
    assert order(gone) == [("memory", an_id("one"))]
    left = {layer.meta.name: layer.meta.memory is not None for layer in filled.layers.all()}
    assert left == {"base": True, "one": False, "two": True}
    assert sum(entry.size for entry in filled.entries()) <= total - 1


def test_over_only_looks(filled: Cache) -> None:
    assert len(filled.over(0)) == 7
    assert names(filled) == {"base", "one", "two", "image"}


def test_the_room_is_the_budget_or_what_the_disk_has(filled: Cache, monkeypatch: pytest.MonkeyPatch) -> None:
    free = 100 * 1024**3
    monkeypatch.setattr(cache_module.shutil, "disk_usage", lambda _path: type("Usage", (), {"free": free}))
    assert filled.room() == filled.budget
    used = sum(entry.size for entry in filled.entries())
    free = KEEP_FREE + 1000
    assert filled.room() == used + 1000
    free = 0
    assert filled.room() == 0
    assert len(filled.over()) == 7


def test_the_room_of_a_home_that_is_not_there_yet(tmp_path: Path) -> None:
    home = Home(tmp_path / "not" / "yet")
    assert Cache.of(home, Settings(cache_size_gib=0)).room() == 0
    assert Cache.of(home, Settings()).trim() == []
    assert not home.root.exists()
