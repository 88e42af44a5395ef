"""Computes ARM template expressions: the value of `[concat('a', parameters('b').c[0])]`.

Names of functions and of properties are compared without case. Values are JSON, never Python
objects, and the functions reach nothing but the `Context`: no file, no network.
"""

from __future__ import annotations

import difflib
import functools
from collections.abc import Mapping
from dataclasses import dataclass

from templates.arm import functions
from templates.arm.budget import Budget
from templates.arm.context import Context
from templates.arm.functions.values import find_key, is_int
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
    "Evaluation",
    "ExpressionError",
    "Json",
    "evaluate",
    "get_property",
    "is_expression",
    "kind_of",
    "parse",
    "try_property",
    "unescape",
]

# Copy loops evaluate the same text hundreds of times.
_parse = functools.lru_cache(maxsize=512)(parse)


@dataclass(frozen=True, slots=True)
class Evaluation:
    """Computes trees for one deployment. `variables` are those of the lambdas around, by folded name."""

    context: Context
    variables: Mapping[str, Json]

    def value(self, node: Node) -> Json:
        """The value of a tree. Raises ExpressionError with the offset of the part that failed."""
        match node:
            case Literal(value):
                return value
            case Access():
                return self._access(node)
            case Call():
                try:
                    return self._call(node)
                except ExpressionError as error:
                    if not error.offset and error.pointer is None:
                        error.offset = node.offset
                    raise

    def _access(self, node: Access) -> Json:
        target = self.value(node.target)
        if target is None and (node.safe or _is_guarded(node.target)):
            return None
        key = self.value(node.key)
        return try_property(target, key) if node.safe else get_property(target, key, node.offset)

    def _call(self, node: Call) -> Json:
        if not node.namespace:
            return functions.call(node, self)
        budget = self.context.budget
        budget.spend()
        arguments = [self.value(argument) for argument in node.arguments]
        return budget.check(self.context.user_function(node.namespace, node.name, arguments))


def evaluate(text: str, context: Context) -> Json:
    """The value of an expression string (brackets included). Raises ExpressionError.

    The result may be a part of a parameter or variable: it must not be changed.
    """
    context.budget.spend(1 + len(text) // 64)
    try:
        return Evaluation(context, {}).value(_parse(text))
    except RecursionError:
        raise ExpressionError("TooComplex", "expressions refer to each other too deeply") from None


def get_property(target: Json, key: Json, offset: int = 0) -> Json:
    """`target.key`, names compared without case. Raises ExpressionError naming what there is."""
    if isinstance(target, dict) and isinstance(key, str):
        name = find_key(target, key)
        if name is not None:
            return target[name]
        close = difflib.get_close_matches(key, target, n=1)
        hint = f"did you mean '{close[0]}'?" if close else _properties(target)
        raise ExpressionError("UnknownProperty", f"there is no property '{key}'", offset=offset, hint=hint)
    if isinstance(target, list) and is_int(key):
        if 0 <= key < len(target):
            return target[key]
        message = f"the index {key} is outside of an array of {len(target)}"
        raise ExpressionError("BadIndex", message, offset=offset)
    wanted = f"property '{key}'" if isinstance(key, str) else f"index {key}" if is_int(key) else kind_of(key)
    raise ExpressionError("BadIndex", f"{kind_of(target)} has no {wanted}", offset=offset)


def try_property(target: Json, key: Json) -> Json:
    """`target.?key`: null where `get_property` would raise."""
    try:
        return get_property(target, key)
    except ExpressionError:
        return None


def _properties(target: dict[str, Json]) -> str:
    names = list(target)[:20]
    more = ", …" if len(target) > len(names) else ""
    return f"there are: {', '.join(names) or 'none'}{more}"


def _is_guarded(node: Node) -> bool:
    """Whether a `.?` stands earlier in a chain: `a.?b.c` is null when there is no `b`."""
    while isinstance(node, Access):
        if node.safe:
            return True
        node = node.target
    return False
