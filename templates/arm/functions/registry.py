"""Which functions there are, and how one is called.

A new one is one registration: `@function("toLower", 1)` above a plain Python function. Arguments
arrive evaluated; what is wrong with them is raised as ExpressionError.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from templates.arm.budget import SIZE_OF_A_STEP, measure, refuse_above
from templates.arm.syntax import Call, ExpressionError, Json

if TYPE_CHECKING:
    from templates.arm.expressions import Evaluation

Implementation = Callable[..., Json]


@dataclass(frozen=True, slots=True)
class Function:
    """One function: how it is spelled, what it takes, what it does."""

    name: str
    call: Implementation
    least: int
    most: int | None
    context: bool
    lazy: bool
    part: bool
    deep: bool


REGISTRY: dict[str, Function] = {}


def function(
    name: str,
    least: int = 0,
    most: int | None = -1,
    *,
    context: bool = False,
    lazy: bool = False,
    part: bool = False,
    deep: bool = False,
) -> Callable[[Implementation], Implementation]:
    """Register a function that takes `least` to `most` arguments (None: any number; default: `least`).

    With `context` the deployment comes first. With `lazy` the Evaluation comes first and the
    arguments arrive as trees. The last two are about cost: `part` says that the result is a part of
    an argument or has no size, `deep` that the arguments are compared down to their leaves.
    """

    def register(call: Implementation) -> Implementation:
        limit = least if most == -1 else most
        REGISTRY[name.casefold()] = Function(name, call, least, limit, context, lazy, part, deep)
        return call

    return register


def call(node: Call, evaluation: Evaluation) -> Json:
    """The value of a call. Raises ExpressionError; for an unknown function it names a similar one."""
    found = find(node.name)
    count = len(node.arguments)
    if count < found.least or (found.most is not None and count > found.most):
        raise ExpressionError("BadArguments", f"{found.name}() takes {_arity(found)}, got {count}")
    budget = evaluation.context.budget
    budget.spend()
    if found.lazy:
        value = found.call(evaluation, *node.arguments)
        return value if found.part else budget.pay(value)
    arguments = _evaluated(node, evaluation)
    if found.context:
        value = budget.check(found.call(evaluation.context, *arguments))
        evaluation.context.note_secrets(arguments, value)
        return value
    for argument in arguments:
        if found.deep:
            budget.spend(measure(argument) // SIZE_OF_A_STEP)
        elif isinstance(argument, str | list):
            budget.spend(len(argument) // SIZE_OF_A_STEP)
    value = found.call(*arguments)
    if not found.part:
        budget.pay(value)
    evaluation.context.note_secrets(arguments, value)
    return value


def _evaluated(node: Call, evaluation: Evaluation) -> list[Json]:
    """The arguments; a long row of large ones is refused before all of them are made."""
    values: list[Json] = []
    size = 0
    for argument in node.arguments:
        value = evaluation.value(argument)
        values.append(value)
        if isinstance(value, str | list):
            size += len(value) * (1 if isinstance(value, str) else 8)
            refuse_above(size)
    return values


def find(name: str) -> Function:
    """The function called `name`, in any case. Raises ExpressionError when there is none."""
    folded = name.casefold()
    # list* are actions of resource types, too many to name: listKeys, listAccountSas, listSecrets ...
    found = REGISTRY.get(folded) or (REGISTRY["list"] if folded.startswith("list") else None)
    if found is not None:
        return found
    close = difflib.get_close_matches(folded, REGISTRY, n=1, cutoff=0.7)
    hint = "known are the functions of Microsoft's reference 'ARM template functions'"
    if close:
        hint = f"did you mean {REGISTRY[close[0]].name}()?"
    raise ExpressionError("UnknownFunction", f"the function {name}() is not known", hint=hint)


def _arity(found: Function) -> str:
    if found.most is None:
        return f"at least {found.least} argument{'s'[: found.least != 1]}"
    if found.most == found.least:
        return f"{found.least or 'no'} argument{'s'[: found.least != 1]}"
    return f"{found.least} to {found.most} arguments"
