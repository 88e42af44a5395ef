"""The layer store: `cache/layers/<id>/`, private to its owner (a guest's memory may hold anything).

Rules:
- A layer appears by one rename, after its files are on disk; until then it lies in a workspace, which is
  cleared however its build ends. So nothing here is ever half made.
- A layer names the instance of its parent. A parent made again has another one, and what lay on the old
  one is no layer any more.
- Damaged, foreign, of another format: a miss, never an error.
- Who goes on from a layer first gives its files a second name in the workspace (`borrow`); taking a layer
  away then harms nobody.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import time
import uuid
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from builder.disk.extents import link_or_copy, sync_directory, sync_file
from builder.layers.layer import MEMORIES, META, Layer, LayerMeta

LOCK_SECONDS = 10.0
_POLL_SECONDS = 0.02
_ID_LENGTH = 64


class LayerStore:
    """The layers of one home."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def find(self, layer_id: str) -> Layer | None:
        """The layer of that id, None when it is not there or not whole. Its parent is not looked at."""
        layer = Layer.load(self.root / layer_id) if layer_id else None
        return layer if layer is not None and layer.meta.id == layer_id else None

    def read(self, layer_id: str) -> LayerMeta | None:
        """What the layer's meta.json says, whatever its other files are."""
        meta = LayerMeta.load(self.root / layer_id) if layer_id else None
        return meta if meta is not None and meta.id == layer_id else None

    def chain(self, ids: Sequence[str]) -> tuple[Layer, ...]:
        """The layers of `ids`, each on the one before, as far as they are there."""
        found: list[Layer] = []
        for layer_id in ids:
            layer = self.find(layer_id)
            if layer is None or layer.meta.parent != (found[-1].meta.instance if found else ""):
                break
            found.append(layer)
        return tuple(found)

    def borrow(self, layer: Layer, folder: Path) -> Layer | None:
        """The same layer in `folder` (which must not exist), as links; None when it went meanwhile."""
        try:
            folder.mkdir(mode=0o700)
            # meta.json last: if another making took this one's place meanwhile, it names that one.
            for file in sorted(layer.folder.iterdir(), key=lambda item: item.name == META):
                try:
                    link_or_copy(file, folder / file.name)
                except FileNotFoundError:
                    if file.name not in MEMORIES:  # which alone goes first when the cache is full
                        raise
        except OSError:
            shutil.rmtree(folder, ignore_errors=True)
            return None
        mine = Layer.load(folder)
        if mine is None or mine.meta.instance != layer.meta.instance:
            shutil.rmtree(folder, ignore_errors=True)
            return None
        return mine

    def used(self, layers: Iterable[Layer]) -> None:
        """Note that they were of use just now: the least used go first."""
        for layer in layers:
            with contextlib.suppress(OSError):
                os.utime(self.root / layer.meta.id / META)

    def add(self, draft: Layer, *, replace: bool = False) -> bool:
        """Store a layer that was made in a workspace on this file system; its folder moves here.

        False when one of its id is there already (`replace` takes its place) or its parent is not the
        one in the store. Raises OSError: then it is not stored.
        """
        for file in draft.folder.iterdir():
            if file.name not in MEMORIES:  # see soundness.py
                sync_file(file)
        with self._locked():
            parent = self._instances().get(draft.meta.parent)
            if draft.meta.parent and parent is None:
                return False
            target = self.root / draft.meta.id
            old = self.find(draft.meta.id)
            if old is not None and not replace and self._has_parent(old):
                return False
            trash = self._take_away(old) if old is not None else self._take_away_folder(target)
            draft.folder.rename(target)
            sync_directory(self.root)
        _empty(trash)
        return True

    def drop(self, layer: Layer) -> None:
        """Take a layer away, and with it all that lie on it."""
        with self._locked():
            current = self.find(layer.meta.id)
            trash = (
                self._take_away(current)
                if current is not None and current.meta.instance == layer.meta.instance
                else []
            )
        _empty(trash)

    def drop_memory(self, layer: Layer) -> None:
        """Take only its memory snapshot away."""
        current = self.find(layer.meta.id)
        if current is not None and current.meta.instance == layer.meta.instance:
            current.memory.unlink(missing_ok=True)

    def all(self) -> list[Layer]:
        """Every whole layer, parents before what lies on them. What lies on none comes last."""
        layers = {layer.meta.instance: layer for layer in self._each()}
        done: dict[str, Layer] = {}

        def take(layer: Layer) -> None:
            if layer.meta.instance in done:
                return
            above = layers.pop(layer.meta.parent, None)
            if above is not None:
                take(above)
            done[layer.meta.instance] = layer

        for layer in sorted(layers.values(), key=lambda item: item.meta.frozen):
            take(layer)
        return list(done.values())

    def sweep(self) -> list[Path]:
        """Folders here that are no layer, or one whose parent is gone: nobody can use them. Only looks."""
        if not self.root.is_dir():
            return []
        instances = self._instances()
        useless = []
        for folder in sorted(self.root.iterdir()):
            layer = Layer.load(folder)
            # A layer on its way out is whole, too, until its files are gone; only its name is not.
            named = layer is not None and layer.meta.id == folder.name
            orphan = layer is not None and layer.meta.parent and layer.meta.parent not in instances
            if folder.is_dir() and (not named or orphan):
                useless.append(folder)
        return useless

    def remove_useless(self, only: Path | None = None) -> int:
        """Remove what `sweep` finds, or that one of it. Returns how many."""
        with self._locked():
            found = [folder for folder in self.sweep() if only in (None, folder)]
            trash = [item for folder in found for item in self._take_away_folder(folder)]
        _empty(trash)
        return len(trash)

    def _each(self) -> Iterator[Layer]:
        if self.root.is_dir():
            for folder in sorted(self.root.iterdir()):
                if len(folder.name) == _ID_LENGTH:
                    layer = self.find(folder.name)
                    if layer is not None:
                        yield layer

    def _instances(self) -> dict[str, Layer]:
        return {layer.meta.instance: layer for layer in self._each()}

    def _has_parent(self, layer: Layer) -> bool:
        return not layer.meta.parent or layer.meta.parent in self._instances()

    def _take_away(self, layer: Layer) -> list[Path]:
        """Rename a layer and what lies on it out of the way; the highest first, so that a crash in
        between leaves no layer without its parent."""
        going = [layer]
        others = [other for other in self._each() if other.folder != layer.folder]
        for one in going:  # grows while it is walked through: children after their parents
            going += [other for other in others if other.meta.parent == one.meta.instance]
            others = [other for other in others if other not in going]
        return [trash for one in reversed(going) for trash in self._take_away_folder(one.folder)]

    def _take_away_folder(self, folder: Path) -> list[Path]:
        if not os.path.lexists(folder):
            return []
        trash = self.root / f".trash-{uuid.uuid4().hex}"
        folder.rename(trash)
        return [trash]

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        """One at a time changes the store; only renames happen inside. Raises OSError when it stays taken."""
        self.root.mkdir(parents=True, exist_ok=True, mode=0o700)
        descriptor = os.open(self.root / ".lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        end = time.monotonic() + LOCK_SECONDS
        try:
            while True:
                try:
                    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                except BlockingIOError:
                    if time.monotonic() > end:
                        raise TimeoutError(f"{self.root} is locked by another process") from None
                    time.sleep(_POLL_SECONDS)
            yield
        finally:
            os.close(descriptor)


def _empty(trash: Iterable[Path]) -> None:
    for folder in trash:
        shutil.rmtree(folder, ignore_errors=True)
