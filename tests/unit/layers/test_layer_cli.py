"""`build cache` as it is typed: what it says, what it does, its exit codes."""

from __future__ import annotations

import json
import os
import re
import shutil
from pathlib import Path
from typing import Any

import pytest

from builder import cli
from builder.layers.cache import Cache
from builder.layers.store import LayerStore
from builder.settings import Home, Settings
from layers.made import an_id, draft, put, put_image, used_at
from layers.test_layer_transfer import DRAWN, KEY, put_base

DAY = 86400.0
BASE, ONE, TWO = (an_id(name) for name in ("base", "one", "two"))


@pytest.fixture(autouse=True)
def at_home(home: Home, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("GOLDSMITH_HOME", str(home.root))
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def filled(home: Home) -> Cache:
    cache = Cache.of(home, Settings())
    for name, parent in (("base", ""), ("one", "base-1"), ("two", "one-1")):
        put(cache.layers, name, parent, source=DRAWN)
    put_image(cache.finished, "image")
    return cache


def build(capsys: pytest.CaptureFixture[str], *words: str, code: int = 0) -> tuple[str, str]:
    assert cli.main(["cache", *words]) == code
    return capsys.readouterr()


def build_json(capsys: pytest.CaptureFixture[str], *words: str) -> Any:
    return json.loads(build(capsys, *words, "--json")[0])


def test_an_empty_home(capsys: pytest.CaptureFixture[str], home: Home, tmp_path: Path) -> None:
    shutil.rmtree(home.root)
    assert "empty" in build(capsys, "list")[0]
    assert "Used:   0 B of 20.0 GiB" in build(capsys, "du")[0]
    assert build(capsys, "prune", "--all")[0] == "Nothing to take away.\n"
    assert not home.root.exists()
    assert build_json(capsys, "list") == []
    assert "0 layers" in build(capsys, "export", "cache.tar")[0]
    assert "Imported 0 layers" in build(capsys, "import", "cache.tar")[0]


def test_list(capsys: pytest.CaptureFixture[str], filled: Cache) -> None:
    out, _ = build(capsys, "list")
    lines = [re.split(r"  +|[│┃|]", line.strip(" │┃|")) for line in out.splitlines()]
    cells = [[cell.strip() for cell in line if cell.strip()] for line in lines]
    (row,) = [line for line in cells if line and line[0] == ONE[:12]]
    assert row[1:4] == ["Shell", "one", "web"]
    assert row[-1] == BASE[:12]
    assert f"source {DRAWN[:8]}" in out
    items = build_json(capsys, "list")
    assert [item["id"] for item in items] == [BASE, ONE, TWO, an_id("image")]
    assert set(items[1]) == {
        "id", "type", "kind", "name", "template", "created", "lastUsed", "disk", "memory", "liesOn", "source",
    }  # fmt: skip
    assert (items[1]["liesOn"], items[1]["source"]) == (BASE, DRAWN)


def test_du(capsys: pytest.CaptureFixture[str], filled: Cache, home: Home) -> None:
    put_base(home)
    out, _ = build(capsys, "du")
    for word in ("warm bases", "layers", "memory snapshots", "finished images", "source disks", "not pruned"):
        assert word in out
    found = build_json(capsys, "du")
    assert found["budget"] == 20 * 1024**3
    assert {kind["kind"]: kind["count"] for kind in found["kinds"]}["source disks"] == 1


def test_prune_to_the_budget(
    capsys: pytest.CaptureFixture[str], filled: Cache, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert build(capsys, "prune")[0] == "Nothing to take away.\n"
    monkeypatch.setenv("GOLDSMITH_CACHE_SIZE_GIB", "0")
    dry = build_json(capsys, "prune", "--dry-run")
    assert dry["dryRun"] is True
    assert len(filled.entries()) == 4
    wet = build_json(capsys, "prune")
    assert (wet["removed"], wet["freed"]) == (dry["removed"], dry["freed"])
    assert wet["freed"] > 0
    assert filled.entries() == []


def test_prune_by_wish(capsys: pytest.CaptureFixture[str], filled: Cache, home: Home) -> None:
    base = put_base(home)
    out, _ = build(capsys, "prune", "--memory", "--keep-warm")
    assert "2 removed" in out
    left = {layer.meta.name: layer.meta.memory is not None for layer in filled.layers.all()}
    assert left == {"base": True, "one": False, "two": False}
    for layer in filled.layers.all():
        used_at(layer, 0.0 if layer.meta.name == "two" else 2e10)
    os.utime(home.finished / an_id("image") / "meta.json", (2e10, 2e10))
    out, _ = build(capsys, "prune", "--older-than", "7d")
    assert "1 removed" in out and "two" in out
    assert "Nothing" in build(capsys, "prune", "--older-than", "2w")[0]
    build(capsys, "prune", "--all", "--keep-warm")
    assert [entry.name for entry in filled.entries()] == [BASE]
    build(capsys, "prune", "-a")
    assert filled.entries() == []
    assert (base / "disk.raw").exists()


def test_a_build_under_way_is_not_harmed(
    capsys: pytest.CaptureFixture[str], filled: Cache, tmp_path: Path
) -> None:
    mine = filled.layers.borrow(filled.layers.all()[0], tmp_path / "mine")
    build(capsys, "prune", "--all")
    assert mine is not None
    assert mine.disk.path.exists()
    # What it makes on top finds no place any more, and that is no error.
    assert not filled.layers.add(draft(tmp_path / "top", "new", "base-1"))


@pytest.mark.parametrize("age", ["", "0d", "99999999999w", "7", "yesterday", "-1d", "0s", "d", "7 d"])
def test_an_age_that_is_none(capsys: pytest.CaptureFixture[str], age: str) -> None:
    _, err = build(capsys, "prune", f"--older-than={age}", code=2)
    assert f"--older-than {age}: no span of time" in err
    assert "7d" in err


def test_to_another_machine(
    capsys: pytest.CaptureFixture[str],
    filled: Cache,
    home: Home,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    put_base(home)
    out, err = build(capsys, "export", "cache.tar.gz", ONE[:12])
    assert "Wrote cache.tar.gz: 2 layers" in out
    assert "--with-base" in err
    out, err = build(capsys, "export", "cache.tar.gz", "--template", "web", "--with-base", "--no-memory")
    assert "3 layers, 1 source disk" in out
    assert err == ""
    monkeypatch.setenv("GOLDSMITH_HOME", str(tmp_path / "other"))
    out, err = build(capsys, "import", "cache.tar.gz")
    assert "Imported 3 layers, 1 source disk; 0 were here already." in out
    assert err == ""
    assert len(LayerStore(Home().layers).chain([BASE, ONE, TWO])) == 3
    done = build_json(capsys, "import", "cache.tar.gz")
    assert sorted(done["alreadyHere"]) == sorted([BASE, ONE, TWO, KEY])
    assert (done["layers"], done["over"]) == ([], 0)


def test_a_machine_without_the_base_is_told(
    capsys: pytest.CaptureFixture[str],
    filled: Cache,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    exported = build_json(capsys, "export", "cache.tar")
    assert exported["withoutBase"] == [DRAWN]
    monkeypatch.setenv("GOLDSMITH_HOME", str(tmp_path / "other"))
    monkeypatch.setenv("GOLDSMITH_CACHE_SIZE_GIB", "0")
    out, err = build(capsys, "import", "cache.tar")
    assert "over its budget" in out
    assert "warning: the base below" in err
    put(LayerStore(Home(tmp_path / "third").layers), "base", instance="another")
    monkeypatch.setenv("GOLDSMITH_HOME", str(tmp_path / "third"))
    assert "3 left out" in build(capsys, "import", "cache.tar")[0]


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("export", "missing/cache.tar"), 3, "cannot be written"),
        (("export", "."), 2, "no file that could be written"),
        (("export", "x.tar", "ffffffff"), 2, "no layer 'ffffffff'"),
        (("export", "x.tar", "--template", "mail"), 2, "Templates with layers here: web"),
        (("export", "x.tar", "abcd", "--template", "web"), 2, "Give one or the other"),
        (("import", "none.tar"), 2, "is no file"),
        (("import", "bad.tar"), 2, "Nothing was imported"),
        (("export",), 2, "FILE"),
    ],
)
def test_mistakes(
    capsys: pytest.CaptureFixture[str], filled: Cache, words: tuple[str, ...], code: int, said: str
) -> None:
    Path("bad.tar").write_text("not one of ours")
    out, err = build(capsys, *words, code=code)
    assert said in err
    assert "Traceback" not in err + out
    assert not Path("x.tar").exists()


def test_a_store_that_stays_locked(
    capsys: pytest.CaptureFixture[str], filled: Cache, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("builder.layers.store.LOCK_SECONDS", 0.05)
    with filled.layers._locked():
        _, err = build(capsys, "prune", "--all", code=3)
    assert "locked by another process" in err


def test_gc_trims_and_clears_the_cache(
    capsys: pytest.CaptureFixture[str], filled: Cache, monkeypatch: pytest.MonkeyPatch
) -> None:
    filled.layers.all()[-1].folder.rename(filled.layers.root / ".trash-1")
    monkeypatch.setenv("GOLDSMITH_CACHE_SIZE_GIB", "0")
    assert cli.main(["gc", "--dry-run"]) == 0
    out = capsys.readouterr().out
    assert ".trash-1" in out and "the cache may have 0.0 GiB" in out
    assert len(filled.entries()) == 3
    assert cli.main(["gc"]) == 0
    assert filled.entries() == []
    assert [path.name for path in filled.layers.root.iterdir()] == [".lock"]
