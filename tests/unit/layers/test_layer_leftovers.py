"""`build gc` on the cache: crashes' remains, orphans, what is over the budget."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from builder.gc import GcReport, collect
from builder.layers.cache import Cache
from builder.layers.transfer import private_place, transfers
from builder.settings import Home
from layers.made import an_id, put, put_image

BASE, ONE = an_id("base"), an_id("one")


@pytest.fixture
def filled(cache: Cache) -> Cache:
    put(cache.layers, "base")
    put(cache.layers, "one", "base-1")
    put_image(cache.finished, "image")
    return cache


def said(report: GcReport) -> set[tuple[str, str]]:
    return {(item.kind, item.name) for item in report.removed}


def names(root: Path) -> set[str]:
    return {path.name for path in root.iterdir()} - {".lock"}


def test_a_sound_cache_stays(home: Home, filled: Cache) -> None:
    assert collect(home, None, filled).removed == []
    assert len(filled.entries()) == 3


def test_what_nobody_can_use_goes(home: Home, filled: Cache) -> None:
    put(filled.layers, "orphan", "gone-1")
    os.truncate(put(filled.layers, "cut", "base-1").disk.path, 1)
    shutil.copytree(filled.layers.root / ONE, filled.layers.root / ".trash-1")
    shutil.copytree(filled.finished.root / an_id("image"), filled.finished.root / ".trash-2")
    expected = {
        ("layer", ".trash-1"),
        ("layer", an_id("orphan")),
        ("layer", an_id("cut")),
        ("image", ".trash-2"),
    }
    dry = collect(home, None, filled, dry_run=True)
    assert said(dry) == expected
    assert len(names(filled.layers.root)) == 5
    report = collect(home, None, filled)
    assert said(report) == expected
    assert report.freed == dry.freed > 0
    reasons = {item.name: item.reason for item in report.removed}
    assert reasons[an_id("orphan")] == "'orphan': what it lies on is gone"
    assert names(filled.layers.root) == {BASE, ONE}
    assert names(filled.finished.root) == {an_id("image")}


def test_the_budget_is_kept(home: Home, filled: Cache) -> None:
    put(filled.layers, "orphan", "gone-1")
    none = Cache(filled.layers, filled.finished, 0)
    expected = {
        ("layer", an_id("orphan")), ("memory", ONE), ("layer", ONE), ("image", an_id("image")),
        ("memory", BASE), ("layer", BASE),
    }  # fmt: skip
    dry = collect(home, None, none, dry_run=True)
    assert said(dry) == expected
    assert len(dry.removed) == len(expected)
    report = collect(home, None, none)
    assert said(report) == expected
    assert none.entries() == []
    assert any("memory snapshot of 'one'" in item.reason for item in report.removed)


def test_without_a_cache_to_look_at_it_stays(home: Home, filled: Cache) -> None:
    (filled.layers.root / ".trash-1").mkdir()
    assert collect(home, None).removed == []


def test_what_an_import_left_goes_unless_it_is_under_way(home: Home, cache: Cache) -> None:
    with private_place(home) as alive:
        (alive / "file").write_text("x" * 5000)
        dead = transfers(home) / "dead"
        dead.mkdir()
        (dead / "file").write_text("x" * 5000)
        (transfers(home) / "dead.lock").touch()
        (transfers(home) / "nothing.lock").touch()
        assert said(collect(home, None, cache, dry_run=True)) == {("transfer", "dead")}
        assert (dead / "file").exists()
        assert said(collect(home, None, cache)) == {("transfer", "dead")}
        assert names(transfers(home)) == {alive.name, f"{alive.name}.lock"}
        assert (alive / "file").exists()


def test_a_locked_store_stops_nothing_else(
    home: Home, filled: Cache, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("builder.layers.store.LOCK_SECONDS", 0.05)
    (filled.layers.root / ".trash-1").mkdir()
    (filled.finished.root / ".trash-2").mkdir()
    with filled.layers._locked():
        report = collect(home, None, filled)
    assert said(report) == {("image", ".trash-2")}
    assert [(item.kind, item.name) for item in report.left] == [("layer", ".trash-1")]
    assert "locked" in report.left[0].reason
