"""The layer store's rules: what is found is right, what goes takes what lies on it along."""

from __future__ import annotations

import os
import shutil
import stat
import threading
from pathlib import Path

import pytest

from builder.layers import store as store_module
from builder.layers.layer import Layer
from builder.layers.store import LayerStore
from layers.made import an_id, disk_of, draft, memory_of, put, rewrite_meta, used_at

BASE, ONE, TWO, OTHER = (an_id(name) for name in ("base", "one", "two", "other"))


@pytest.fixture
def chained(store: LayerStore) -> LayerStore:
    """base <- one <- two, and base <- other."""
    put(store, "base", frozen=(1.0,))
    put(store, "one", "base-1", frozen=(1.0, 2.0))
    put(store, "two", "one-1", frozen=(1.0, 2.0, 3.0))
    put(store, "other", "base-1", frozen=(1.0, 4.0))
    return store


def ids(layers: tuple[Layer, ...] | list[Layer]) -> list[str]:
    return [layer.meta.id for layer in layers]


def found(store: LayerStore, layer_id: str) -> Layer:
    layer = store.find(layer_id)
    assert layer is not None
    return layer


def test_an_empty_store(store: LayerStore) -> None:
    assert store.find(BASE) is None
    assert store.find("") is None
    assert store.chain([BASE, ONE]) == ()
    assert (store.all(), store.sweep()) == ([], [])


def test_the_chain_as_far_as_it_is_there(chained: LayerStore) -> None:
    assert ids(chained.chain([BASE, ONE, TWO])) == [BASE, ONE, TWO]
    assert ids(chained.chain([BASE, OTHER, TWO])) == [BASE, OTHER]
    assert ids(chained.chain([BASE, an_id("edited"), TWO])) == [BASE]
    assert chained.chain([ONE, TWO]) == ()  # what lies on something is no beginning


def test_the_chain_stops_where_the_parent_was_made_again(chained: LayerStore) -> None:
    """Same id, another making: what lies on the old one has blocks that do not fit."""
    rewrite_meta(chained.root / ONE, instance="one-2")
    assert ids(chained.chain([BASE, ONE, TWO])) == [BASE, ONE]


def test_all_gives_parents_first_and_orphans_last(chained: LayerStore) -> None:
    rewrite_meta(chained.root / BASE, frozen=[9.0])  # a clock that was wrong changes nothing about the order
    order = ids(chained.all())
    assert sorted(order) == sorted([BASE, ONE, TWO, OTHER])
    assert order.index(BASE) < order.index(ONE) < order.index(TWO)
    assert order.index(BASE) < order.index(OTHER)


def test_layers_in_a_circle_harm_nobody(store: LayerStore) -> None:
    put(store, "one", "two-1")
    put(store, "two", "one-1")
    put(store, "self", "self-1")
    assert len(store.all()) == 3
    store.drop(found(store, an_id("one")))
    store.drop(found(store, an_id("self")))
    assert store.all() == []


# ---- damaged, foreign, of another format: a miss


@pytest.mark.parametrize(
    "changes",
    [
        {"format": 2},
        {"format": "1"},
        {"frozen": []},
        {"frozen": ["yesterday"]},
        {"disk_size": "many"},
        {"inputs": []},
        {"id": TWO},
        {"memory": {"key": "k"}},
        {"parent": None},
    ],
)
def test_another_meta_is_a_miss(chained: LayerStore, changes: dict[str, object]) -> None:
    rewrite_meta(chained.root / ONE, **changes)
    assert chained.find(ONE) is None
    assert ids(chained.chain([BASE, ONE, TWO])) == [BASE]
    assert ONE not in ids(chained.all())
    assert {path.name for path in chained.sweep()} == {ONE, TWO}


@pytest.mark.parametrize("text", ["", "{", "[]", "null", '"x"', "{}", "\x00"])
def test_a_meta_that_is_none(chained: LayerStore, text: str) -> None:
    (chained.root / ONE / "meta.json").write_text(text)
    assert ids(chained.chain([BASE, ONE])) == [BASE]
    assert len(chained.all()) == 3


def test_a_truncated_disk_is_a_miss(chained: LayerStore) -> None:
    os.truncate(chained.root / ONE / "disk.qcow2", 5)
    assert ids(chained.chain([BASE, ONE])) == [BASE]


@pytest.mark.parametrize("file", ["disk.qcow2", "meta.json", "seed.iso", "access.json"])
def test_a_missing_file_is_a_miss(chained: LayerStore, file: str) -> None:
    (chained.root / BASE / file).unlink()
    assert chained.chain([BASE]) == ()


