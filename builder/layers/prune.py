"""What `build cache prune` takes away. Pure, like builder/layers/budget.py, whose order it keeps."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from builder.layers.budget import Entry, Victim, victims


@dataclass(frozen=True, slots=True)
class Choice:
    """What a person asks for; with nothing asked, what is over the budget. `unused_since` (seconds since
    1970) spares what was used after it, `keep_warm` the warm bases.
    """

    everything: bool = False
    unused_since: float | None = None
    memory_only: bool = False
    keep_warm: bool = False

    def allows(self, entry: Entry) -> bool:
        """Whether the entry may go, apart from what lies on it."""
        is_old = self.unused_since is None or entry.used <= self.unused_since
        return is_old and not (self.keep_warm and entry.warm_base)


def choose(entries: Sequence[Entry], choice: Choice, room: int) -> list[Victim]:
    """What goes, in the order it goes: what lies on something before it. `room` is the budget, in bytes."""
    may_go = [entry for entry in entries if choice.allows(entry)]
    if choice.memory_only:
        return [Victim("memory", entry.name, entry.memory) for entry in may_go if entry.memory]
    if not choice.everything and choice.unused_since is None:
        names = {entry.name for entry in may_go}
        return [victim for victim in victims(entries, room) if victim.name in names]
    going = _without_what_carries(entries, may_go)
    images = [Victim("image", entry.name, entry.size) for entry in going if entry.what == "image"]
    layers = [entry for entry in going if entry.what == "layer"]
    return [*(Victim("layer", entry.name, entry.size) for entry in _highest_first(layers)), *images]


def _without_what_carries(entries: Sequence[Entry], may_go: Sequence[Entry]) -> list[Entry]:
    """Those of `may_go` below which nothing stays hanging in the air."""
    going = {entry.name for entry in may_go}
    by_instance = {entry.instance: entry for entry in entries if entry.instance}
    for entry in entries:
        if entry.name in going:
            continue
        below = by_instance.get(entry.parent)
        while below is not None and below.name in going:
            going.remove(below.name)
            below = by_instance.get(below.parent)
    return [entry for entry in may_go if entry.name in going]


def _highest_first(layers: Sequence[Entry]) -> list[Entry]:
    by_instance = {entry.instance: entry for entry in layers}

    def height(entry: Entry) -> int:
        steps, below = 0, by_instance.get(entry.parent)
        while below is not None and steps <= len(layers):
            steps, below = steps + 1, by_instance.get(below.parent)
        return steps

    return sorted(layers, key=lambda entry: (-height(entry), entry.used))
