"""`<subscriptionID>`: what Azure's quickstarts leave for sed to fill in."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from templates.arm.syntax import is_expression
from templates.diagnostics import Severity
from templates.pointers import join
from templates.report import Report

_PLACEHOLDER = re.compile(r"<([A-Za-z][\w .-]*)>")
# Texts of people and of Goldsmith's own extensions, where `<` need not be a placeholder.
_FREE_TEXTS = frozenset({"description", "x-goldsmith", "eula", "metadata", "comments"})
# In a script line `<name>` mostly is a redirection, and `List<String>` or `<Tag>…</Tag>` something else.
_IN_SCRIPT = re.compile(r"(?<![\w<])<([A-Za-z]\w*)>")
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
    What only looks like one, in a script, is a warning.
    """
    places: dict[str, list[_Place]] = {}
    in_scripts: dict[str, list[_Place]] = {}
    for value, pointer in values:
        for name, place in _find(value, pointer):
            places.setdefault(name, []).append(place)
        for name, place in _find_in_scripts(value, pointer):
            in_scripts.setdefault(name, []).append(place)
    for name, found in in_scripts.items():
        if name in places:
            places[name] += found
        else:
            _report(name, found, report, severity="warning")
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


def _find_in_scripts(value: Any, pointer: str) -> Iterator[tuple[str, _Place]]:  # noqa: ANN401
    """The name and place of what is likely a placeholder in the lines of a step."""
    if isinstance(value, list):
        for index, item in enumerate(value):
            yield from _find_in_scripts(item, join(pointer, index))
    if not isinstance(value, dict):
        return
    for key, item in value.items():
        if key != "inline":
            yield from _find_in_scripts(item, join(pointer, key))
            continue
        lines = [line if isinstance(line, str) else "" for line in (item if isinstance(item, list) else ())]
        script = "\n".join(lines)
        for index, line in enumerate(lines):
            for match in _IN_SCRIPT.finditer(line):
                if match[1] != match[1].lower() and f"</{match[1]}" not in script:
                    yield match[1], (join(join(pointer, key), index), match.start(), False)


def _report(name: str, places: list[_Place], report: Report, *, severity: Severity = "error") -> None:
    pointer, offset, is_key = places[0]
    lines = sorted({_line(place, report) for place in places})
    where = ""
    if len(lines) > 1:
        shown = ", ".join(map(str, lines[:_MOST_LINES]))
        where = f"; it stands in the lines {shown}" + (" and more" if len(lines) > _MOST_LINES else "")
    given = f'"{name}=VALUE"' if " " in name else f"{name}=VALUE"
    sure = severity == "error"
    report.add(
        severity,
        "Placeholder",
        f"'<{name}>' {'is still' if sure else 'looks as if it were'} to be filled in{where}",
        pointer,
        hint=f"give it: --var {given}, or {'write the value into the file' if sure else 'leave it as it is'}",
        key=is_key,
        inside=0 if is_key else offset,
    )


def _line(place: _Place, report: Report) -> int:
    pointer, _, is_key = place
    written = report.written_at(pointer)
    document = report.document
    return (document.locate_key(written) if is_key else document.locate(written)).line
