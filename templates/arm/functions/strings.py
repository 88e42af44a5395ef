"""String functions that work on characters; encodings.py and formats.py hold the others."""

from __future__ import annotations

import re
from collections.abc import Callable

from templates.arm.budget import refuse_above
from templates.arm.functions.registry import function
from templates.arm.functions.values import array, bad, display, integer, is_int, text
from templates.arm.syntax import Json, kind_of


@function("concat", 1, None)
def _concat(*parts: Json) -> Json:
    refuse_above(sum(len(part) for part in parts if isinstance(part, str | list)))
    if all(isinstance(part, list) for part in parts):
        return [item for part in parts for item in part]
    wrong = next((part for part in parts if isinstance(part, list | dict) or part is None), "")
    if wrong != "":
        message = f"concat() joins strings, or arrays only: {kind_of(wrong)} is among them"
        raise bad(message)
    return "".join(display(part) for part in parts)


@function("join", 2)
def _join(items: Json, delimiter: Json) -> Json:
    between = text(delimiter, "the delimiter of join()")
    texts = [display(item) for item in array(items, "the first argument of join()")]
    refuse_above(sum(map(len, texts)) + len(between) * len(texts))
    return between.join(texts)


@function("split", 2)
def _split(value: Json, delimiters: Json) -> Json:
    whole = text(value, "the first argument of split()")
    given = delimiters if isinstance(delimiters, list) else [delimiters]
    texts = [text(item, "each delimiter of split()") for item in given]
    found = [re.escape(item) for item in texts if item]  # .NET ignores an empty delimiter
    if not found:
        return [whole]
    pattern = re.compile("|".join(found))
    parts: list[str] = []
    start = size = 0
    for match in pattern.finditer(whole):
        parts.append(whole[start : match.start()])
        start = match.end()
        refuse_above(size := size + 8)
    return [*parts, whole[start:]]


@function("toLower", 1)
def _to_lower(value: Json) -> Json:
    return _each(text(value, "the argument of toLower()"), str.lower)


@function("toUpper", 1)
def _to_upper(value: Json) -> Json:
    return _each(text(value, "the argument of toUpper()"), str.upper)


def _each(whole: str, change: Callable[[str], str]) -> str:
    """.NET changes character by character: `ß` stays one character."""
    changed = change(whole)
    if len(changed) == len(whole):
        return changed
    return "".join(new if len(new := change(char)) == 1 else char for char in whole)


@function("trim", 1)
def _trim(value: Json) -> Json:
    return text(value, "the argument of trim()").strip()


@function("padLeft", 2, 3)
def _pad_left(value: Json, total: Json, fill: Json = " ") -> Json:
    if not (isinstance(value, str) or is_int(value)):
        raise bad(f"padLeft() pads a string or an int, not {kind_of(value)}")
    width = integer(total, "the length of padLeft()")
    char = text(fill, "the padding of padLeft()")
    if len(char) != 1 or width < 0:
        raise bad("padLeft() pads with one character to a length that is not negative")
    refuse_above(width)
    return display(value).rjust(width, char)


@function("replace", 3)
def _replace(value: Json, old: Json, new: Json) -> Json:
    whole = text(value, "the first argument of replace()")
    before, after = text(old, "the text to replace"), text(new, "the new text of replace()")
    if not before:
        raise bad("replace(): the text to replace is empty")
    refuse_above(len(whole) + whole.count(before) * max(len(after) - len(before), 0))
    return whole.replace(before, after)


@function("startsWith", 2)
def _starts_with(value: Json, start: Json) -> Json:
    whole, part = text(value, "the first argument of startsWith()"), text(start, "the start to find")
    return whole.casefold().startswith(part.casefold())


@function("endsWith", 2)
def _ends_with(value: Json, end: Json) -> Json:
    whole, part = text(value, "the first argument of endsWith()"), text(end, "the end to find")
    return whole.casefold().endswith(part.casefold())


@function("string", 1)
def _string(value: Json) -> Json:
    return display(value)


@function("substring", 2, 3)
def _substring(value: Json, start: Json, length: Json = None) -> Json:
    whole = text(value, "the first argument of substring()")
    first = integer(start, "the start of substring()")
    count = len(whole) - first if length is None else integer(length, "the length of substring()")
    if first < 0 or count < 0 or first + count > len(whole):
        message = f"substring(): start {first} and length {count} are not inside a string of {len(whole)}"
        raise bad(message)
    return whole[first : first + count]
