"""What the cache holds, for people and programs: its items, and its size by kind."""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from builder.layers.cache import Cache

if TYPE_CHECKING:
    from builder.layers.budget import Entry
    from builder.settings import Home


@dataclass(frozen=True, slots=True)
class Item:
    """A layer or a finished image. `lies_on` is the id of the layer below, "" for a warm base and an
    image; both come from `source`. `disk` and `memory` are what removing it would free, in bytes.
    """

    id: str
    type: Literal["layer", "image"]
    kind: str
    name: str
    template: str
    created: datetime
    last_used: datetime
    disk: int
    memory: int
    lies_on: str
    source: str


@dataclass(frozen=True, slots=True)
class KindUsage:
    """How many of a kind there are and what they take, in bytes. `prunable`: it counts for the budget, and
    `build cache prune` may take it.
    """

    kind: str
    count: int
    size: int
    prunable: bool = True


@dataclass(frozen=True, slots=True)
class Usage:
    """Sizes in bytes. `room` is the budget, or less where the disk is fuller than that."""

    budget: int
    room: int
    used: int
    free: int
    kinds: tuple[KindUsage, ...]


def items(cache: Cache) -> list[Item]:
    """Everything in the cache: each layer after the one it lies on, then images, the oldest first."""
    entries = {(entry.what, entry.name): entry for entry in cache.entries()}
    layers = cache.layers.all()
    ids = {layer.meta.instance: layer.meta.id for layer in layers}
    found: list[Item] = []
    for layer in layers:
        meta, entry = layer.meta, entries.get(("layer", layer.meta.id))
        if entry is not None:  # else it went meanwhile
            facts = (meta.kind, meta.name, meta.template, meta.created)
            found.append(_item(entry, *facts, ids.get(meta.parent, ""), meta.source))
    for image in cache.finished.all():
        entry = entries.get(("image", image.meta.id))
        if entry is not None:
            facts = ("image", "finished image", image.meta.template, image.meta.created)
            found.append(_item(entry, *facts, "", image.meta.source))
    return found


def usage(home: Home, cache: Cache) -> Usage:
    """How much of what kind there is, bases and downloads too."""
    entries = cache.entries()
    layers = [entry for entry in entries if entry.what == "layer"]
    warm = [entry for entry in layers if entry.warm_base]
    steps = [entry for entry in layers if not entry.warm_base]
    memories = [entry.memory for entry in layers if entry.memory]
    images = [entry.disk for entry in entries if entry.what == "image"]
    kinds = (
        KindUsage("warm bases", len(warm), sum(entry.disk for entry in warm)),
        KindUsage("layers", len(steps), sum(entry.disk for entry in steps)),
        KindUsage("memory snapshots", len(memories), sum(memories)),
        KindUsage("finished images", len(images), sum(images)),
        _files("source disks", home.bases),
        _files("downloads", home.downloads),
    )
    place = home.root
    while not place.exists():
        place = place.parent
    used = sum(kind.size for kind in kinds if kind.prunable)
    return Usage(cache.budget, cache.room(), used, shutil.disk_usage(place).free, kinds)


def _item(
    entry: Entry, kind: str, name: str, template: str, created: float, lies_on: str, source: str
) -> Item:
    return Item(
        id=entry.name,
        type=entry.what,
        kind=kind,
        name=name,
        template=template,
        created=_moment(created),
        last_used=_moment(entry.used),
        disk=entry.disk,
        memory=entry.memory,
        lies_on=lies_on,
        source=source,
    )


def _files(kind: str, root: Path) -> KindUsage:
    from builder.on_disk import disk_usage

    own = sorted(root.iterdir()) if root.is_dir() else []
    named: Iterable[Path] = [path for path in own if not path.name.startswith(".")]
    return KindUsage(kind, len(list(named)), sum(disk_usage(path) for path in named), prunable=False)


def _moment(seconds: float) -> datetime:
    """`seconds` since 1970; a clock that was never set makes no difference to anybody."""
    try:
        return datetime.fromtimestamp(seconds, UTC)
    except (ValueError, OverflowError, OSError):
        return datetime.fromtimestamp(0, UTC)
