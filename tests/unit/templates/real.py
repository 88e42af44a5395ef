"""Templates that people really wrote (shared/data), read once for all tests."""

from __future__ import annotations

import functools
from pathlib import Path

from filled import arguments_for, variables_for
from published import SHARED

import templates
from templates.diagnostics import TemplateError
from templates.json_reader import parse_json

DATA = SHARED / "aib-templates"
FILES = sorted(DATA.rglob("*.json"))
READABLE = [path for path in FILES if not path.name.startswith("INVALID__")]
SCOPE = templates.DeploymentScope("SUB", "GRP", "westus")


@functools.cache
def examined(*, filled: bool, strict: bool) -> dict[Path, templates.Document | TemplateError]:
    """Each readable file, read: with what it leaves open filled in, or as it stands."""
    found: dict[Path, templates.Document | TemplateError] = {}
    for path in READABLE:
        text = path.read_text("utf-8-sig")
        values = {
            "variables": variables_for(text) if filled else {},
            "parameters": arguments_for(parse_json(text, path.name).value) if filled else {},
        }
        try:
            found[path] = templates.read(path, defaults=SCOPE, strict=strict, **values)
        except TemplateError as error:
            found[path] = error
    return found
