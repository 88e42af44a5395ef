"""What would have to change in a file so that it says the same in the newest form.

The checks note repairs beside their warnings; `templates.fix` turns them into edits of the text. All
pointers are places in the file as it was written.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Rename:
    """The key at `pointer` gets the name `new`. `native`: API versions that knew the old name."""

    pointer: str
    new: str
    native: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Replace:
    """The value at `pointer`, which is `old`, becomes `new`. `native` as for Rename."""

    pointer: str
    old: Any  # any JSON value
    new: Any  # any JSON value
    native: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Insert:
    """The object at `pointer` gets the member `name`."""

    pointer: str
    name: str
    value: Any  # any JSON value


@dataclass(frozen=True, slots=True)
class Remove:
    """The member at `pointer` goes."""

    pointer: str


Repair = Rename | Replace | Insert | Remove