@pytest.mark.parametrize("length", [None, 0, 5])
def test_without_its_memory_a_layer_still_boots(chained: LayerStore, length: int | None) -> None:
    memory = chained.root / ONE / "memory"
    if length is None:
        memory.unlink()
    else:
        os.truncate(memory, length)
    layer = found(chained, ONE)
    assert layer.meta.memory is None
    assert not layer.restorable("key")
    assert layer.why_not("key") == ""
    assert found(chained, TWO).restorable("key")
    assert not found(chained, TWO).restorable("another machine's")


def test_what_only_the_memory_held_makes_the_disk_useless(store: LayerStore) -> None:
    layer = put(store, "base", volatile=("/tmp/x",))
    assert layer.why_not("key") == ""
    store.drop_memory(layer)
    why = found(store, BASE).why_not("key")
    assert "/tmp/x" in why


def test_foreign_things_in_the_store(chained: LayerStore) -> None:
    (chained.root / "README").write_text("x")
    (chained.root / ("f" * 64)).write_text("not a folder")
    (chained.root / "something").mkdir()
    assert len(chained.all()) == 4
    assert [path.name for path in chained.sweep()] == ["something"]


# ---- adding


def test_a_layer_moves_in(store: LayerStore, tmp_path: Path) -> None:
    made = draft(tmp_path / "work", "base")
    assert store.add(made)
    assert not made.folder.exists()
    assert found(store, BASE).meta == made.meta
    assert found(store, BASE).disk.path.read_bytes() == disk_of("base-1")
    assert stat.S_IMODE(store.root.stat().st_mode) == 0o700
    assert {path.name for path in store.root.iterdir()} == {BASE, ".lock"}


