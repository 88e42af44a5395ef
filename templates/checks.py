"""Checks a resource against its model, in words a person understands.

Two passes over the same data, so that all problems appear at once: pydantic for types and values,
and a walk along the model for fields that nobody reads.
"""

from __future__ import annotations

import difflib
import json
from collections.abc import Mapping
from typing import Any

from pydantic import TypeAdapter, ValidationError

from templates.arm.expressions import kind_of
from templates.model.steps import ExtensionStep
from templates.model.walk import (
    by_identity,
    choose,
    fields_of,
    list_item,
    map_value,
    models_of,
    tags_of,
    type_at,
)
from templates.pointers import join
from templates.repairs import Remove
from templates.report import Report

_EXTENSION_FIELD = "x-goldsmith"
# Answered by Azure, never asked for; an exported template holds them.
_READ_ONLY = frozenset(
    {"id", "etag", "systemData", "provisioningState", "provisioningError", "lastRunStatus", "exactVersion",
     "exactStagingResourceGroup", "clientId", "principalId"}
)  # fmt: skip
_WANTED = {
    "string_type": "a string",
    "int_type": "an integer",
    "float_type": "a number",
    "bool_type": "true or false",
    "list_type": "an array",
    "dict_type": "an object",
    "model_type": "an object",
    "model_attributes_type": "an object",
    "int_from_float": "an integer",
}
_ECHO_LENGTH = 60


def validate(model: Any, data: Any, pointer: str, report: Report) -> Any:  # noqa: ANN401 - any model or union
    """`data` as `model` (a class or an annotated union), or None; every problem goes to the report."""
    find_unknown_fields(model, data, pointer, report)
    result, problems = parse(model, data)
    for problem in problems:
        _report(problem, model, data, pointer, report)
    return result


def parse(model: Any, data: Any) -> tuple[Any, list[Any]]:  # noqa: ANN401 - any model or union
    """`data` as `model`, or None and pydantic's list of errors."""
    try:
        # by_name=False: the Python spelling of a field is not a JSON field.
        return _adapter(model).validate_python(data, by_alias=True, by_name=False), []
    except ValidationError as error:
        return None, list(error.errors(include_url=False))


@by_identity
def _adapter(model: Any) -> TypeAdapter[Any]:  # noqa: ANN401 - any model or union
    return TypeAdapter(model)


# -- types and values -----------------------------------------------------------------------------


def _report(problem: Mapping[str, Any], model: Any, data: Any, base: str, report: Report) -> None:  # noqa: ANN401
    kind, context = problem["type"], problem.get("ctx", {})
    pointer, value, missing = _walk(problem["loc"], data, base)
    if kind == "missing":
        name = missing or str(problem["loc"][-1])
        hint = _meaning(type_at(model, problem["loc"][:-1]), name)
        report.error("MissingField", f"the field '{name}' is missing", pointer, hint=hint)
    elif kind in ("union_tag_invalid", "union_tag_not_found"):
        known = tags_of(type_at(model, problem["loc"]))
        _report_type(context, known, value, pointer, report)
    elif kind == "literal_error":
        allowed = [part.strip().strip("'") for part in context["expected"].replace(" or ", ", ").split(",")]
        advice = _closest(value, allowed) or f"allowed are: {', '.join(allowed)}"
        report.error("BadValue", f"{_echo(value)} is not allowed here", pointer, hint=advice)
    elif kind in _WANTED:
        message = f"expected {_WANTED[kind]}, found {kind_of(value)}"
        report.error("WrongType", message, pointer, hint=_type_hint(kind, value))
    elif kind in ("greater_than_equal", "less_than_equal"):
        word, limit = ("at least", context.get("ge")) if "ge" in context else ("at most", context.get("le"))
        report.error("BadValue", f"{_echo(value)} is out of range: {word} {limit} is allowed", pointer)
    elif kind == "string_pattern_mismatch":
        hint = "1 to 64 letters, digits, '-', '_' or '.'" if "1,64" in context["pattern"] else None
        message = f"{_echo(value)} does not match {context['pattern']}"
        report.error("BadValue", message, pointer, hint=hint)
    else:
        report.error("BadValue", f"{problem['msg']}: {_echo(value)}", pointer)


def _walk(loc: tuple[Any, ...], data: Any, pointer: str) -> tuple[str, Any, str | None]:  # noqa: ANN401
    """Follow pydantic's path, which also names the union member it took, through the data.

    Returns the pointer, the value there and the name of a field that the path wants but is not there.
    """
    for index, part in enumerate(loc):
        inside_list = isinstance(data, list) and isinstance(part, int) and part < len(data)
        if inside_list or (isinstance(data, dict) and part in data):
            data, pointer = data[part], join(pointer, part)
        elif index == len(loc) - 1 and isinstance(data, dict) and not str(part).startswith("["):
            return pointer, data, str(part)
    return pointer, data, None


