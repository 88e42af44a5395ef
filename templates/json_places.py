"""Where the keys and values of a JSON text stand.

A tree, and not a table of pointers: under a long key a table would hold that key once for every
value below it, and the memory would grow with the square of the file.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from templates.pointers import parts

# One character of a JSON string as it is written. A pair of surrogates is one character of the value.
_CHARACTER = re.compile(r"\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|\\u[0-9a-fA-F]{4}|\\.|.")


class Place:
    """A value of the text: offsets of its first character, of the one after its last, and of its key.

    `key` is -1 in arrays and at the root. `below` holds the places of what is inside, by key or index.
    """

    __slots__ = ("below", "end", "key", "start")

    def __init__(self, start: int, end: int, key: int = -1) -> None:
        self.start = start
        self.end = end
        self.key = key
        self.below: dict[str, Place] | list[Place] | None = None

    def find(self, pointer: str) -> tuple[Place, bool]:
        """The place of a JSON pointer, seen from here, and True; or its nearest ancestor and False."""
        place = self
        for part in parts(pointer):
            child = place._child(part)
            if child is None:
                return place, False
            place = child
        return place, True

    def _child(self, part: str) -> Place | None:
        if isinstance(self.below, dict):
            return self.below.get(part)
        # `isdigit` alone takes digits of other scripts; an index longer than that is none.
        if isinstance(self.below, list) and part.isascii() and part.isdigit() and len(part) < 10:
            index = int(part)
            return self.below[index] if index < len(self.below) else None
        return None


def written_offset(text: str, start: int, inside: int) -> int:
    """Where character `inside` of the string's value stands, for a string literal that begins at `start`.

    An escape is one character of the value and several of the text.
    """
    position = start + 1
    for count, end in enumerate(_character_ends(text, position)):
        if count >= inside:
            break
        position = end
    return position


def _character_ends(text: str, position: int) -> Iterator[int]:
    while position < len(text) and text[position] != '"':
        match = _CHARACTER.match(text, position)
        if match is None:  # only a line break, which no string holds
            return
        position = match.end()
        yield position
