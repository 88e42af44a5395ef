"""Fields that ARM itself reads are compared without case; here each gets its usual spelling."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from templates.pointers import join
from templates.repairs import Rename
from templates.report import Report

_OF_RESOURCE = (
    *("type", "name", "apiVersion", "properties", "resources", "dependsOn", "condition", "copy", "scope"),
    *("existing", "resourceGroup", "subscriptionId"),
)
_OF_TEMPLATE = (
    *("contentVersion", "languageVersion", "parameters", "variables", "functions", "definitions"),
    *("resources", "outputs"),
)


def spell_resource(body: Mapping[str, Any], pointer: str, report: Report) -> dict[str, Any]:
    """A resource with the fields that ARM reads in their usual spelling; places stay those of the file."""
    return _spelled(body, pointer, report, _OF_RESOURCE)


def spell_template(body: Mapping[str, Any], pointer: str, report: Report) -> dict[str, Any]:
    """The same for the sections of a template."""
    return _spelled(body, pointer, report, _OF_TEMPLATE)


def note_spelling(body: Mapping[str, Any], pointer: str, report: Report) -> None:
    """Warn about the fields of a resource that `spell_resource` spells anew."""
    for key, usual in _other_spellings(body, _OF_RESOURCE).items():
        at = join(pointer, key)
        message = f"the field is written '{usual}', not '{key}'"
        report.lenient("WrongCase", message, at, hint=f"write '{usual}'", key=True)
        report.repairs.append(Rename(report.written_at(at), usual))


def _spelled(body: Mapping[str, Any], pointer: str, report: Report, usual: tuple[str, ...]) -> dict[str, Any]:
    others = _other_spellings(body, usual)
    for key, name in others.items():
        report.alias(join(pointer, name), join(pointer, key))
    return {others.get(key, key): value for key, value in body.items()}


def _other_spellings(body: Mapping[str, Any], usual: tuple[str, ...]) -> dict[str, str]:
    """The keys of `body` that are one of `usual` but for their case, and have no such twin."""
    folded = {name.casefold(): name for name in usual if name not in body}
    found: dict[str, str] = {}
    for key in body:
        name = folded.get(key.casefold())
        if name is not None and name not in found.values():
            found[key] = name
    return found
