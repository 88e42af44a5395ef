"""Numeric functions. Ints have 64 bits; a result that does not fit is an error, as in ARM."""

from __future__ import annotations

import math
import re

from templates.arm.functions.registry import function
from templates.arm.functions.values import bad, fits, integer, is_int, quoted
from templates.arm.syntax import Json, kind_of

_INT = re.compile(r"\s*[+-]?\d{1,19}\s*", re.ASCII)
_FLOAT = re.compile(r"\s*[+-]?(\d{1,300}(\.\d{0,300})?|\.\d{1,300})([eE][+-]?\d{1,4})?\s*", re.ASCII)


@function("add", 2)
def _add(left: Json, right: Json) -> Json:
    return fits(_operand(left, "add()") + _operand(right, "add()"), "add()")


@function("sub", 2)
def _sub(left: Json, right: Json) -> Json:
    return fits(_operand(left, "sub()") - _operand(right, "sub()"), "sub()")


@function("mul", 2)
def _mul(left: Json, right: Json) -> Json:
    return fits(_operand(left, "mul()") * _operand(right, "mul()"), "mul()")


@function("div", 2)
def _div(left: Json, right: Json) -> Json:
    return fits(_divide(left, right, "div()")[0], "div()")


@function("mod", 2)
def _mod(left: Json, right: Json) -> Json:
    return _divide(left, right, "mod()")[1]


@function("int", 1)
def _int(value: Json) -> Json:
    if is_int(value):
        return value
    if isinstance(value, float) and math.isfinite(value):
        return fits(round(value), "int()")  # .NET rounds half to even too
    if isinstance(value, str) and _INT.fullmatch(value):
        return fits(int(value), "int()")
    shown = quoted(value) if isinstance(value, str) else kind_of(value)
    raise bad(f"int(): {shown} is no int")


@function("float", 1)
def _float(value: Json) -> Json:
    if isinstance(value, int | float) and not isinstance(value, bool):
        return float(value)
    if isinstance(value, str) and _FLOAT.fullmatch(value) and math.isfinite(number := float(value)):
        return number
    shown = quoted(value) if isinstance(value, str) else kind_of(value)
    raise bad(f"float(): {shown} is no number")


@function("min", 1, None)
def _min(*values: Json) -> Json:
    return min(_numbers(values, "min()"))


@function("max", 1, None)
def _max(*values: Json) -> Json:
    return max(_numbers(values, "max()"))


def _operand(value: Json, what: str) -> int:
    return integer(value, f"each operand of {what}")


def _divide(left: Json, right: Json, what: str) -> tuple[int, int]:
    """Quotient and rest, cut towards zero as in C#: Python rounds down."""
    dividend, divisor = _operand(left, what), _operand(right, what)
    if divisor == 0:
        raise bad(f"{what}: division by zero")
    quotient = abs(dividend) // abs(divisor) * (1 if (dividend < 0) == (divisor < 0) else -1)
    return quotient, dividend - quotient * divisor


def _numbers(values: tuple[Json, ...], what: str) -> list[int]:
    """The ints among the arguments, those in arrays included."""
    items = [item for value in values for item in (value if isinstance(value, list) else [value])]
    if not items:
        raise bad(f"{what} of nothing")
    return [integer(item, f"each value of {what}") for item in items]
