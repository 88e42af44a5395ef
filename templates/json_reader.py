"""A JSON reader that knows where everything stands.

The standard library's scanner reads a file fast and forgets positions; a template's problems are
only useful with line and column. So a good file is read by the scanner alone. A second, slow pass
(`json_tolerant`) runs when the scanner refuses the text, or when somebody asks for a place.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from math import isinf
from typing import Any, NoReturn

from templates.collector import paused_collector
from templates.diagnostics import Diagnostic, Location, TemplateError
from templates.files import MAX_BYTES
from templates.json_places import Place, written_offset
from templates.json_tolerant import MAX_DEPTH, TolerantParser, location

__all__ = ["MAX_DEPTH", "JsonDocument", "parse_json"]

_CONTAINERS = (dict, list)
# The scanner lets half a pair through; whole pairs take the slow pass with it, which hurts nobody.
_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")


@dataclass(frozen=True)
class JsonDocument:
    """A parsed document. Offsets count characters of `text`; places are found when first asked for."""

    file: str
    text: str
    value: Any  # any JSON value
    diagnostics: tuple[Diagnostic, ...] = ()
    _done: TolerantParser | None = field(default=None, repr=False, compare=False)

    def locate(self, pointer: str, *, inside: int = 0) -> Location:
        """Where the value at `pointer` starts.

        What is not in the file (it came out of an expression) is placed at its nearest ancestor.
        `inside` is an offset into a string value, for errors within an expression.
        """
        place, exact = self._root.find(pointer)
        offset = place.start
        if inside and exact and self.text.startswith('"', offset):
            offset = written_offset(self.text, offset, inside)
        return self._location(offset, pointer)

    def locate_in(self, pointer: str, text: str, offset: int) -> Location:
        """Where character `offset` of the string `text` stands, which is the value at `pointer`.

        Its start, when the file holds another text there: an expression that gave this one.
        """
        place, exact = self._root.find(pointer)
        literal = self.text[place.start : place.end]
        # The length first: it spares decoding what cannot be equal.
        same = exact and literal.startswith('"') and len(literal) >= len(text) and json.loads(literal) == text
        return self._location(
            written_offset(self.text, place.start, offset) if same else place.start, pointer
        )

    def locate_key(self, pointer: str) -> Location:
        """Where the key (not the value) at `pointer` starts."""
        place, exact = self._root.find(pointer)
        if not exact or place.key < 0:
            return self.locate(pointer)
        return self._location(place.key, pointer)

    def offset_of(self, pointer: str) -> int:
        """Where the value at `pointer` starts. Raises KeyError when the file has no such value."""
        return self._place(pointer).start

    def end_of(self, pointer: str) -> int:
        """Where the value at `pointer` ends: the offset after its last character. Raises KeyError."""
        return self._place(pointer).end

    def offset_of_key(self, pointer: str) -> int:
        """Where the key at `pointer` starts, at its quote. Raises KeyError, also for what has no key."""
        key = self._place(pointer).key
        if key < 0:
            raise KeyError(pointer)
        return key

    @property
    def trailing_commas(self) -> Sequence[int]:
        """Offsets of all commas that stand before a closing bracket."""
        return self._pass.trailing_commas

    @property
    def comments(self) -> Sequence[tuple[int, int]]:
        """Start and end of all comments; the line break behind `//` is not part of it."""
        return self._pass.comments

    def _place(self, pointer: str) -> Place:
        place, exact = self._root.find(pointer)
        if not exact:
            raise KeyError(pointer)
        return place

    def _location(self, offset: int, pointer: str) -> Location:
        return location(self.file, self._line_starts, offset, pointer)

    @property
    def _root(self) -> Place:
        return self._pass.root

    @cached_property
    def _pass(self) -> TolerantParser:
        if self._done is not None:
            return self._done
        parser = TolerantParser(self.text, self.file, self._line_starts, strict=False)
        parser.parse()
        return parser

    @cached_property
    def _line_starts(self) -> list[int]:
        return _line_starts(self.text)


@paused_collector()
def parse_json(text: str, file: str, *, strict: bool = False) -> JsonDocument:
    """Parse `text`. Raises TemplateError with one located error when it is not JSON.

    Duplicate keys are a warning (the last one wins, as everywhere); comments and trailing commas
    a warning, or an error of the result when `strict`. Texts that are too long or too deep are refused.
    """
    text = text.removeprefix("\ufeff")
    if len(text) > MAX_BYTES:
        message = f"larger than {MAX_BYTES // 2**20} MiB, this cannot be a template"
        raise TemplateError([Diagnostic("error", "BadJson", message, Location(file, 1, 1))])
    try:
        return JsonDocument(file, text, _scan(text))
    except (ValueError, RecursionError):  # whatever it is, the slow pass knows the words for it
        parser = TolerantParser(text, file, _line_starts(text), strict=strict)
        value = parser.parse()
        return JsonDocument(file, text, value, tuple(parser.diagnostics), parser)


class _Unusual(ValueError):
    """Something the scanner takes, and we take differently or not at all."""


def _scan(text: str) -> Any:  # noqa: ANN401 - any JSON value
    """The value, by the standard library. Raises ValueError, RecursionError."""
    if _SURROGATE.search(text):
        raise _Unusual
    value = _DECODER.decode(text)
    # Level by level, and only what can hold more: this walk must not cost more than the scan.
    level = [value] if type(value) in _CONTAINERS else []
    for _ in range(MAX_DEPTH):
        if not level:
            return value
        level = [
            child
            for item in level
            for child in (item if type(item) is list else item.values())
            if type(child) in _CONTAINERS
        ]
    if level:
        raise _Unusual
    return value


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) != len(pairs):
        raise _Unusual
    return result


def _float(digits: str) -> float:
    value = float(digits)
    if isinf(value):
        raise _Unusual
    return value


def _constant(_name: str) -> NoReturn:
    raise _Unusual


_DECODER = json.JSONDecoder(object_pairs_hook=_object, parse_float=_float, parse_constant=_constant)


def _line_starts(text: str) -> list[int]:
    return [0, *(match.end() for match in re.finditer("\n", text))]