def test_its_files_are_on_the_disk_before_it_appears(
    store: LayerStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[str] = []
    rename, fsync = os.rename, os.fsync

    def note_rename(source: Path, target: Path) -> None:
        said.append("appears")
        rename(source, target)

    def note_fsync(descriptor: int) -> None:
        said.append(Path(f"/proc/self/fd/{descriptor}").readlink().name)
        fsync(descriptor)

    monkeypatch.setattr(os, "rename", note_rename)
    monkeypatch.setattr(os, "fsync", note_fsync)
    store.add(draft(tmp_path / "work", "base"))
    before = said[: said.index("appears")]
    assert {"disk.qcow2", "meta.json", "seed.iso", "access.json", "work"} <= set(before)
    assert "memory" not in before, "its checksum stands for it (soundness.py)"
    assert said[said.index("appears") + 1 :] == ["layers"]


def test_on_an_unknown_parent_nothing_is_laid(chained: LayerStore, tmp_path: Path) -> None:
    made = draft(tmp_path / "work", "new", "gone-1")
    assert not chained.add(made)
    assert made.folder.exists()
    assert chained.find(an_id("new")) is None


def test_the_first_of_two_stays(chained: LayerStore, tmp_path: Path) -> None:
    assert not chained.add(draft(tmp_path / "work", "one", "base-1", "one-2"))
    assert ids(chained.chain([BASE, ONE, TWO])) == [BASE, ONE, TWO]
    assert found(chained, ONE).meta.instance == "one-1"


def test_replacing_drops_what_lay_on_the_old_one(chained: LayerStore, tmp_path: Path) -> None:
    assert chained.add(draft(tmp_path / "work", "one", "base-1", "one-2"), replace=True)
    assert ids(chained.chain([BASE, ONE, TWO])) == [BASE, ONE]
    assert found(chained, ONE).disk.path.read_bytes() == disk_of("one-2")
    assert chained.find(TWO) is None
    assert chained.find(OTHER) is not None
    assert chained.sweep() == []


def test_an_orphan_or_a_damaged_one_gives_way(chained: LayerStore, tmp_path: Path) -> None:
    rewrite_meta(chained.root / BASE, instance="base-2")
    assert chained.add(draft(tmp_path / "orphan", "one", "base-2", "one-2"))
    assert ids(chained.chain([BASE, ONE])) == [BASE, ONE]
    (chained.root / ONE / "meta.json").write_text("{")
    assert chained.add(draft(tmp_path / "damaged", "one", "base-2", "one-3"))
    assert found(chained, ONE).meta.instance == "one-3"


def test_two_adders_of_one_id(chained: LayerStore, tmp_path: Path) -> None:
    drafts = [draft(tmp_path / f"work-{n}", "new", "one-1", f"new-{n}") for n in range(6)]
    stored: list[bool] = []
    threads = [
        threading.Thread(target=lambda made=made: stored.append(LayerStore(chained.root).add(made)))
        for made in drafts
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert sorted(stored) == [False] * 5 + [True]
    layer = found(chained, an_id("new"))
    assert layer.disk.path.read_bytes() == disk_of(layer.meta.instance)
    assert layer.memory.read_bytes() == memory_of(layer.meta.instance)


def test_a_lock_that_stays_taken_is_an_error(
    chained: LayerStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store_module, "LOCK_SECONDS", 0.05)
    with chained._locked(), pytest.raises(TimeoutError, match="locked by another process"):
        LayerStore(chained.root).add(draft(tmp_path / "work", "new", "one-1"))
    assert chained.find(an_id("new")) is None


# ---- borrowing and going


def test_what_is_borrowed_survives(chained: LayerStore, tmp_path: Path) -> None:
    mine = chained.borrow(found(chained, ONE), tmp_path / "mine")
    assert mine is not None
    chained.drop(found(chained, BASE))
    assert chained.all() == []
    assert mine.disk.path.read_bytes() == disk_of("one-1")
    assert mine.memory.read_bytes() == memory_of("one-1")
    assert Layer.load(tmp_path / "mine") == mine


def test_what_went_cannot_be_borrowed(chained: LayerStore, tmp_path: Path) -> None:
    one = found(chained, ONE)
    chained.drop(one)
    assert chained.borrow(one, tmp_path / "mine") is None
    assert not (tmp_path / "mine").exists()


def test_borrowing_while_the_memory_goes(chained: LayerStore, tmp_path: Path) -> None:
    """The budget takes it away between our look and our link; the disk is still of use."""
    one = found(chained, ONE)
    link = store_module.link_or_copy

    def late(source: Path, destination: Path) -> None:
        one.memory.unlink(missing_ok=True)
        link(source, destination)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(store_module, "link_or_copy", late)
        mine = chained.borrow(one, tmp_path / "mine")
    assert mine is not None
    assert mine.meta.memory is None


@pytest.mark.parametrize("after", range(6))
def test_borrowing_while_another_making_takes_its_place(
    store: LayerStore, tmp_path: Path, after: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At whichever file it happens: all of the old one or nothing, never some of each."""
    old = put(store, "base")
    (old.folder / "uefi-vars.fd").write_bytes(b"vars of base-1")
    new = draft(tmp_path / "new", "base", instance="base-2")
    (new.folder / "uefi-vars.fd").write_bytes(b"vars of base-2")
    link = store_module.link_or_copy
    seen = 0

    def meanwhile(source: Path, destination: Path) -> None:
        nonlocal seen
        if seen == after:
            assert LayerStore(store.root).add(new, replace=True)
        seen += 1
        link(source, destination)

    monkeypatch.setattr(store_module, "link_or_copy", meanwhile)
    mine = store.borrow(old, tmp_path / "mine")
    assert seen > after
    assert mine is None
    assert not (tmp_path / "mine").exists()


def test_dropping_takes_along_what_lies_on_it(chained: LayerStore) -> None:
    chained.drop(found(chained, ONE))
    assert sorted(ids(chained.all())) == sorted([BASE, OTHER])
    assert {path.name for path in chained.root.iterdir()} == {BASE, OTHER, ".lock"}


def test_another_making_is_not_dropped(chained: LayerStore) -> None:
    old = found(chained, TWO)
    rewrite_meta(chained.root / TWO, instance="two-2")
    chained.drop(old)
    chained.drop_memory(old)
    assert found(chained, TWO).meta.memory is not None


def test_a_crash_while_dropping_leaves_no_layer_without_its_parent(
    chained: LayerStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The highest go first."""
    order: list[str] = []
    rename = os.rename

    def note(source: Path, target: Path) -> None:
        order.append(Path(source).name)
        rename(source, target)
        instances = {layer.meta.instance for layer in chained.all()}
        assert all(layer.meta.parent in {"", *instances} for layer in chained.all())

    monkeypatch.setattr(os, "rename", note)
    chained.drop(found(chained, BASE))
    assert sorted(order[:3]) == sorted([ONE, TWO, OTHER])
    assert order.index(TWO) < order.index(ONE) < order.index(BASE)


def test_used_is_remembered(chained: LayerStore) -> None:
    layer = found(chained, ONE)
    used_at(layer, 5.0)
    chained.used([layer])
    assert (layer.folder / "meta.json").stat().st_mtime > 1000
    shutil.rmtree(layer.folder)
    chained.used([layer])  # it went: nothing to note
    assert chained.find(ONE) is None


# ---- sweeping


def test_sweep_finds_what_nobody_can_use(chained: LayerStore) -> None:
    orphan = put(chained, "orphan", "gone-1").folder
    os.truncate(chained.root / TWO / "disk.qcow2", 1)
    empty = chained.root / ".trash-1"
    empty.mkdir()
    whole = chained.root / ".trash-2"  # a crash between the rename and emptying it
    shutil.copytree(chained.root / OTHER, whole)
    assert set(chained.sweep()) == {orphan, chained.root / TWO, empty, whole}
    assert chained.remove_useless() == 4
    assert sorted(ids(chained.all())) == sorted([BASE, ONE, OTHER])
    assert {path.name for path in chained.root.iterdir()} == {BASE, ONE, OTHER, ".lock"}
