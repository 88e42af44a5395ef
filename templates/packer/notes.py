"""What an import has to say: every part of a Packer template that did not simply go over."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from templates.diagnostics import Location
from templates.pointers import is_under

Kind = Literal["fill", "changed", "lost", "implied"]
KINDS: tuple[Kind, ...] = ("fill", "changed", "lost", "implied")
NOTHING = "nothing to do"


@dataclass(frozen=True, slots=True)
class Note:
    """One thing to know about one place of the Packer template. Never quotes a value: it may be secret.

    `kind`: `fill` is to be done before the first build, `changed` works in another way here, `lost` has
    no counterpart, `implied` needs none. `what` is the place as people write it, `where` with line and
    column. `suggestion` is JSON to paste (an entry of catalogue.json), or None.
    """

    kind: Kind
    what: str
    where: Location
    why: str
    advice: str
    suggestion: Mapping[str, Any] | None = None  # any JSON


class Notes:
    """Collects the notes of one import, each once."""

    def __init__(self, locate: Callable[[str], Location]) -> None:
        self._locate = locate
        self._notes: dict[tuple[str, ...], Note] = {}

    def add(
        self,
        kind: Kind,
        pointer: str,
        why: str,
        advice: str,
        *,
        suggestion: Mapping[str, Any] | None = None,
    ) -> None:
        """Note something about the value at a JSON pointer, and all that is below it."""
        note = Note(kind, spoken(pointer), self._locate(pointer), why, advice, suggestion)
        self._notes.setdefault((pointer, kind, why, advice), note)

    def covers(self, pointer: str) -> bool:
        """Whether a note speaks of the value at `pointer`, or of what it lies in."""
        return any(is_under(pointer, known[0]) for known in self._notes)

    def finish(self) -> tuple[Note, ...]:
        """All notes: what is to be done first, then in the order of the file."""
        return tuple(
            sorted(
                self._notes.values(),
                key=lambda n: (KINDS.index(n.kind), n.where.file, n.where.line, n.where.column),
            )
        )


def spoken(pointer: str) -> str:
    """A JSON pointer as people write it: `/builders/0/vm_size` is `builders[0].vm_size`."""
    text = ""
    for part in pointer.split("/")[1:]:
        name = part.replace("~1", "/").replace("~0", "~")
        if name.isdecimal():
            text += f"[{name}]"
        else:
            text += f".{name}" if text else name
    return text or "the file"
