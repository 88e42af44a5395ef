"""What goes first when the cache is over its budget. Pure, so that the policy can be read and tested.

In this order, each kind the least recently used first:

1. memory snapshots of customizers' layers (without them a layer still boots from its disk);
2. customizers' layers on which nothing lies;
3. finished images (most share their blocks with a distributed image, and free nothing);
4. memory snapshots of warm bases, then warm bases themselves: they serve every template of their source.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

What = Literal["memory", "layer", "image"]


@dataclass(frozen=True, slots=True)
class Entry:
    """One thing in the cache. `used` in seconds since 1970; `disk` and `memory` are bytes that removing
    it would free. `parent` is the instance a layer lies on.
    """

    name: str
    what: Literal["layer", "image"]
    used: float
    disk: int
    memory: int = 0
    instance: str = ""
    parent: str = ""
    warm_base: bool = False

    @property
    def size(self) -> int:
        """All of it."""
        return self.disk + self.memory


@dataclass(frozen=True, slots=True)
class Victim:
    """What to take away: a whole `layer` or `image`, or only a layer's `memory`."""

    what: What
    name: str
    size: int


def victims(entries: Sequence[Entry], budget: int) -> list[Victim]:
    """What must go so that all of it fits into `budget` bytes, in the order it goes."""
    over = sum(entry.size for entry in entries) - budget
    chosen: list[Victim] = []
    for victim in _in_order(entries):
        if over <= 0:
            break
        if victim.size > 0 or victim.what == "layer":
            chosen.append(victim)
            over -= victim.size
    return chosen


def _in_order(entries: Sequence[Entry]) -> Iterable[Victim]:
    by_age = sorted(entries, key=lambda entry: entry.used)
    layers = [entry for entry in by_age if entry.what == "layer"]
    steps = [entry for entry in layers if not entry.warm_base]
    bases = [entry for entry in layers if entry.warm_base]
    yield from (Victim("memory", entry.name, entry.memory) for entry in steps)
    yield from (Victim("layer", entry.name, entry.disk) for entry in _leaves_first(steps))
    yield from (Victim("image", entry.name, entry.disk) for entry in by_age if entry.what == "image")
    yield from (Victim("memory", entry.name, entry.memory) for entry in bases)
    yield from (Victim("layer", entry.name, entry.disk) for entry in bases)


def _leaves_first(steps: Sequence[Entry]) -> Iterable[Entry]:
    """The oldest of those nothing lies on, again and again."""
    left = list(steps)
    while left:
        carrying = {entry.parent for entry in left}
        leaf = next((entry for entry in left if entry.instance not in carrying), left[0])
        left.remove(leaf)
        yield leaf
