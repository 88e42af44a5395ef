"""Computes ARM template expressions: the value of `[concat('a', parameters('b').c[0])]`.

Names of functions and of properties are compared without case. Values are JSON, never Python
objects, and the functions reach nothing but the `Context`: no file, no network.
"""

from __future__ import annotations

import difflib
import functools
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import islice

from templates.arm import functions
from templates.arm.budget import SIZE_OF_A_STEP, Budget
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

# Copy loops evaluate the same text hundreds of times; trees of long ones would fill the memory.
_parse_again = functools.lru_cache(maxsize=512)(parse)
_LONG = 1000


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
        steps = 1 + len(target) // SIZE_OF_A_STEP if isinstance(target, dict) else 1
        self.context.budget.spend(steps)
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
    context.budget.spend(1 + len(text) // SIZE_OF_A_STEP)
    try:
        return Evaluation(context, {}).value(parse(text) if len(text) > _LONG else _parse_again(text))
    except RecursionError:
        raise ExpressionError("TooComplex", "expressions refer to each other too deeply") from None


def get_property(target: Json, key: Json, offset: int = 0) -> Json:
    """`target.key`, names compared without case. Raises ExpressionError naming what there is."""
    found, value = _look_up(target, key)
    if found:
        return value
    if isinstance(target, dict) and isinstance(key, str):
        names = list(islice(target, 100))  # looking for a similar name takes long in a large object
        close = difflib.get_close_matches(key, names, n=1)
        hint = f"did you mean '{close[0]}'?" if close else f"there are: {', '.join(names[:20]) or 'none'}"
        raise ExpressionError("UnknownProperty", f"there is no property '{key}'", offset=offset, hint=hint)
    if isinstance(target, list) and is_int(key):
        message = f"the index {key} is outside of an array of {len(target)}"
        raise ExpressionError("BadIndex", message, offset=offset)
    if not isinstance(key, str) and not is_int(key):
        message = f"{kind_of(key)} is neither the name of a property nor an index"
        raise ExpressionError("BadIndex", message, offset=offset)
    wanted = f"property '{key}'" if isinstance(key, str) else f"index {key}"
    raise ExpressionError("BadIndex", f"{kind_of(target)} has no {wanted}", offset=offset)


def try_property(target: Json, key: Json) -> Json:
    """`target.?key`: null where `get_property` would raise."""
    return _look_up(target, key)[1]


def _look_up(target: Json, key: Json) -> tuple[bool, Json]:
    """Whether there is such a property or item, and its value."""
    if isinstance(target, dict) and isinstance(key, str):
        name = find_key(target, key)
        return (False, None) if name is None else (True, target[name])
    if isinstance(target, list) and is_int(key) and 0 <= key < len(target):
        return True, target[key]
    return False, None


def _is_guarded(node: Node) -> bool:
    """Whether a `.?` stands earlier in a chain: `a.?b.c` is null when there is no `b`."""
    while isinstance(node, Access):
        if node.safe:
            return True
        node = node.target
    return False
