"""A set of JSON pointers that answers for whole subtrees."""

from __future__ import annotations

from collections.abc import Iterator

from templates.pointers import parent


class PointerSet:
    """Knows whether a pointer lies in one of its members, or holds one.

    Both answers cost the depth of the pointer, however many members there are: a file may have as
    many mistakes as it has values.
    """

    def __init__(self) -> None:
        self._members: set[str] = set()
        self._above: set[str] = set()

    def add(self, pointer: str) -> None:
        """Add a pointer."""
        self._members.add(pointer)
        self._above.update(_upwards(pointer))

    def covers(self, pointer: str) -> bool:
        """Whether `pointer` is a member or lies below one."""
        return bool(self._members) and any(one in self._members for one in _upwards(pointer))

    def reaches_below(self, pointer: str) -> bool:
        """Whether `pointer` is a member or a member lies below it."""
        return pointer in self._above


def _upwards(pointer: str) -> Iterator[str]:
    yield pointer
    while pointer:
        pointer = parent(pointer)
        yield pointer
