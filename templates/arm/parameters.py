"""Values for the parameters of a deployment that come from outside: files and `--var`."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from templates.arm.definitions import ParameterError
from templates.arm.syntax import Json, kind_of
from templates.errors import UsageError
from templates.files import read_text
from templates.json_reader import parse_json
from templates.pointers import join

_INT = re.compile(r"-?[0-9]{1,19}", re.ASCII)


def load_parameters(path: Path) -> dict[str, Any]:
    """The values of a parameter file: ARM's `{"parameters": {"x": {"value": …}}}` or a plain object.

    What `bicep build-params` makes of a .bicepparam file counts, with or without its `--stdout`.
    Raises UsageError (file, form) or TemplateError (broken JSON, with its place).
    """
    if path.suffix.casefold() == ".bicepparam":
        hint = f"compile it first: bicep build-params {path.name}, which makes a JSON file"
        raise UsageError(f"{path}: a Bicep parameter file cannot be read as it is", hint=hint)
    text = read_text(path)
    document = parse_json(text, str(path))
    if isinstance(document.value, dict) and isinstance(document.value.get("parametersJson"), str):
        document = parse_json(document.value["parametersJson"], str(path))
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
        place = document.locate(join("/parameters", name))
        if isinstance(entry, dict) and "reference" in entry:
            message = f"{place}: the parameter '{name}' refers to a key vault, which is not reachable here"
            raise UsageError(message, hint='give its value: {"value": …}')
        raise UsageError(f"{place}: the parameter '{name}' has no value", hint='the form is {"value": …}')
    return values


def _looks_like_arm(body: dict[str, Any]) -> bool:
    entries = body.values()
    return bool(entries) and all(isinstance(e, dict) and ("value" in e or "reference" in e) for e in entries)


def from_text(name: str, kind: str, text: str) -> Json:
    """What `--var name=text` gives a parameter of the type `kind` (lower case; empty: any).

    Raises ParameterError, without the text: it may be a secret.
    """
    if kind == "int":
        if _INT.fullmatch(text.strip()):
            return int(text)
        raise ParameterError("BadParameter", f"--var {name}: the parameter is an int, the text is no number")
    if kind == "bool":
        if text.strip().casefold() in ("true", "false"):
            return text.strip().casefold() == "true"
        message = f"--var {name}: the parameter is a bool, and the text neither true nor false"
        raise ParameterError("BadParameter", message)
    if kind in ("array", "object", "secureobject"):
        wanted = "array" if kind == "array" else "object"
        try:
            value = json.loads(text, parse_constant=_refuse)
        except (ValueError, RecursionError):
            value = None
        if isinstance(value, list if wanted == "array" else dict):
            return value
        message = f"--var {name}: the parameter is an {wanted}, and the text is no JSON {wanted}"
        raise ParameterError("BadParameter", message, hint="or give it in a file: --parameters FILE")
    return text


def _refuse(word: str) -> Json:
    raise ValueError(word)  # NaN and Infinity are Python's, not JSON's
