"""Copy loops: `copy` on a resource, in its properties, in variables and in outputs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from templates.arm.syntax import ExpressionError, Json, kind_of
from templates.pointers import join

if TYPE_CHECKING:
    from templates.arm.resolver import Resolver

MAX_COUNT = 800  # of ARM, for each loop


@dataclass(frozen=True, slots=True)
class Loop:
    """One turn of a copy loop."""

    name: str
    index: int
    of_resource: bool = False


def loops_in(value: Mapping[str, Json]) -> list[dict[str, Json]] | None:
    """The loops that make properties of an object (`"copy": [{"name", "count", "input"}]`), if any.

    Anything else called "copy" is a property like others.
    """
    loops = value.get("copy")
    if not isinstance(loops, list) or not loops:
        return None
    for loop in loops:
        if not isinstance(loop, dict) or not {"name", "count", "input"} <= loop.keys():
            return None
        if not isinstance(loop["name"], str) or loop["name"] in ("", "copy"):
            return None
    return loops


def count_of(resolver: Resolver, loop: Mapping[str, Json], pointer: str) -> int:
    """How many turns a loop takes. Raises ExpressionError that knows its place."""
    at = join(pointer, "count")
    count = resolver.compute(loop.get("count"), at)
    if isinstance(count, int) and not isinstance(count, bool) and 0 <= count <= MAX_COUNT:
        return count
    if isinstance(count, int) and not isinstance(count, bool):
        message = f"a copy loop takes 0 to {MAX_COUNT} turns, not {count}"
    else:
        message = f"the count of a copy loop must be an int, not {kind_of(count)}"
    error = ExpressionError("BadCopy", message)
    error.pointer = at
    raise error
