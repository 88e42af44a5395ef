"""Repairs as edits of a text: everything they do not touch stays as it was, to the last blank."""

from __future__ import annotations

import json
import re
from bisect import bisect_right, insort
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from templates.arm.definitions import ParameterError, Types
from templates.json_reader import JsonDocument
from templates.pointers import join, last, parent
from templates.repairs import Insert, Remove, Rename, Repair, Replace

_KEY = re.compile(r'"(?:[^"\\]|\\.)*"')
_BLANKS = " \t\r\n"
# New members stand where people expect them: these first, all others before `properties`.
_FIRST = ("type", "apiVersion", "name")
_USE = re.compile(r"\b(parameters|variables)\s*\(\s*'([^']+)'", re.IGNORECASE)
_REFERENCE = re.compile(r"\[\s*(parameters|variables)\s*\(\s*'([^']+)'\s*\)\s*\]", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Edit:
    """The characters from `start` to `end` become `text`."""

    start: int
    end: int
    text: str


class NotInFile(Exception):
    """What would have to change is not written there: it came out of an expression or a variable."""


def value_at(value: Any, pointer: str) -> Any:  # noqa: ANN401 - any JSON value
    """The value at a JSON pointer. Raises KeyError."""
    parts = pointer.split("/")[1:]
    for part in parts:
        if isinstance(value, dict):
            value = value[last("/" + part)]
        elif isinstance(value, list) and part.isdecimal() and int(part) < len(value):
            value = value[int(part)]
        else:
            raise KeyError(pointer)
    return value


def as_written(repair: Repair, document: JsonDocument) -> Repair:
    """`repair` as one of a literal in the file, following a parameter or variable used only there.

    Raises NotInFile.
    """
    try:
        if isinstance(repair, Rename | Remove):
            document.offset_of_key(repair.pointer)
            return repair
        found = value_at(document.value, repair.pointer)
    except KeyError:
        raise NotInFile from None
    if isinstance(repair, Insert):
        if not isinstance(found, dict) or not found or repair.name in found:
            raise NotInFile
        return repair
    if _same(found, repair.old):
        return repair
    home = _home_of(found, repair, document)
    return Replace(home, repair.old, repair.new, repair.native)


def _same(one: Any, other: Any) -> bool:  # noqa: ANN401 - any JSON value
    return bool(one == other) and isinstance(one, bool) == isinstance(other, bool)


def _home_of(found: Any, repair: Replace, document: JsonDocument) -> str:  # noqa: ANN401
    """Where the literal stands that the expression `found` names. Raises NotInFile.

    Only a literal that nothing else in the file uses may change.
    """
    match = _REFERENCE.fullmatch(found) if isinstance(found, str) else None
    section: Any = document.value.get(match[1].lower()) if match else None
    if match is None or not isinstance(section, Mapping) or "/template/" in repair.pointer:
        raise NotInFile  # in a nested deployment the name may be that of another parameter
    name = next((known for known in section if known.casefold() == match[2].casefold()), None)
    if name is None or _uses(document.text)[match[1].lower(), match[2].casefold()] != 1:
        raise NotInFile
    home = join("", match[1].lower(), name)
    if match[1].lower() == "parameters":
        if not _may_be(section[name], name, repair.new, document.value.get("definitions")):
            raise NotInFile
        home = join(home, "defaultValue")
    try:
        if _same(value_at(document.value, home), repair.old):
            return home
    except KeyError:
        pass
    raise NotInFile


def _may_be(definition: Any, name: str, value: Any, definitions: Any) -> bool:  # noqa: ANN401 - any JSON
    """Whether a parameter may have `value` as its default, which is no secret."""
    types = Types(definitions)
    try:
        types.check_definition(name, definition)
        types.check_value(name, definition, value)
    except ParameterError:
        return False
    allowed = types.follow(definition).get("allowedValues", [value])
    return value in allowed and not types.secrets(definition, value)


@lru_cache(maxsize=1)
def _uses(text: str) -> Counter[tuple[str, str]]:
    """How often each parameter and variable is asked for in a file."""
    return Counter((match[1].lower(), match[2].casefold()) for match in _USE.finditer(text))


# -- one repair -------------------------------------------------------------------------------------


def edits_of(repair: Repair, document: JsonDocument) -> list[Edit]:
    """The edits that make `repair`, which is `as_written`."""
    if isinstance(repair, Rename):
        start = document.offset_of_key(repair.pointer)
        return [Edit(start, _end_of_key(document.text, start), _json(repair.new))]
    if isinstance(repair, Remove):
        return _remove(repair, document)
    if isinstance(repair, Insert):
        return [_insert(repair, document)]
    start, end = document.offset_of(repair.pointer), document.end_of(repair.pointer)
    if repair.new == [repair.old]:  # brackets around it keep its own form
        return [Edit(start, start, "["), Edit(end, end, "]")]
    return [Edit(start, end, _json(repair.new))]


def _insert(repair: Insert, document: JsonDocument) -> Edit:
    members = value_at(document.value, repair.pointer)
    places = {key: document.offset_of_key(join(repair.pointer, key)) for key in members}
    at = min(places.values())
    if repair.name not in _FIRST:
        at = next((place for key, place in places.items() if key.casefold() == "properties"), at)
    before = len(document.text[:at].rstrip(_BLANKS))
    gap = document.text[before:at] or " "
    return Edit(at, at, f"{_json(repair.name)}: {_json(repair.value)},{gap}")


def _remove(repair: Remove, document: JsonDocument) -> list[Edit]:
    """The member with the one comma that belongs to it. Nothing where a comment stands in the way."""
    text = document.text
    start, end = document.offset_of_key(repair.pointer), document.end_of(repair.pointer)
    after = _next_token(text, end)
    if text[after] == ",":
        return [Edit(start, _next_token(text, after + 1), "")]
    before = len(text[:start].rstrip(_BLANKS)) - 1
    if text[after] != "}" or text[before] not in ",{":
        return []
    return [Edit(before if text[before] == "," else start, end, "")]


def _next_token(text: str, start: int) -> int:
    while start < len(text) and text[start] in _BLANKS:
        start += 1
    return start


def _end_of_key(text: str, start: int) -> int:
    match = _KEY.match(text, start)
    return match.end() if match else start


def _json(value: Any) -> str:  # noqa: ANN401 - any JSON value
    return json.dumps(value, ensure_ascii=False)


# -- many of them -------------------------------------------------------------------------------------


def in_one_go(repairs: Iterable[Repair], document: JsonDocument) -> tuple[str, list[Repair]]:
    """The text after as many of `repairs` as fit together, and which these are.

    What touches the same characters as another one, or takes a second member out of one object, has to
    wait for the next round.
    """
    taken: list[Edit] = []  # in the order of the text
    done: list[Repair] = []
    robbed: set[str] = set()
    order = {name: index for index, name in enumerate(_FIRST)}
    for repair in sorted(repairs, key=lambda r: order.get(r.name, 9) if isinstance(r, Insert) else 9):
        edits = edits_of(repair, document)
        owner = parent(repair.pointer)
        late = isinstance(repair, Remove) and owner in robbed
        if late or not edits or any(_is_taken(edit, taken) for edit in edits):
            continue
        if isinstance(repair, Remove):
            robbed.add(owner)
        for edit in edits:  # behind those at the same place: they keep their order
            insort(taken, edit, key=_span)
        done.append(repair)
    return _applied(taken, document.text), done


def _span(edit: Edit) -> tuple[int, int]:
    return edit.start, edit.end


def _is_taken(edit: Edit, taken: list[Edit]) -> bool:
    """Whether `edit` touches one of `taken`; as those do not touch each other, the neighbours say it."""
    index = bisect_right(taken, _span(edit), key=_span)
    return any(_touch(edit, other) for other in taken[max(index - 1, 0) : index + 1])


def _applied(edits: list[Edit], text: str) -> str:
    parts, position = [], 0
    for edit in edits:
        parts += [text[position : edit.start], edit.text]
        position = edit.end
    return "".join([*parts, text[position:]])


def _touch(one: Edit, other: Edit) -> bool:
    return one.start < other.end and other.start < one.end
