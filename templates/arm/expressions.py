"""Computes ARM template expressions: the value of `[concat('a', parameters('b').c[0])]`."""

from __future__ import annotations

import difflib

from templates.arm.budget import Budget
from templates.arm.context import Context
from templates.arm.syntax import (
    Access,
    Call,
    ExpressionError,
    Json,
    Literal,
    Node,
    is_expression,
    kind_of,
    parse,
    unescape,
)

__all__ = [
    "Budget",
    "Context",
    "ExpressionError",
    "Json",
    "evaluate",
    "get_property",
    "is_expression",
    "kind_of",
    "parse",
    "unescape",
]


def evaluate(text: str, context: Context) -> Json:
    """The value of an expression string (brackets included). Raises ExpressionError."""
    return _value(parse(text), context)


def get_property(target: Json, key: Json, offset: int = 0) -> Json:
    """`target.key`, names compared without case. Raises ExpressionError naming what there is."""
    if isinstance(target, dict) and isinstance(key, str):
        for name, value in target.items():
            if name.casefold() == key.casefold():
                return value
        close = difflib.get_close_matches(key, target, n=1)
        hint = f"did you mean '{close[0]}'?" if close else f"there are: {', '.join(target) or 'none'}"
        raise ExpressionError("UnknownProperty", f"there is no property '{key}'", offset=offset, hint=hint)
    if isinstance(target, list) and isinstance(key, int) and not isinstance(key, bool):
        if 0 <= key < len(target):
            return target[key]
        message = f"the index {key} is outside of an array of {len(target)}"
        raise ExpressionError("BadIndex", message, offset=offset)
    wanted = f"property '{key}'" if isinstance(key, str) else f"index {key}"
    raise ExpressionError("BadIndex", f"{kind_of(target)} has no {wanted}", offset=offset)


def _value(node: Node, context: Context) -> Json:
    from templates.arm.functions import call_function

    match node:
        case Literal(value):
            return value
        case Access(target, key, offset, _):
            return get_property(_value(target, context), _value(key, context), offset)
        case Call(name, arguments, offset, _):
            values = [_value(argument, context) for argument in arguments]
            try:
                return call_function(name, values, context)
            except ExpressionError as error:
                if not error.offset and error.pointer is None:
                    error.offset = offset
                raise
