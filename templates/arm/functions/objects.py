"""Functions of objects, and the set functions of objects and arrays."""

from __future__ import annotations

import json
import math
import re
from typing import NoReturn

from templates.arm.functions.arrays import without_doubles
from templates.arm.functions.registry import function
from templates.arm.functions.values import array, bad, fits, identity, obj, same, text
from templates.arm.syntax import Json, kind_of

# The last branch eats what follows a quote that is never closed, so that the time stays linear.
_QUOTED = re.compile(r'"(?:[^"\\]|\\.)*"|\'((?:[^\'\\]|\\.)*)\'|["\'].*', re.DOTALL)


@function("createObject", 0, None)
def _create_object(*parts: Json) -> Json:
    if len(parts) % 2:
        raise bad("createObject() takes keys and values in turn: the last key has no value")
    pairs = zip(parts[::2], parts[1::2], strict=True)
    return object_of([(text(key, "each key of createObject()"), value) for key, value in pairs])


@function("items", 1)
def _items(value: Json) -> Json:
    """Sorted by key, as ARM does."""
    target = obj(value, "the argument of items()")
    return [{"key": key, "value": target[key]} for key in _sorted_keys(target)]


@function("objectKeys", 1)
def _object_keys(value: Json) -> Json:
    return _sorted_keys(obj(value, "the argument of objectKeys()"))


@function("shallowMerge", 1)
def _shallow_merge(value: Json) -> Json:
    """The objects of an array as one; the last of the same name counts, whatever is inside."""
    items = array(value, "the argument of shallowMerge()")
    given = [obj(item, "each item in shallowMerge()") for item in items]
    return object_of([pair for item in given for pair in item.items()])


@function("union", 1, None, deep=True)
def _union(*values: Json) -> Json:
    if all(isinstance(value, list) for value in values):
        return without_doubles([item for value in values for item in value])
    if not all(isinstance(value, dict) for value in values):
        raise bad(f"union() takes arrays, or objects: got {_kinds(values)}")
    result: dict[str, Json] = {}
    for value in values:
        result = _merged(result, value)
    return result


@function("intersection", 1, None, deep=True)
def _intersection(*values: Json) -> Json:
    if all(isinstance(value, list) for value in values):
        common = set.intersection(*({identity(item) for item in value} for value in values))
        return without_doubles([item for item in values[0] if identity(item) in common])
    if not all(isinstance(value, dict) for value in values):
        raise bad(f"intersection() takes arrays, or objects: got {_kinds(values)}")
    result: dict[str, Json] = values[0]
    for value in values[1:]:
        names = _names(value)
        result = {
            key: item
            for key, item in result.items()
            if (name := names.get(key.casefold())) is not None and same(item, value[name])
        }
    return result


@function("json", 1)
def _json(value: Json) -> Json:
    """The value a JSON text stands for; strings in single quotes are taken too, as ARM does."""
    return parse_json(text(value, "the argument of json()"), "json()")


def object_of(pairs: list[tuple[str, Json]]) -> dict[str, Json]:
    """An object of keys and values. Keys that differ in case only are one: the last value counts."""
    result: dict[str, Json] = {}
    names: dict[str, str] = {}
    for key, value in pairs:
        result[names.setdefault(key.casefold(), key)] = value
    return result


def parse_json(whole: str, what: str) -> Json:
    """The value of a JSON text. Raises ExpressionError."""

    def refuse(constant: str) -> NoReturn:
        raise bad(f"{what}: {constant} is no JSON")

    def to_int(digits: str) -> int:
        # int() of thousands of digits is slow, so the length is looked at first.
        return fits(int(digits) if len(digits) <= 20 else 2**64, what)

    def to_float(digits: str) -> float:
        return number if math.isfinite(number := float(digits)) else refuse(digits[:60])

    try:
        return json.loads(
            _double_quoted(whole), parse_constant=refuse, parse_int=to_int, parse_float=to_float
        )
    except json.JSONDecodeError as error:
        message = f"{what}: not JSON: {error.msg} at character {error.pos}"
    except RecursionError:
        message = f"{what}: nested too deeply"
    raise bad(message)


def _double_quoted(whole: str) -> str:
    if "'" not in whole:
        return whole

    def requote(match: re.Match[str]) -> str:
        if match[1] is None:
            return match.group()
        inner = match[1].replace("\\'", "'")
        return '"' + re.sub(r'(?<!\\)"', r"\"", inner) + '"'

    return _QUOTED.sub(requote, whole)


def _sorted_keys(target: dict[str, Json]) -> list[str]:
    return sorted(target, key=lambda key: (key.casefold(), key))


def _names(target: dict[str, Json]) -> dict[str, str]:
    """The keys of an object by what they are without case."""
    return {key.casefold(): key for key in target}


def _merged(left: dict[str, Json], right: dict[str, Json]) -> dict[str, Json]:
    """Objects inside are merged too; arrays and all other values are replaced."""
    result, names = dict(left), _names(left)
    for key, value in right.items():
        name = names.setdefault(key.casefold(), key)
        old = result.get(name)
        if isinstance(old, dict) and isinstance(value, dict):
            result[name] = _merged(old, value)
        else:
            result[name] = value
    return result


def _kinds(values: tuple[Json, ...]) -> str:
    return ", ".join(sorted({kind_of(value) for value in values}))
