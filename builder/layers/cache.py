"""The cache of one home as a whole: how large it is, how large it may be, and keeping it so."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from builder.layers.budget import Entry, Victim, victims
from builder.layers.finished import FinishedLayer, FinishedStore
from builder.layers.layer import BOOT, Layer
from builder.layers.store import LayerStore

if TYPE_CHECKING:
    from builder.settings import Home, Settings

GIB = 1024**3
KEEP_FREE = 2 * GIB
"""The cache never takes the last of a disk: a build needs about that much beside it."""


@dataclass(frozen=True)
class Cache:
    """Layers and finished images of a home."""

    layers: LayerStore
    finished: FinishedStore
    budget: int

    @classmethod
    def of(cls, home: Home, settings: Settings) -> Cache:
        """The cache of `home`; `settings.cache_size_gib` is its budget."""
        return cls(LayerStore(home.layers), FinishedStore(home.finished), int(settings.cache_size_gib * GIB))

    def entries(self) -> list[Entry]:
        """Everything in it."""
        return [
            *(_of_layer(layer) for layer in self.layers.all()),
            *(_of_image(image) for image in self.finished.all()),
        ]

    def room(self, entries: Sequence[Entry] | None = None) -> int:
        """Bytes the cache may have now: its budget, or less where the disk is fuller than that."""
        used = sum(entry.size for entry in (self.entries() if entries is None else entries))
        place = self.layers.root if self.layers.root.exists() else self.layers.root.parent
        while not place.exists():
            place = place.parent
        return max(0, min(self.budget, used + shutil.disk_usage(place).free - KEEP_FREE))

    def over(self, room: int | None = None, entries: Sequence[Entry] | None = None) -> list[Victim]:
        """What of `entries` (all) has to go to fit into `room` bytes. Only looks."""
        entries = self.entries() if entries is None else entries
        return victims(entries, self.room(entries) if room is None else room)

    def trim(self, room: int | None = None) -> list[Victim]:
        """Take away what has to go. What is in use keeps working: it has links of its own."""
        gone = self.over(room)
        self.remove(gone)
        return gone

    def remove(self, chosen: Iterable[Victim]) -> None:
        """Take these away, in that order. Raises OSError when the store stays locked."""
        for victim in chosen:
            layer = self.layers.find(victim.name)
            if victim.what == "image":
                self.finished.drop(victim.name)
            elif layer is not None and victim.what == "memory":
                self.layers.drop_memory(layer)
            elif layer is not None:
                self.layers.drop(layer)


def _of_layer(layer: Layer) -> Entry:
    meta = layer.meta
    try:
        files = sorted(layer.folder.iterdir())
    except OSError:  # it went meanwhile
        files = []
    return Entry(
        name=meta.id,
        what="layer",
        used=layer.last_use,
        disk=sum(_allocated(file) for file in files if file != layer.memory),
        memory=_allocated(layer.memory),
        instance=meta.instance,
        parent=meta.parent,
        warm_base=meta.kind == BOOT,
    )


def _of_image(image: FinishedLayer) -> Entry:
    return Entry(
        name=image.meta.id,
        what="image",
        used=_mtime(image.folder / "meta.json", image.meta.created),
        disk=_own(image.vhd),
    )


def _own(path: Path) -> int:
    """What removing it frees: nothing, while it has another name."""
    try:
        status = path.stat()
    except OSError:
        return 0
    return status.st_blocks * 512 if status.st_nlink == 1 else 0


def _allocated(path: Path) -> int:
    try:
        return path.stat().st_blocks * 512
    except OSError:
        return 0


def _mtime(path: Path, otherwise: float) -> float:
    try:
        return path.stat().st_mtime
    except OSError:
        return otherwise
