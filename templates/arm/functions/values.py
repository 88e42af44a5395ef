"""What functions share: the type of an argument, equality, order and text of values as in ARM."""

from __future__ import annotations

import json
from typing import TypeGuard

from templates.arm.syntax import MAX_INT, MIN_INT, ExpressionError, Json, kind_of


def bad(message: str, *, hint: str | None = None) -> ExpressionError:
    """The error of a function that cannot work with its arguments."""
    return ExpressionError("BadArguments", message, hint=hint)


def quoted(value: str) -> str:
    """`value` for a message: whole, so that a secret in it is still found and hidden, or not at all."""
    return f"'{value}'" if len(value) <= 60 else f"a text of {len(value)} characters"


def text(value: Json, what: str) -> str:
    """`value`, which must be a string. Raises ExpressionError."""
    if not isinstance(value, str):
        raise bad(f"{what} must be a string, not {kind_of(value)}")
    return value


def integer(value: Json, what: str) -> int:
    """`value`, which must be an int. Raises ExpressionError."""
    if not is_int(value):
        raise bad(f"{what} must be an int, not {kind_of(value)}")
    return value


def boolean(value: Json, what: str) -> bool:
    """`value`, which must be a bool. Raises ExpressionError."""
    if not isinstance(value, bool):
        raise bad(f"{what} must be a bool, not {kind_of(value)}")
    return value


def array(value: Json, what: str) -> list[Json]:
    """`value`, which must be an array. Raises ExpressionError."""
    if not isinstance(value, list):
        raise bad(f"{what} must be an array, not {kind_of(value)}")
    return value


def obj(value: Json, what: str) -> dict[str, Json]:
    """`value`, which must be an object. Raises ExpressionError."""
    if not isinstance(value, dict):
        raise bad(f"{what} must be an object, not {kind_of(value)}")
    return value


def is_int(value: Json) -> TypeGuard[int]:
    """Whether `value` is an int; Python takes True for one, JSON does not."""
    return isinstance(value, int) and not isinstance(value, bool)


def fits(value: int, what: str) -> int:
    """`value`, when it has 64 bits at most, as ints of ARM. Raises ExpressionError."""
    if not MIN_INT <= value <= MAX_INT:
        raise bad(f"{what}: the result does not fit into an int of 64 bits")
    return value


def find_key(target: dict[str, Json], key: str) -> str | None:
    """The key of `target` that is `key` but for its case; the very same one goes first."""
    if key in target:
        return key
    folded = key.casefold()
    return next((name for name in target if name.casefold() == folded), None)


def same(left: Json, right: Json) -> bool:
    """Equality of `equals()`: strings with their case, objects in any order, 1 is neither true nor 1.0."""
    if isinstance(left, dict) and isinstance(right, dict):
        return left.keys() == right.keys() and all(same(value, right[key]) for key, value in left.items())
    if isinstance(left, list) and isinstance(right, list):
        return len(left) == len(right) and all(map(same, left, right))
    return type(left) is type(right) and bool(left == right)


def identity(value: Json) -> str:
    """A text that two values share only when they are the same(); finds duplicates in one pass."""
    return json.dumps(value, sort_keys=True)


def order_key(value: Json, what: str) -> tuple[float | str, str]:
    """What `less()` and the like compare: numbers, or strings. Raises ExpressionError.

    ARM compares strings as .NET's invariant culture does: `a` < `A` < `b`. That is what this gives
    for letters and digits; the culture's finer rules (accents, hyphens) are left out.
    """
    if isinstance(value, str):
        return value.casefold(), value.swapcase()
    if isinstance(value, int | float) and not isinstance(value, bool):
        return value, ""
    raise bad(f"{what} compares numbers or strings, not {kind_of(value)}")


def to_json(value: Json) -> str:
    """`value` as JSON without spaces, as `string()` writes arrays and objects."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def display(value: Json) -> str:
    """A value inside a text, as .NET writes it: `True`, not `true`; null is nothing."""
    if isinstance(value, str):
        return value
    if value is None:
        return ""
    if isinstance(value, bool | int | float):
        return str(value)
    return to_json(value)


def to_utf8(value: str) -> bytes:
    """The UTF-8 of a string; half of a surrogate pair, possible in JSON, becomes U+FFFD as in .NET."""
    try:
        return value.encode()
    except UnicodeEncodeError:
        return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace").encode()
