"""The functions of ARM template expressions.

A new one is one registration: `@function("toLower", 1)` above a plain Python function. Arguments
arrive evaluated; what is wrong with them is raised as ExpressionError.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable
from dataclasses import dataclass

from templates.arm.expressions import Context, ExpressionError, Json, kind_of

_PLACE = re.compile(r"\{\{|\}\}|\{(\d+)(?:,(-?\d{1,4}))?(?::([^{}]*))?\}|[{}]", re.ASCII)
_INT_FORMAT = re.compile(r"([DNX])(\d{0,2})", re.IGNORECASE | re.ASCII)


@dataclass(frozen=True, slots=True)
class Function:
    """One function: how it is spelled, what it takes, what it does."""

    name: str
    call: Callable[..., Json]
    least: int
    most: int | None
    needs_context: bool


REGISTRY: dict[str, Function] = {}


def function(
    name: str, least: int = 0, most: int | None = -1, *, context: bool = False
) -> Callable[[Callable[..., Json]], Callable[..., Json]]:
    """Register a function that takes `least` to `most` arguments (None: any number; default: `least`).

    With `context` the deployment comes first.
    """

    def register(call: Callable[..., Json]) -> Callable[..., Json]:
        limit = least if most == -1 else most
        REGISTRY[name.casefold()] = Function(name, call, least, limit, context)
        return call

    return register


def call_function(name: str, arguments: list[Json], context: Context) -> Json:
    """Call the function `name`. Raises ExpressionError, naming what is supported, when there is none."""
    found = REGISTRY.get(name.casefold())
    if found is None:
        supported = sorted(known.name for known in REGISTRY.values())
        close = difflib.get_close_matches(name.casefold(), REGISTRY, n=1, cutoff=0.8)
        hint = f"supported are: {', '.join(supported)}"
        if close:
            hint = f"did you mean {REGISTRY[close[0]].name}()? {hint}"
        raise ExpressionError("UnknownFunction", f"the function {name}() is not supported", hint=hint)
    if len(arguments) < found.least or (found.most is not None and len(arguments) > found.most):
        wanted = _arity(found)
        message = f"{found.name}() takes {wanted}, got {len(arguments)}"
        raise ExpressionError("BadArguments", message)
    return found.call(context, *arguments) if found.needs_context else found.call(*arguments)


def _arity(found: Function) -> str:
    if found.most is None:
        return f"at least {found.least} argument{'s'[: found.least != 1]}"
    if found.most == found.least:
        return f"{found.least or 'no'} argument{'s'[: found.least != 1]}"
    return f"{found.least} to {found.most} arguments"


def _text(value: Json, what: str) -> str:
    if not isinstance(value, str):
        raise ExpressionError("BadArguments", f"{what} must be a string, not {kind_of(value)}")
    return value


@function("parameters", 1, context=True)
def _parameters(context: Context, name: Json) -> Json:
    return context.parameter(_text(name, "the name of a parameter"))


@function("variables", 1, context=True)
def _variables(context: Context, name: Json) -> Json:
    return context.variable(_text(name, "the name of a variable"))


@function("subscription", context=True)
def _subscription(context: Context) -> Json:
    return context.subscription()


@function("resourceGroup", context=True)
def _resource_group(context: Context) -> Json:
    return context.resource_group()


@function("concat", 1, None)
def _concat(*parts: Json) -> Json:
    if all(isinstance(part, list) for part in parts):
        return [item for part in parts for item in part]
    wrong = next((part for part in parts if isinstance(part, list | dict) or part is None), "")
    if wrong != "":
        message = f"concat() joins strings, or arrays only: {kind_of(wrong)} is among them"
        raise ExpressionError("BadArguments", message)
    return "".join(display(part) for part in parts)


@function("format", 1, None)
def _format(form: Json, *values: Json) -> Json:
    def replace(match: re.Match[str]) -> str:
        if match.group() in ("{{", "}}"):
            return match.group()[0]
        if match[1] is None:
            message = f"format(): a lonely '{match.group()}'"
            raise ExpressionError("BadArguments", message, hint="write {{ and }} for braces themselves")
        index = int(match[1]) if len(match[1]) < 4 else len(values)
        if index >= len(values):
            message = f"format(): '{match.group()}' has no argument; there are {len(values)}"
            raise ExpressionError("BadArguments", message)
        shown = _formatted(values[index], match[3] or "")
        width = int(match[2] or 0)
        return shown.rjust(width) if width >= 0 else shown.ljust(-width)

    return _PLACE.sub(replace, _text(form, "the format string"))


def _formatted(value: Json, form: str) -> str:
    if not form:
        return display(value)
    match = _INT_FORMAT.fullmatch(form)
    if match is None or isinstance(value, bool) or not isinstance(value, int):
        message = f"format(): the format '{form}' of {kind_of(value)} is not supported"
        raise ExpressionError(
            "BadArguments", message, hint="supported for an int are D, N and X with a width"
        )
    kind, digits = match[1], match[2]
    if kind in "Nn":
        return f"{value:,.{int(digits or 2)}f}"
    shown = str(abs(value)) if kind in "Dd" else f"{value & (2**64 - 1):{kind}}"
    sign = "-" if value < 0 and kind in "Dd" else ""
    return sign + shown.zfill(int(digits or 0))


def display(value: Json) -> str:
    """A value inside a text, as .NET writes it: `True`, not `true`; null is nothing."""
    if isinstance(value, str):
        return value
    if value is None:
        return ""
    if isinstance(value, bool | int | float):
        return str(value)
    raise ExpressionError("BadArguments", f"{kind_of(value)} cannot become part of a text")


@function("resourceId", 2, None, context=True)
def _resource_id(context: Context, *parts: Json) -> Json:
    """`resourceId([subscription], [group], type, name, …)`: the type is the first part with a slash."""
    texts = [_text(part, "each part of resourceId()") for part in parts]
    at = next((index for index, part in enumerate(texts) if "/" in part), None)
    if at is None or at > 2:
        hint = "for example resourceId('Microsoft.Compute/images', 'name')"
        raise ExpressionError("BadArguments", "resourceId(): no part is a resource type", hint=hint)
    provider, *types = texts[at].split("/")
    names = texts[at + 1 :]
    if len(types) != len(names) or not all(types) or not all(names):
        message = f"resourceId(): the type '{texts[at]}' needs {len(types)} name(s), got {len(names)}"
        raise ExpressionError("BadArguments", message)
    group = texts[at - 1] if at else context.resource_group()["name"]
    subscription = texts[0] if at == 2 else context.subscription()["subscriptionId"]
    pairs = "/".join(f"{kind}/{name}" for kind, name in zip(types, names, strict=True))
    return f"/subscriptions/{subscription}/resourceGroups/{group}/providers/{provider}/{pairs}"
