"""Which layers a build makes, which it has already, and where it goes on from, with reasons. Pure."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from builder.layers.finished import FinishedLayer
from builder.layers.identity import difference, input_digests, layer_id
from builder.layers.layer import BOOT, GROW, Layer

BOOT_EPOCH = 1
"""Raised when what a first boot leaves in the guest changes (the seed, provisioners/care.py)."""
GROW_EPOCH = 1
FINISH_EPOCH = 1
"""Raised when generalizing or flattening leaves something else."""


@dataclass(frozen=True, slots=True)
class LinkSpec:
    """A customizer as the route sees it. `max_age` in seconds: an older layer of it is not used."""

    kind: str
    name: str
    epoch: int
    inputs: Mapping[str, str]
    never: bool = False
    max_age: float | None = None


@dataclass(frozen=True, slots=True)
class Link:
    """A layer of the chain. `step` counts the template's customizers from 1; 0: ours (boot, grow)."""

    id: str
    kind: str
    name: str
    step: int
    inputs: Mapping[str, str] = field(default_factory=dict)
    never: bool = False
    max_age: float | None = None


@dataclass(frozen=True, slots=True)
class Wishes:
    """What the command line says. `from_step` counts customizers from 1; 0: from wherever one can."""

    no_cache: bool = False
    from_step: int = 0


@dataclass(frozen=True, slots=True)
class Known:
    """What the cache holds, as far as this template is concerned. `siblings` finds the layers of a kind
    that lie on an instance: what a step left before it was changed.
    """

    chain: tuple[Layer, ...] = ()
    image: FinishedLayer | None = None
    siblings: Callable[[str], Sequence[Layer]] = lambda _parent: ()


@dataclass(frozen=True, slots=True)
class Route:
    """The way of a build. `used` layers of `links` are there and gone on from, the last one from its
    memory (`from_memory`) or by a boot of its disk. With `image` nothing is customized at all. `reasons`
    says for each link why it is used or made.
    """

    links: tuple[Link, ...] = ()
    used: int = 0
    from_memory: bool = False
    image: FinishedLayer | None = None
    image_id: str = ""
    reasons: tuple[str, ...] = ()
    why_not: str = ""
    """Why this build has no layers at all."""

    def storable(self, number: int) -> bool:
        """Whether the layer of `links[number]` could ever be used: nothing at or below it runs every time."""
        return all(not link.never for link in self.links[: number + 1])

    def of_step(self, step: int) -> int:
        """The number of a customizer's link; -1 when it has none."""
        return next((n for n, link in enumerate(self.links) if link.step == step), -1)


def make_links(
    source: str, boot: Mapping[str, str], grow_to: int, steps: Sequence[LinkSpec]
) -> tuple[Link, ...]:
    """The chain of layers over a source of identity `source`: the warm base, the grown disk when
    `grow_to` (bytes) is not 0, and one for each customizer.
    """
    parent = layer_id("", "source", 1, {"identity": source})
    links: list[Link] = []

    def lay(
        kind: str, name: str, epoch: int, inputs: Mapping[str, str], step: LinkSpec | None = None
    ) -> None:
        nonlocal parent
        parent = layer_id(parent, kind, epoch, inputs)
        number = sum(1 for link in links if link.step) + 1 if step else 0
        never, age = (step.never, step.max_age) if step else (False, None)
        links.append(Link(parent, kind, name, number, input_digests(inputs), never, age))

    lay(BOOT, "first boot", BOOT_EPOCH, boot)
    if grow_to:
        lay(GROW, "grow the disk", GROW_EPOCH, {"size": str(grow_to)})
    for step in steps:
        lay(step.kind, step.name, step.epoch, step.inputs, step)
    return tuple(links)


def image_of(links: Sequence[Link], facts: Mapping[str, str]) -> str:
    """The identity of the finished image over the last layer."""
    return layer_id(links[-1].id, "finish", FINISH_EPOCH, facts) if links else ""


def find_route(
    links: tuple[Link, ...],
    image_id: str,
    known: Known,
    machine_key: str,
    wishes: Wishes,
    now: float | None = None,
) -> Route:
    """Decide where to go on from: the highest layer that is there, fits and is allowed."""
    now = time.time() if now is None else now
    allowed, limit = _allowed(links, wishes)
    frozen = known.image.meta.frozen if known.image else tuple(layer.meta.created for layer in known.chain)
    for number, link in enumerate(links[: min(allowed, len(frozen))]):
        if link.max_age is not None and now - frozen[number] > link.max_age:
            allowed, limit = number, f"its layer of {moment(frozen[number])} is older than it may be"
            break
    if known.image is not None and allowed == len(links):
        said = f"in the finished image of {moment(known.image.meta.created)}"
        return Route(
            links, used=len(known.chain), image=known.image, image_id=image_id, reasons=(said,) * len(links)
        )
    used, broken = _usable(known.chain[:allowed], machine_key)
    reasons = [_reason(links, known, number, used, machine_key) for number in range(len(links))]
    if used < len(links):
        reasons[used] = (
            broken or (limit if used == allowed else "") or _what_changed(links[used], known, used)
        )
    from_memory = used > 0 and known.chain[used - 1].restorable(machine_key)
    return Route(links, used, from_memory, None, image_id, tuple(reasons))


def moment(seconds: float) -> str:
    """A time for people."""
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d %H:%M} UTC"


def _allowed(links: Sequence[Link], wishes: Wishes) -> tuple[int, str]:
    """How many layers may be used at most, and why no more."""
    if wishes.no_cache:
        return 0, "--no-cache"
    for number, link in enumerate(links):
        if wishes.from_step and link.step >= wishes.from_step:
            return number, f"--from {wishes.from_step}"
        if link.never:
            return number, "its cache is 'never'"
    return len(links), ""


def _usable(chain: Sequence[Layer], machine_key: str) -> tuple[int, str]:
    """The highest layer that can be gone on from; and of the one above it why that cannot."""
    broken = ""
    for used in range(len(chain), 0, -1):
        why = chain[used - 1].why_not(machine_key)
        if not why:
            return used, broken
        broken = f"its layer is of no use: {why}"
    return 0, broken


def _reason(links: Sequence[Link], known: Known, number: int, used: int, machine_key: str) -> str:
    if number >= used:
        return "a step before it runs" if number > used else ""
    layer = known.chain[number]
    if number < used - 1:
        return f"layer of {moment(layer.meta.created)}"
    how = layer.no_memory(machine_key)
    when = moment(layer.meta.created)
    return f"boots from its disk layer of {when}: {how}" if how else f"memory snapshot of {when}"


def _what_changed(link: Link, known: Known, number: int) -> str:
    """Why there is no layer: what differs from the one that lies in its place."""
    parent = known.chain[number - 1].meta.instance if number else ""
    others = [layer for layer in known.siblings(parent) if (layer.meta.kind == BOOT) == (link.kind == BOOT)]
    named = [layer for layer in others if layer.meta.name == link.name and layer.meta.kind == link.kind]
    if not others:
        return "no layer of it yet"
    newest = max(named or others, key=lambda layer: layer.meta.created)
    if link.kind == BOOT:
        return "no warm base of this source yet"
    if newest.meta.kind != link.kind:
        return f"another step stood here ({newest.meta.kind} '{newest.meta.name}')"
    return difference(newest.meta.inputs, link.inputs) or "it works differently in this version of Goldsmith"
