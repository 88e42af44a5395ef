"""Parameters of an ARM deployment: their values, types and limits."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from templates.arm.expressions import Json, kind_of
from templates.errors import UsageError
from templates.files import read_text
from templates.json_reader import parse_json

SECURE = ("securestring", "secureobject")
_TYPES: dict[str, tuple[type, ...]] = {
    "string": (str,),
    "securestring": (str,),
    "int": (int,),
    "bool": (bool,),
    "object": (dict,),
    "secureobject": (dict,),
    "array": (list,),
}


class ParameterError(Exception):
    """What is wrong with one parameter. `key` is the part of its definition that says so, or `""`."""

    def __init__(self, code: str, message: str, *, key: str = "", hint: str | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.key = key
        self.hint = hint


def load_parameters(path: Path) -> dict[str, Any]:
    """The values of a parameter file: ARM's `{"parameters": {"x": {"value": …}}}` or a plain object.

    Raises UsageError (file, form) or TemplateError (broken JSON, with its place).
    """
    document = parse_json(read_text(path), str(path))
    if not isinstance(document.value, dict):
        raise UsageError(f"{path}: a parameter file holds a JSON object, not {kind_of(document.value)}")
    body = document.value.get("parameters")
    if not isinstance(body, dict) or not ("$schema" in document.value or _looks_like_arm(body)):
        return dict(document.value)
    values: dict[str, Any] = {}
    for name, entry in body.items():
        if isinstance(entry, dict) and "value" in entry:
            values[name] = entry["value"]
            continue
        place = document.locate(f"/parameters/{name}")
        if isinstance(entry, dict) and "reference" in entry:
            message = f"{place}: the parameter '{name}' refers to a key vault, which is not reachable here"
            raise UsageError(message, hint='give its value: {"value": …}')
        raise UsageError(f"{place}: the parameter '{name}' has no value", hint='the form is {"value": …}')
    return values


def _looks_like_arm(body: dict[str, Any]) -> bool:
    entries = body.values()
    return bool(entries) and all(isinstance(e, dict) and ("value" in e or "reference" in e) for e in entries)


def type_of(definition: Mapping[str, Any]) -> str:
    """The declared type, lower case; `""` when there is none or an unknown one."""
    kind = definition.get("type")
    lowered = kind.casefold() if isinstance(kind, str) else ""
    return lowered if lowered in _TYPES else ""


def is_secure(definition: Mapping[str, Any]) -> bool:
    """Whether the value must never be shown."""
    return type_of(definition) in SECURE


def check_definition(name: str, definition: Json) -> None:
    """Raise ParameterError when a definition has no known `type`."""
    if not isinstance(definition, dict):
        raise ParameterError("BadParameter", f"the parameter '{name}' must be an object with a type")
    if "$ref" in definition or type_of(definition):
        return
    kind = definition.get("type")
    close = difflib.get_close_matches(str(kind).casefold(), _TYPES, n=1)
    hint = f"did you mean '{close[0]}'?" if close else f"the types are {', '.join(_TYPES)}"
    message = f"the parameter '{name}' has no type" if kind is None else f"'{kind}' is no type of a parameter"
    raise ParameterError("BadParameter", message, key="" if kind is None else "type", hint=hint)


def check_value(name: str, definition: Mapping[str, Any], value: Json) -> None:
    """Raise ParameterError when `value` breaks a rule of its definition. Secrets are never quoted."""
    expected = _TYPES.get(type_of(definition))
    if expected is None:
        return
    if not isinstance(value, expected) or (isinstance(value, bool) and bool not in expected):
        message = f"the parameter '{name}' must be {_article(definition['type'])}, not {kind_of(value)}"
        raise ParameterError("BadParameter", message)
    shown = "the value" if is_secure(definition) else f"{value!r}"
    allowed = definition.get("allowedValues")
    if isinstance(allowed, list) and not _allowed(value, allowed):
        hint = None if is_secure(definition) else f"allowed are: {', '.join(map(str, allowed))}"
        raise ParameterError("BadParameter", f"{shown} is not allowed for the parameter '{name}'", hint=hint)
    measured, unit = (value, "") if isinstance(value, int) else (_length(value), " long")
    noun = "Value" if isinstance(value, int) else "Length"
    least, most = definition.get(f"min{noun}"), definition.get(f"max{noun}")
    for limit, wrong, word in (
        (least, isinstance(least, int) and measured < least, "at least"),
        (most, isinstance(most, int) and measured > most, "at most"),
    ):
        if wrong:
            found = "" if is_secure(definition) else f", not {measured}"
            message = f"the parameter '{name}' must be {word} {limit}{unit}{found}"
            raise ParameterError("BadParameter", message)


def secrets_in(value: Json) -> list[str]:
    """Every string in the value of a secure parameter."""
    if isinstance(value, str):
        return [value] if value else []
    if isinstance(value, dict):
        return [secret for item in value.values() for secret in secrets_in(item)]
    if isinstance(value, list):
        return [secret for item in value for secret in secrets_in(item)]
    return []


def _allowed(value: Json, allowed: list[Json]) -> bool:
    if isinstance(value, list):  # an array may hold any subset
        return value in allowed or all(item in allowed for item in value)
    return value in allowed


def _length(value: Json) -> int:
    return len(value) if isinstance(value, str | list | dict) else 0


def _article(word: str) -> str:
    return f"an {word}" if word[0].casefold() in "aio" else f"a {word}"
