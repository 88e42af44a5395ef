"""The published schemas (shared/data/schemas) in a form that can be asked and validated with.

They cannot be used as they are: every polymorphic type is a base that forbids more properties, and a
derived type that has more. Base and derived are merged here (aib-template, the caution at its head).
"""

from __future__ import annotations

import functools
import json
import os
from pathlib import Path
from typing import Any

import pytest

SHARED = Path(__file__).parents[3] / ".." / "shared" / "data"
SCHEMAS = SHARED / "schemas"


def require_shared_data() -> None:
    """They lie beside the checkout, not in it; a user's machine has none, CI must."""
    if not SCHEMAS.exists() and not os.environ.get("CI"):
        pytest.skip("no shared/data beside this checkout")


@functools.cache
def published(version: str) -> dict[str, Any]:
    """The schema of an API version, as it was published."""
    return json.loads((SCHEMAS / f"{version}.Microsoft.VirtualMachineImages.json").read_text())


def _derived(definition: dict[str, Any]) -> dict[str, str] | None:
    """For a polymorphic definition: value of its tag -> name of the derived definition."""
    parts = definition.get("allOf", [])
    if len(parts) != 2 or "oneOf" not in parts[1]:
        return None
    found = {}
    for choice in parts[1]["oneOf"]:
        reference, tag = choice["allOf"]
        (const,) = [rule["const"] for rule in tag["properties"].values()]
        found[const] = reference["$ref"].rpartition("/")[2]
    return found


@functools.cache
def objects(version: str) -> dict[str, dict[str, Any]]:
    """Name of a definition -> its properties, those of its base included, and which are required."""
    schema = published(version)
    definitions = {**schema["definitions"], "imageTemplates": schema["resourceDefinitions"]["imageTemplates"]}
    result = {
        name: {"properties": d.get("properties", {}), "required": set(d.get("required", ()))}
        for name, d in definitions.items()
        if "allOf" not in d
    }
    for definition in definitions.values():
        base = definition.get("allOf", [{}])[0]
        for derived in (_derived(definition) or {}).values():
            own = result[derived]
            own["properties"] = {**base["properties"], **own["properties"]}
            own["required"] |= set(base["required"])
    return result


def tags(version: str, definition: str) -> dict[str, str]:
    """The values of the tag of a polymorphic definition, each with its derived definition."""
    return _derived(published(version)["definitions"][definition]) or {}


@functools.cache
def merged(version: str) -> dict[str, Any]:
    """A schema for one image template that a validator can use."""
    schema = published(version)
    known = objects(version)
    definitions: dict[str, Any] = {}
    for name, definition in {**schema["definitions"]}.items():
        derived = _derived(definition)
        if derived is None:
            definitions[name] = _closed(known[name])
        else:
            tag = "scheme" if "scheme" in definition["allOf"][0]["properties"] else "type"
            definitions[name] = {
                "type": "object",
                "required": [tag],
                "properties": {tag: {"enum": list(derived)}},
                "allOf": [
                    {
                        "if": {"properties": {tag: {"const": value}}, "required": [tag]},
                        "then": {"$ref": f"#/definitions/{target}"},
                    }
                    for value, target in derived.items()
                ],
            }
    return {**_closed(known["imageTemplates"]), "definitions": definitions}


def _closed(known: dict[str, Any]) -> dict[str, Any]:
    return {
        "type": "object",
        "additionalProperties": False,
        "required": sorted(known["required"]),
        "properties": {name: _literal(rule) for name, rule in known["properties"].items()},
    }


def _literal(rule: dict[str, Any]) -> dict[str, Any]:
    """The rule without the way out into expressions, which are resolved before anybody validates."""
    if "oneOf" in rule:
        rule = rule["oneOf"][0]
    rule = {key: value for key, value in rule.items() if key != "description"}
    if "pattern" in rule:  # Python takes '9-_' for a range that runs backwards
        rule["pattern"] = rule["pattern"].replace("9-_", r"9\-_")
    for inner in ("items", "additionalProperties"):
        if isinstance(rule.get(inner), dict):
            rule[inner] = _literal(rule[inner])
    return rule
