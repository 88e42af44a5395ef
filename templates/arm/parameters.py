"""Values for the parameters of a deployment that come from outside: files and `--var`."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from templates.arm.definitions import ParameterError
from templates.arm.syntax import Json, kind_of
from templates.diagnostics import Diagnostic, TemplateError
from templates.errors import UsageError
from templates.files import read_text
from templates.json_reader import JsonDocument, parse_json
from templates.pointers import join

_FORM = 'the form is {"parameters": {"name": {"value": …}}}'
_INT = re.compile(r"-?[0-9]{1,19}", re.ASCII)


def load_parameters(path: Path) -> dict[str, Any]:
    """The values of a parameter file: ARM's `{"parameters": {"x": {"value": …}}}` or a plain object.

    What `bicep build-params` makes of a .bicepparam file counts, with or without its `--stdout`.
    Raises UsageError (no such file), or TemplateError with everything that is wrong in it.
    """
    if path.suffix.casefold() == ".bicepparam":
        hint = f"compile it first: bicep build-params {path.name}, which makes a JSON file"
        raise UsageError(f"{path}: a Bicep parameter file cannot be read as it is", hint=hint)
    document = parse_json(read_text(path), str(path))
    if isinstance(document.value, dict) and isinstance(document.value.get("parametersJson"), str):
        document = parse_json(document.value["parametersJson"], str(path))
    value = document.value
    if not isinstance(value, dict):
        raise _wrong(document, "", f"a parameter file holds a JSON object, not {kind_of(value)}")
    if not _is_arm(value):
        return dict(value)
    if not isinstance(value["parameters"], dict):
        message = f"'parameters' must be an object, not {kind_of(value['parameters'])}"
        raise _wrong(document, "/parameters", message, hint=_FORM)
    problems = [_problem(document, name, entry) for name, entry in value["parameters"].items()]
    found = [problem for problem in problems if problem is not None]
    if found:
        raise TemplateError(found)
    return {name: entry["value"] for name, entry in value["parameters"].items()}


def _is_arm(value: dict[str, Any]) -> bool:
    """Whether it is ARM's form, not an object of plain values of which one is called `parameters`."""
    if "parameters" not in value:
        return False
    body = value["parameters"]
    entries = list(body.values()) if isinstance(body, dict) else []
    looks_like = bool(entries) and all(
        isinstance(e, dict) and ("value" in e or "reference" in e) for e in entries
    )
    return looks_like or len(value) == 1 or "$schema" in value or "contentVersion" in value


def _problem(document: JsonDocument, name: str, entry: Json) -> Diagnostic | None:
    """What is wrong with the entry of one parameter."""
    place = document.locate(join("/parameters", name))
    if isinstance(entry, dict) and "value" in entry:
        return None
    if isinstance(entry, dict) and "reference" in entry:
        message = f"the parameter '{name}' refers to a key vault, which is not reachable here"
        return Diagnostic(
            "error", "NeedsAzure", message, place, 'give its value: {"value": …}', is_quotable=False
        )
    message = f"the parameter '{name}' has no value"
    # What stands there may be the value itself, and that one may be secret.
    return Diagnostic(
        "error", "MissingParameter", message, place, 'the form is {"value": …}', is_quotable=False
    )


def _wrong(document: JsonDocument, pointer: str, message: str, *, hint: str | None = None) -> TemplateError:
    place = document.locate(pointer)
    return TemplateError([Diagnostic("error", "WrongType", message, place, hint, is_quotable=False)])


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
