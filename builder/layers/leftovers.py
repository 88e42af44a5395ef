"""What lies in the cache and serves nobody: crashes' remains, orphans, and what is over the budget."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from builder.layers.budget import Victim
from builder.layers.cache import GIB, Cache
from builder.layers.layer import Layer
from builder.layers.transfer import transfers
from builder.lock import FileLock

if TYPE_CHECKING:
    from builder.settings import Home

LeftoverKind = Literal["layer", "memory", "image", "transfer"]
_NOUN: dict[str, str] = {"layer": "layer", "memory": "memory snapshot of", "image": "finished image"}


@dataclass(frozen=True, slots=True)
class Leftover:
    """One of them; `remove` takes it away. Raises OSError."""

    kind: LeftoverKind
    name: str
    reason: str
    path: Path
    remove: Callable[[], object]


def leftovers(home: Home, cache: Cache) -> Iterator[Leftover]:
    """All of them. Only looks; each is to be removed before the next is asked for, or none."""
    yield from _transfers(home)
    useless = set()
    for folder in cache.layers.sweep():
        useless.add(folder.name)
        layer = Layer.load(folder)
        going = folder.name.startswith(".")
        reason = "was on its way out" if going else "damaged, or of another version"
        if layer is not None and not going:
            reason = f"'{layer.meta.name}': what it lies on is gone"
        yield Leftover("layer", folder.name, reason, folder, partial(cache.layers.remove_useless, folder))
    for folder in cache.finished.sweep():
        reason = "was on its way out" if folder.name.startswith(".") else "not as it was stored"
        yield Leftover("image", folder.name, reason, folder, partial(cache.finished.drop, folder.name))
    # Orphans count as long as they lie there; when only looking, none of them is named twice.
    there = [entry for entry in cache.entries() if entry.name not in useless]
    names = {layer.meta.id: layer.meta.name for layer in cache.layers.all()}
    room = cache.room(there)
    for victim in cache.over(room, there):
        yield _over(cache, victim, names.get(victim.name, ""), room)


def _over(cache: Cache, victim: Victim, name: str, room: int) -> Leftover:
    root = cache.finished.root if victim.what == "image" else cache.layers.root
    path = root / victim.name / "memory" if victim.what == "memory" else root / victim.name
    what = f"{_NOUN[victim.what]} '{name}'" if name else _NOUN[victim.what]
    reason = f"{what}: the cache may have {room / GIB:.1f} GiB"
    return Leftover(victim.what, victim.name, reason, path, partial(cache.remove, [victim]))


def _transfers(home: Home) -> Iterator[Leftover]:
    """Private places of exports and imports that nobody works in."""
    root = transfers(home)
    if not root.is_dir():
        return
    for name in sorted({path.stem for path in root.iterdir()}):
        place = root / name
        lock = FileLock(place.with_suffix(".lock"))
        if not lock.try_acquire(by="gc"):
            continue
        try:
            if place.exists():
                reason = "left by an export or import of the cache"
                yield Leftover("transfer", name, reason, place, partial(shutil.rmtree, place))
        finally:
            lock.release()
