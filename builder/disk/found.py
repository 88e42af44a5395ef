"""What a reader of one disk format says of a file."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

FormatName = Literal["raw", "qcow2", "vhd", "vhdx", "vmdk"]


@dataclass(frozen=True, slots=True)
class Found:
    """A file that is what its header says. `size` is what a guest sees, in bytes; `parts` are files beside
    it that hold its data.
    """

    format: FormatName
    subformat: str
    size: int
    parts: tuple[Path, ...] = ()


class Damaged(Exception):
    """It begins like that format, but cannot be it; the text says why ("it ends within its header")."""


class Refused(Exception):
    """It is of that format, and not to be used as it is; `hint` says what to do."""

    def __init__(self, reason: str, hint: str) -> None:
        super().__init__(reason)
        self.hint = hint
