"""`<subscriptionID>`: what Azure's quickstarts leave for sed to fill in."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from templates.arm.syntax import is_expression
from templates.pointers import join
from templates.report import Report

_PLACEHOLDER = re.compile(r"<([A-Za-z][\w .-]*)>")
# Texts of people and of Goldsmith's own extensions, where `<` need not be a placeholder.
_FREE_TEXTS = frozenset({"description", "x-goldsmith", "eula", "metadata", "comments"})
_MOST_LINES = 20
_Place = tuple[str, int, bool]  # a pointer, an offset in the text there, whether that text is a key


def fill_placeholders(text: str, variables: Mapping[str, str], pointer: str) -> str:
    """`text` with each `<name>` filled in that `--var` names exactly.

    In script lines `<name>` mostly is a redirection: there it counts with a capital letter only, as in
    `<scriptUrl>`. Inside of an expression the value becomes part of a quoted text.
    """
    quoted = is_expression(text)
    script = "/inline/" in pointer

    def value(match: re.Match[str]) -> str:
        name = match[1]
        if name not in variables or (script and name == name.lower()):
            return match.group()
        return variables[name].replace("'", "''") if quoted else variables[name]

    return _PLACEHOLDER.sub(value, text)


def check_placeholders(values: Iterable[tuple[Any, str]], report: Report) -> None:
    """Report the placeholders left over in computed values (each with its pointer): one error for each name.

    Their places count as failed afterwards, so that no other check speaks about the same value again.
    """
    places: dict[str, list[_Place]] = {}
    for value, pointer in values:
        for name, place in _find(value, pointer):
            places.setdefault(name, []).append(place)
    for name, found in places.items():
        _report(name, found, report)
    for found in places.values():
        for pointer, _, _ in found:
            report.failed.add(report.written_at(pointer))


def _find(value: Any, pointer: str) -> Iterator[tuple[str, _Place]]:  # noqa: ANN401 - any JSON value
    """The name and place of each placeholder."""
    if isinstance(value, str):
        for match in _PLACEHOLDER.finditer(value) if "<" in value else ():
            yield match[1], (pointer, match.start(), False)
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _find(item, join(pointer, index))
    elif isinstance(value, dict):
        for key, item in value.items():
            for match in _PLACEHOLDER.finditer(key) if "<" in key else ():
                yield match[1], (join(pointer, key), match.start(), True)
            if key not in _FREE_TEXTS and key != "inline":
                yield from _find(item, join(pointer, key))


def _report(name: str, places: list[_Place], report: Report) -> None:
    pointer, offset, is_key = places[0]
    lines = sorted({_line(place, report) for place in places})
    where = ""
    if len(lines) > 1:
        shown = ", ".join(map(str, lines[:_MOST_LINES]))
        where = f"; it stands in the lines {shown}" + (" and more" if len(lines) > _MOST_LINES else "")
    given = f'"{name}=VALUE"' if " " in name else f"{name}=VALUE"
    report.error(
        "Placeholder",
        f"'<{name}>' is still to be filled in{where}",
        pointer,
        hint=f"give it: --var {given}, or write the value into the file",
        key=is_key,
        inside=0 if is_key else offset,
    )


def _line(place: _Place, report: Report) -> int:
    pointer, _, is_key = place
    written = report.written_at(pointer)
    document = report.document
    return (document.locate_key(written) if is_key else document.locate(written)).line
