"""Killed at any moment, the store holds no layer that is wrong.

Each call that changes the file system is in turn the last one that happens: the process is "dead" from
there on, every further call fails, so that no cleanup of ours runs, as after SIGKILL.
"""

from __future__ import annotations

import contextlib
import io
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from builder.layers.finished import FinishedStore
from builder.layers.layer import Layer
from builder.layers.packing import pack_one
from builder.layers.store import LayerStore
from layers.made import FACTS, an_id, disk_of, draft, memory_of, put, put_image, rewrite_meta, unpacked

CALLS = ("rename", "replace", "link", "unlink", "rmdir", "mkdir", "fsync", "chmod", "utime")
NAMES = ("base", "one", "two", "other", "new")


class Killed(BaseException):
    """SIGKILL. No Exception, so nothing of ours may think it can handle it."""


class Killer:
    """Lets `lives` calls happen. `half`: of the one after, if it writes, the first half happens, too."""

    def __init__(self, patch: pytest.MonkeyPatch, lives: int | None = None, *, half: bool = False) -> None:
        self.calls = 0
        self.lives = lives
        for name in CALLS:
            patch.setattr(os, name, self._counted(getattr(os, name)))
        # What Path.write_text opens: a crash may leave any part of it.
        writing = io.open

        def opened(file: Any, mode: str = "r", *args: Any, **more: Any) -> Any:
            if "w" not in mode:
                return writing(file, mode, *args, **more)
            dies = self.dies()
            if dies and not half:
                raise Killed
            stream = writing(file, mode, *args, **more)
            if dies:
                stream.write(b"half" if "b" in mode else '{"id": ')
                stream.close()
                raise Killed
            return stream

        patch.setattr(io, "open", opened)

    def dies(self) -> bool:
        self.calls += 1
        return self.lives is not None and self.calls > self.lives

    def _counted(self, call: Callable[..., Any]) -> Callable[..., Any]:
        def counted(*args: Any, **more: Any) -> Any:
            if self.dies():
                raise Killed
            return call(*args, **more)

        return counted


def layers_in(root: Path) -> LayerStore:
    """base <- one <- two, base <- other."""
    store = LayerStore(root / "layers")
    put(store, "base")
    put(store, "one", "base-1")
    put(store, "two", "one-1")
    put(store, "other", "base-1")
    return store


Act = Callable[[], object]
Arrange = Callable[[LayerStore, Path], Act]


def found(store: LayerStore, name: str) -> Layer:
    layer = store.find(an_id(name))
    assert layer is not None
    return layer


def add_new(store: LayerStore, work: Path) -> Act:
    made = draft(work / "draft", "new", "two-1")
    return lambda: store.add(made)


def add_again(store: LayerStore, work: Path) -> Act:
    made = draft(work / "draft", "one", "base-1", "one-2")
    return lambda: store.add(made, replace=True)


def add_base_again(store: LayerStore, work: Path) -> Act:
    made = draft(work / "draft", "base", instance="base-2")
    return lambda: store.add(made, replace=True)


def add_over_damaged(store: LayerStore, work: Path) -> Act:
    folder = store.root / an_id("one")
    (folder / "memory").rename(folder / "disk.qcow2")
    made = draft(work / "draft", "one", "base-1", "one-2")
    return lambda: store.add(made)


def drop_one(store: LayerStore, work: Path) -> Act:
    return lambda: store.drop(found(store, "one"))


def drop_base(store: LayerStore, work: Path) -> Act:
    return lambda: store.drop(found(store, "base"))


def drop_memory(store: LayerStore, work: Path) -> Act:
    return lambda: (store.drop_memory(found(store, "base")), store.used([found(store, "base")]))


def pack(store: LayerStore, work: Path) -> Act:
    return lambda: pack_one(store, ["one-1", "two-1", "other-1"])


def borrow(store: LayerStore, work: Path) -> Act:
    return lambda: store.borrow(found(store, "base"), work / "mine")


def clear_up(store: LayerStore, work: Path) -> Act:
    shutil.copytree(store.root / an_id("two"), store.root / ".trash-0")
    rewrite_meta(store.root / an_id("two"), parent="one-9")
    return store.remove_useless


