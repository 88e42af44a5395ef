"""Of the memories in the cache those that are not likely to be used next are packed, one at a time."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest

from builder.layers.layer import Layer
from builder.layers.packing import pack_one
from builder.layers.store import LayerStore
from builder.vm import memory_file
from layers.made import an_id, memory_of, put, unpacked, used_at


@pytest.fixture(autouse=True)
def three(store: LayerStore) -> None:
    """base <- one <- two, base used last."""
    for number, (name, parent) in enumerate((("base", ""), ("one", "base-1"), ("two", "one-1"))):
        used_at(put(store, name, parent), 100.0 - number)


def found(store: LayerStore, name: str) -> Layer:
    layer = store.find(an_id(name))
    assert layer is not None
    return layer


def is_packed(store: LayerStore, name: str) -> bool:
    memory = found(store, name).meta.memory
    assert memory is not None
    return memory.packed


def test_the_least_used_is_packed_and_stays_what_it_is(store: LayerStore) -> None:
    before = found(store, "two")
    done = pack_one(store, [])
    assert done == found(store, "two")
    assert is_packed(store, "two")
    assert unpacked(done.memory) == memory_of("two-1")
    assert replace(done.meta, memory=None) == replace(before.meta, memory=None)
    assert done.restorable("key")
    assert done.last_use == before.last_use, "nobody used it"
    assert {file.name for file in done.folder.iterdir()} == {"disk.qcow2", "memory.zst", "meta.json"}
    assert not is_packed(store, "one")


def test_those_in_use_are_spared_and_in_the_end_there_is_nothing_to_do(store: LayerStore) -> None:
    spared = ["two-1", "one-1"]
    assert pack_one(store, spared) == found(store, "base")
    assert pack_one(store, spared) is None
    assert not is_packed(store, "one")
    assert not is_packed(store, "two")


def test_one_that_is_not_what_was_written_goes(store: LayerStore) -> None:
    found(store, "two").memory.write_bytes(bytes(len(memory_of("two-1"))))
    assert pack_one(store, ["one-1", "base-1"]) is None
    assert found(store, "two").meta.memory is None


def test_one_made_again_meanwhile_is_left_alone(store: LayerStore, monkeypatch: pytest.MonkeyPatch) -> None:
    def meanwhile(plain: Path, packed: Path) -> int:
        store.drop(found(store, "two"))
        put(store, "two", "one-1", "two-2")
        packed.write_bytes(b"of the old one")
        return 1

    monkeypatch.setattr(memory_file, "pack", meanwhile)
    assert pack_one(store, ["base-1", "one-1"]) is None
    again = found(store, "two")
    assert again.memory.read_bytes() == memory_of("two-2")
    assert {file.name for file in again.folder.iterdir()} == {"disk.qcow2", "memory", "meta.json"}


def test_a_full_disk_leaves_it_plain(store: LayerStore, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(plain: Path, packed: Path) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(memory_file, "pack", full)
    with pytest.raises(OSError, match="No space"):
        pack_one(store, [])
    assert unpacked(found(store, "two").memory) == memory_of("two-1")
    assert not is_packed(store, "two")


def test_what_a_killed_one_left_is_cleared_up(store: LayerStore) -> None:
    stale = found(store, "two").folder / ".memory.zst.0"
    young = found(store, "two").folder / ".memory.zst.1"
    stale.write_bytes(b"half")
    young.write_bytes(b"another process writes it")
    os.utime(stale, (5, 5))
    pack_one(store, [])
    assert (stale.exists(), young.exists()) == (False, True)
