"""A mapping of a Packer template that is used up: what nobody asked for is reported at the end.

This is what keeps an import from dropping anything silently: a converter cannot forget a key, it can
only fail to ask for it, and then `close` lists it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from templates.arm.expressions import kind_of
from templates.durations import DurationError, parse_duration
from templates.packer.notes import Kind, Notes
from templates.packer.texts import Texts
from templates.pointers import join

Reason = tuple[Kind, str, str]


class Section:
    """The settings of one part. Every reader takes a key; None stands for absent, null, "" and unusable.

    Packer reads its settings loosely ("2" counts as 2, one text as a list of one), and so do these.
    """

    def __init__(self, data: Mapping[str, Any], pointer: str, notes: Notes, texts: Texts) -> None:
        self._data = dict(data)
        self._places = {key: join(pointer, key) for key in data}
        self._taken: set[str] = set()
        self.pointer = pointer
        self.notes = notes
        self.texts = texts

    def overlay(self, other: Section) -> None:
        """Lay the settings of `other` over these, with their own places in the file."""
        for key, value in other._data.items():
            if key in self._data:
                self.notes.add("implied", self._places[key], "an override takes its place", "nothing to do")
            self._data[key] = value
            self._places[key] = other._places[key]

    def place(self, key: str) -> str:
        """The JSON pointer of a key, whether it is there or not."""
        return self._places.get(key, join(self.pointer, key))

    def has(self, key: str) -> bool:
        """Whether a key is there and says something."""
        return self._data.get(key) not in (None, "")

    def peek(self, key: str) -> Any:  # noqa: ANN401 - any JSON value
        """Look at a value without taking it."""
        return self._data.get(key)

    def raw(self, key: str) -> Any:  # noqa: ANN401 - any JSON value
        """Take a value as it is. Who does this answers for every leaf below it."""
        self._taken.add(key)
        return self._data.get(key)

    def text(self, key: str, *, required: bool = False) -> str | None:
        """Take a text for our template; see `Texts.jinja` for `required`."""
        value = self.raw(key)
        if value is None or value == "":
            return None
        if isinstance(value, dict | list):
            self._unusable(key, "a text", value)
            return None
        return self.texts.jinja(_as_text(value), self.place(key), required=required)

    def texts_of(self, key: str) -> list[str]:
        """Take a list of texts; a text counts as a list of one. An item that is no text is reported."""
        value = self.raw(key)
        if value is None or value == "":
            return []
        items = value if isinstance(value, list) else [value]
        found = []
        for index, item in enumerate(items):
            at = join(self.place(key), index) if isinstance(value, list) else self.place(key)
            if isinstance(item, dict | list) or item is None:
                self._unusable_at(at, "a text", item)
            else:
                found.append(self.texts.jinja(_as_text(item), at))
        return found

    def plain(self, key: str) -> str | None:
        """Take a text that must be known now; None and a note when a variable leaves it open."""
        value = self.raw(key)
        if value is None or value == "":
            return None
        if isinstance(value, dict | list):
            self._unusable(key, "a text", value)
            return None
        found = self.texts.plain(_as_text(value), self.place(key))
        if found is None:
            why = "its value is not known before the build"
            self.notes.add("lost", self.place(key), why, "write the value into the template")
        return found or None

    def integer(self, key: str) -> int | None:
        """Take a whole number, zero or above."""
        return self._integer(self.plain(key), self.place(key))

    def integers(self, key: str) -> list[int]:
        """Take a list of whole numbers, zero or above."""
        value = self.raw(key)
        items = value if isinstance(value, list) else [] if value in (None, "") else [value]
        found = []
        for index, item in enumerate(items):
            at = join(self.place(key), index) if isinstance(value, list) else self.place(key)
            if isinstance(item, dict | list) or item is None:
                self._unusable_at(at, "a number", item)
                continue
            number = self._integer(self.texts.plain(_as_text(item), at) or "", at)
            if number is not None:
                found.append(number)
        return found

    def boolean(self, key: str) -> bool | None:
        """Take true or false."""
        text = self.plain(key)
        if text is None:
            return None
        if text.casefold() not in ("true", "false", "1", "0", "t", "f"):
            self._unusable(key, "true or false", text)
            return None
        return text.casefold() in ("true", "1", "t")

    def duration(self, key: str) -> str | None:
        """Take a duration as Go writes them; both sides use the same form."""
        text = self.plain(key)
        if text is None:
            return None
        try:
            parse_duration(text)
        except DurationError:
            self._unusable(key, "a duration", text)
            return None
        return text

    def mapping(self, key: str) -> dict[str, str]:
        """Take an object of texts."""
        value = self.raw(key)
        if value in (None, ""):
            return {}
        if not isinstance(value, dict):
            self._unusable(key, "an object", value)
            return {}
        found = {}
        for name, item in value.items():
            at = join(self.place(key), name)
            if isinstance(item, dict | list) or item is None:
                self._unusable_at(at, "a text", item)
            else:
                found[name] = self.texts.jinja(_as_text(item), at)
        return found

    def sections(self, key: str) -> list[Section]:
        """Take an object, or a list of them: HCL2 writes them as blocks."""
        value = self.raw(key)
        if value in (None, ""):
            return []
        items = [(self.place(key), value)]
        if isinstance(value, list):
            items = [(join(self.place(key), index), item) for index, item in enumerate(value)]
        found = []
        for at, item in items:
            if isinstance(item, dict):
                found.append(Section(item, at, self.notes, self.texts))
            else:
                self._unusable_at(at, "an object", item)
        return found

    def section(self, key: str) -> Section | None:
        """Take one object; further blocks of the name are reported."""
        found = self.sections(key)
        for other in found[1:]:
            self.notes.add("lost", other.pointer, "Packer allows one of these", "remove it")
        return found[0] if found else None

    def explain(self, key: str, reason: Reason) -> None:
        """Take a key that is there and say what became of it."""
        if key in self._data:
            self._taken.add(key)
            kind, why, advice = reason
            self.notes.add(kind, self.place(key), why, advice)

    def close(self, reason_of: Callable[[str], Reason]) -> None:
        """Report every key that was not taken, with the reason `reason_of` gives for it."""
        for key in self._data:
            if key not in self._taken:
                self.explain(key, reason_of(key))

    def _integer(self, text: str | None, pointer: str) -> int | None:
        if text is None:
            return None
        if not re.fullmatch(r"\d{1,9}", text.strip(), re.ASCII):
            self._unusable_at(pointer, "a whole number", text)
            return None
        return int(text)

    def _unusable(self, key: str, wanted: str, value: Any) -> None:  # noqa: ANN401 - any JSON value
        self._unusable_at(self.place(key), wanted, value)

    def _unusable_at(self, pointer: str, wanted: str, value: Any) -> None:  # noqa: ANN401 - any JSON value
        found = f", it is {kind_of(value)}" if not isinstance(value, str) else ""
        self.notes.add("lost", pointer, f"it must be {wanted}{found}", "put the value into the template")


def _as_text(value: Any) -> str:  # noqa: ANN401 - a plain JSON value
    return str(value).lower() if isinstance(value, bool) else str(value)