def _meaning(annotation: Any, name: str) -> str | None:  # noqa: ANN401 - typing objects have no common type
    """What the field `name` of a model is for."""
    models = models_of(annotation)
    field = fields_of(models[0]).get(name) if len(models) == 1 else None
    return f"{name}: {field.description}" if field is not None and field.description else None


def _report_type(
    context: Mapping[str, Any],
    known: list[str],
    value: Any,  # noqa: ANN401 - any JSON value
    pointer: str,
    report: Report,
) -> None:
    """A discriminator (`type`, `scheme`) that is missing or names nothing."""
    field = str(context.get("discriminator", "'type'")).strip("'")
    field = field if field in ("type", "scheme") else "type"
    if not isinstance(value, dict):
        report.error("WrongType", f"expected an object, found {kind_of(value)}", pointer)
        return
    if field not in value:
        hint = f"it is one of: {', '.join(known)}"
        report.error("MissingField", f"the field '{field}' is missing", pointer, hint=hint)
        return
    found = value[field]
    hint = _closest(found, known) or f"known are: {', '.join(known)}"
    report.error("UnknownType", f"{_echo(found)} is no known {field}", join(pointer, field), hint=hint)


def _closest(value: Any, allowed: list[str]) -> str | None:  # noqa: ANN401 - any JSON value
    if not isinstance(value, str):
        return None
    folded = {name.casefold(): name for name in allowed}
    close = difflib.get_close_matches(value.casefold(), folded, n=1)
    if not close:
        return None
    name = folded[close[0]]
    same = close[0] == value.casefold()
    return f"did you mean '{name}'?" + (" upper and lower case count" if same else "")


def _type_hint(kind: str, value: Any) -> str | None:  # noqa: ANN401 - any JSON value
    if not isinstance(value, str):
        return None
    if kind == "bool_type" and value.casefold() in ("true", "false"):
        return f"write {value.casefold()} without quotes"
    if kind == "int_type" and value.strip().lstrip("-").isdigit():
        return f"write {value.strip()} without quotes"
    if kind == "list_type":
        return "write it in [ ]"
    return None


def _echo(value: Any) -> str:  # noqa: ANN401 - any JSON value
    text = json.dumps(value, ensure_ascii=False) if not isinstance(value, str) else f"'{value}'"
    return text if len(text) <= _ECHO_LENGTH else text[: _ECHO_LENGTH - 1] + "…"


# -- fields that nobody reads -----------------------------------------------------------------------


def find_unknown_fields(annotation: Any, data: Any, pointer: str, report: Report) -> None:  # noqa: ANN401
    """Report fields of `data` that its model does not have, all the way down.

    Lenient: one near a known name is an error (a typing mistake), another one a warning. Strict:
    every one is an error, Goldsmith's own extensions included.
    """
    if isinstance(data, list):
        inner = list_item(annotation)
        for index, item in enumerate(data if inner is not None else ()):
            find_unknown_fields(inner, item, join(pointer, index), report)
        return
    model = choose(annotation, data) if isinstance(data, dict) else None
    if model is None:
        inner = map_value(annotation) if isinstance(data, dict) else None
        for key, value in data.items() if inner is not None else ():
            find_unknown_fields(inner, value, join(pointer, key), report)
        return
    fields = fields_of(model)
    if report.strict and str(data.get("type", "")).startswith("x-"):
        message = f"the type '{data['type']}' is Goldsmith's own; Azure does not know it"
        report.error("Extension", message, join(pointer, "type"))
    for key, value in data.items():
        at = join(pointer, key)
        if key in fields:
            if report.strict and key == _EXTENSION_FIELD:
                message = f"'{key}' is Goldsmith's own; Azure does not know it"
                report.error("Extension", message, at, key=True)
            find_unknown_fields(fields[key].annotation, value, at, report)
        elif model is not ExtensionStep and key not in getattr(model, "carried_fields", ()):
            _report_unknown(key, at, list(fields), report)


def _report_unknown(key: str, pointer: str, known: list[str], report: Report) -> None:
    if key in _READ_ONLY and key not in known:
        report.lenient("ReadOnlyField", f"'{key}' is Azure's answer; it is not read here", pointer, key=True)
        report.repairs.append(Remove(report.written_at(pointer)))
        return
    if key.casefold() == "copy":  # one that is carried out is gone by now; without it something is missing
        message = "this makes nothing: a copy loop is an array of objects with 'name', 'count' and 'input'"
        hint = 'in an ARM deployment: "copy": [{"name": "customize", "count": 2, "input": {…}}]'
        report.error("BadCopy", message, pointer, hint=hint, key=True)
        return
    folded = {name.casefold(): name for name in known}
    near = difflib.get_close_matches(key.casefold(), folded, n=1, cutoff=0.78)
    severe = bool(near)
    hint = f"did you mean '{folded[near[0]]}'?" if near else f"known here are: {', '.join(sorted(known))}"
    message = f"the field '{key}' is not known here"
    if not severe and not report.strict:
        message += " and is not read"
    report.add(
        "error" if severe or report.strict else "warning",
        "UnknownField",
        message,
        pointer,
        hint=hint,
        key=True,
    )
