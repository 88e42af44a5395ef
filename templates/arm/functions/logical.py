"""Logical functions and comparisons: `if`, `and`, `equals`, `coalesce` and their kin."""

from __future__ import annotations

from typing import TYPE_CHECKING

from templates.arm.functions.registry import function
from templates.arm.functions.values import bad, boolean, is_int, order_key, quoted, same
from templates.arm.syntax import Json, Node, kind_of

if TYPE_CHECKING:
    from templates.arm.expressions import Evaluation

_WORDS = {"true": True, "false": False}


@function("if", 3, lazy=True, part=True)
def _if(evaluation: Evaluation, condition: Node, then: Node, otherwise: Node) -> Json:
    chosen = boolean(evaluation.value(condition), "the condition of if()")
    return evaluation.value(then if chosen else otherwise)


@function("and", 2, None, lazy=True, part=True)
def _and(evaluation: Evaluation, *parts: Node) -> Json:
    return all(boolean(evaluation.value(part), "each argument of and()") for part in parts)


@function("or", 2, None, lazy=True, part=True)
def _or(evaluation: Evaluation, *parts: Node) -> Json:
    return any(boolean(evaluation.value(part), "each argument of or()") for part in parts)


@function("not", 1)
def _not(value: Json) -> Json:
    return not boolean(value, "the argument of not()")


@function("bool", 1)
def _bool(value: Json) -> Json:
    if isinstance(value, bool):
        return value
    if is_int(value):
        return value != 0
    word = _WORDS.get(value.strip().casefold()) if isinstance(value, str) else None
    if word is None:
        shown = quoted(value) if isinstance(value, str) else kind_of(value)
        raise bad(f"bool(): {shown} is no bool", hint="it takes 'true', 'false' and ints")
    return word


@function("true")
def _true() -> Json:
    return True


@function("false")
def _false() -> Json:
    return False


@function("null")
def _null() -> Json:
    return None


@function("coalesce", 1, None, lazy=True, part=True)
def _coalesce(evaluation: Evaluation, *parts: Node) -> Json:
    return next((value for part in parts if (value := evaluation.value(part)) is not None), None)


@function("equals", 2, deep=True)
def _equals(left: Json, right: Json) -> Json:
    return same(left, right)


@function("less", 2)
def _less(left: Json, right: Json) -> Json:
    return _order(left, right, "less()") < 0


@function("lessOrEquals", 2)
def _less_or_equals(left: Json, right: Json) -> Json:
    return _order(left, right, "lessOrEquals()") <= 0


@function("greater", 2)
def _greater(left: Json, right: Json) -> Json:
    return _order(left, right, "greater()") > 0


@function("greaterOrEquals", 2)
def _greater_or_equals(left: Json, right: Json) -> Json:
    return _order(left, right, "greaterOrEquals()") >= 0


def _order(left: Json, right: Json, what: str) -> int:
    first, second = order_key(left, what), order_key(right, what)
    if isinstance(left, str) != isinstance(right, str):
        raise bad(f"{what} cannot compare {kind_of(left)} with {kind_of(right)}")
    return (first > second) - (first < second)