def check_layers(store: LayerStore) -> set[str]:
    """Everything found is what it says it is, by itself and as a part of a chain; what was found."""
    for name in NAMES:
        layer = store.find(an_id(name))
        if layer is None:
            continue
        assert layer.meta.name == name
        assert layer.disk.path.read_bytes() == disk_of(layer.meta.instance)
        if layer.meta.memory is not None:
            assert unpacked(layer.memory) == memory_of(layer.meta.instance)
    whole: set[str] = set()
    for names in (("base", "one", "two", "new"), ("base", "other")):
        below = ""
        for layer in store.chain([an_id(name) for name in names]):
            assert layer.meta.parent == below
            below = layer.meta.instance
            whole.add(below)
    return whole


@pytest.mark.parametrize(
    ("arrange", "points", "survive"),
    [
        (add_new, 7, {"base-1", "one-1", "two-1", "other-1"}),
        (add_again, 16, {"base-1", "other-1"}),
        (add_base_again, 32, set()),
        (add_over_damaged, 10, {"base-1", "other-1"}),
        (drop_one, 10, {"base-1", "other-1"}),
        (drop_base, 20, set()),
        (drop_memory, 2, {"base-1", "one-1", "two-1", "other-1"}),
        (pack, 4, {"base-1", "one-1", "two-1", "other-1"}),
        (borrow, 10, {"base-1", "one-1", "two-1", "other-1"}),
        (clear_up, 8, {"base-1", "one-1", "other-1"}),
    ],
)
def test_layers(arrange: Arrange, points: int, survive: set[str], tmp_path: Path) -> None:
    def started(work: Path, lives: int | None = None) -> tuple[LayerStore, int]:
        store = layers_in(work)
        act = arrange(store, work)
        with pytest.MonkeyPatch.context() as patch:
            killer = Killer(patch, lives)
            with contextlib.nullcontext() if lives is None else pytest.raises(Killed):
                act()
        return LayerStore(store.root), killer.calls

    store, calls = started(tmp_path / "whole")
    assert survive <= check_layers(store)
    assert calls >= points
    for lives in range(calls):
        store, _ = started(tmp_path / str(lives), lives)
        left = check_layers(store)
        assert survive <= left
        # What a crash left is no layer, is found by gc, and stands in nobody's way.
        store.remove_useless()
        assert check_layers(store) == left
        assert store.sweep() == []
        names = {path.name for path in store.root.iterdir()}
        assert names - {".lock"} == {layer.meta.id for layer in store.all()}


@pytest.mark.parametrize("half", [False, True])
def test_finished_images(half: bool, tmp_path: Path) -> None:
    """An older image of that id is there, is replaced, and passes its validations."""

    def started(work: Path, lives: int | None = None) -> tuple[FinishedStore, int]:
        work.mkdir()
        store = FinishedStore(work / "finished")
        (work / "new.vhd").write_bytes(b"the new image")
        with pytest.MonkeyPatch.context() as patch:
            Killer(patch)  # kills nothing, and waits for no disk
            put_image(store, "image", b"the old image", facts={**FACTS, "proof": "old"})
            put_image(store, "other", b"another one", facts={**FACTS, "proof": "other"})
        with pytest.MonkeyPatch.context() as patch:
            killer = Killer(patch, lives, half=half)
            with contextlib.nullcontext() if lives is None else pytest.raises(Killed):
                facts = {**FACTS, "proof": "new"}
                image = store.add(work / "new.vhd", facts, an_id("image"), work / "draft")
                assert image is not None
                store.passed(image, "checks")
                store.used(image)
        return FinishedStore(store.root), killer.calls

    _, calls = started(tmp_path / "whole")
    assert calls >= 18
    outcomes: set[str] = set()
    for lives in range(calls):
        store, _ = started(tmp_path / str(lives), lives)
        image, other = store.find(an_id("image")), store.find(an_id("other"))
        if image is not None:
            assert image.vhd.read_bytes() == f"the {image.meta.proof} image".encode()
            assert image.meta.validated == () or image.meta.proof == "new"
        outcomes.add(image.meta.proof if image else "none")
        assert other is not None
        assert other.vhd.read_bytes() == b"another one"
        for folder in store.sweep():
            shutil.rmtree(folder)
        assert len(store.all()) == len(list(store.root.iterdir())) == 1 + (image is not None)
    assert outcomes == {"old", "none", "new"}
