"""`build validate --fix`: a template file rewritten to the newest API version.

Only what has to change does: names, spellings and values that older versions or lenient readers take,
trailing commas, read-only fields, and required fields that are missing. Comments stay, so that a file
with comments remains one for lenient readers. What came out of an expression or a variable is left
alone and said.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from templates.arm.scope import DeploymentScope
from templates.diagnostics import Diagnostic
from templates.edits import NotInFile, as_written, in_one_go
from templates.files import read_text
from templates.json_reader import JsonDocument, parse_json
from templates.pointers import is_under, last, parent
from templates.reader import examine
from templates.repairs import Insert, Remove, Rename, Repair, Replace
from templates.report import Report
from templates.versions import KNOWN

# Each round makes all repairs that do not touch each other; an object loses one member a round.
_MOST_ROUNDS = 50


@dataclass(frozen=True)
class FixResult:
    """A file after its repairs.

    `changes` are sentences for people, in the order of the work. `left` is what a strict reader still
    refuses in `text`, and what was meant to change but is not written in the file itself.
    """

    text: str
    changes: list[str]
    left: list[Diagnostic]


def fix_file(
    path: Path,
    *,
    variables: Mapping[str, str] | None = None,
    parameters: Mapping[str, Any] | None = None,
    defaults: DeploymentScope,
) -> FixResult:
    """The fixed text of a template file; the file itself stays as it is.

    The arguments are those of `templates.read`. Raises UnreadableFile, or TemplateError when the file
    is not JSON; other mistakes are no hindrance and come back in `left`.
    """
    return fix_text(read_text(path), str(path), variables=variables, parameters=parameters, defaults=defaults)


def fix_text(
    text: str,
    file: str,
    *,
    variables: Mapping[str, str] | None = None,
    parameters: Mapping[str, Any] | None = None,
    defaults: DeploymentScope,
) -> FixResult:
    """`fix_file` for a text; `file` is its name in diagnostics. Raises TemplateError."""
    changes: list[str] = []

    def look(*, strict: bool) -> Report:
        report = Report(parse_json(text, file, strict=strict), strict=strict)
        examine(report, variables=variables, parameters=parameters, defaults=defaults)
        return report

    for _ in range(_MOST_ROUNDS):
        text, commas = _without_trailing_commas(parse_json(text, file))
        if commas:
            changes.append(f"removed {commas} trailing comma{'s' if commas > 1 else ''}")
        report = look(strict=False)
        wanted, _ = _possible(report)
        text, done = in_one_go(wanted, report.document)
        changes.extend(map(_sentence, done))
        if not done:
            break
    _, notes = _possible(look(strict=False))
    complaints = [d for d in look(strict=True).finish() if d.severity == "error"]
    said = {d.location.pointer for d in complaints}
    return FixResult(text, changes, [*complaints, *(n for n in notes if n.location.pointer not in said)])


def _without_trailing_commas(document: JsonDocument) -> tuple[str, int]:
    text = document.text
    for offset in sorted(document.trailing_commas, reverse=True):
        text = text[:offset] + text[offset + 1 :]
    return text, len(document.trailing_commas)


def _possible(report: Report) -> tuple[list[Repair], list[Diagnostic]]:
    """The repairs that the file itself can take, and a note for each of the others."""
    document = report.document
    wanted: dict[str, Repair] = {}  # the turns of a copy loop ask for the same one
    notes: list[Diagnostic] = []
    stuck: dict[str, str] = {}  # resources whose API version cannot change, with that version
    for repair in sorted(report.repairs, key=lambda r: last(r.pointer) != "apiVersion"):
        if _is_native(repair, stuck):
            continue
        try:
            found = as_written(repair, document)
        except NotInFile:
            if isinstance(repair, Replace) and repair.old in KNOWN:
                stuck[parent(repair.pointer)] = str(repair.old)
            message = f"not fixed: {_what(repair)} does not stand in the file as such"
            place = document.locate(repair.pointer)
            hint = "change the expression or the value that it uses"
            notes.append(Diagnostic("warning", "NotFixed", message, place, hint))
        else:
            wanted.setdefault(repr(found), found)
    return list(wanted.values()), list(dict.fromkeys(notes))


def _is_native(repair: Repair, stuck: Mapping[str, str]) -> bool:
    """Whether the repair concerns a spelling that its resource's API version, which stays, wants."""
    if not isinstance(repair, Rename | Replace):
        return False
    versions: Iterable[str] = (v for at, v in stuck.items() if is_under(repair.pointer, at))
    return any(version in repair.native for version in versions)


def _sentence(repair: Repair) -> str:
    where = parent(repair.pointer) or "the template"
    if isinstance(repair, Rename):
        return f"{where}: '{last(repair.pointer)}' becomes '{repair.new}'"
    if isinstance(repair, Remove):
        return f"{where}: '{last(repair.pointer)}' goes, it is Azure's answer"
    if isinstance(repair, Insert):
        return f"{repair.pointer or 'the template'}: '{repair.name}' is added"
    if repair.new == [repair.old]:
        return f"{repair.pointer}: becomes an array of one"
    return f"{repair.pointer}: {json.dumps(repair.old)} becomes {json.dumps(repair.new)}"


def _what(repair: Repair) -> str:
    """What a repair is about, without its value: that may be the secret of a parameter."""
    if isinstance(repair, Insert):
        return f"the object that '{repair.name}' belongs into"
    return f"'{last(repair.pointer)}'"
