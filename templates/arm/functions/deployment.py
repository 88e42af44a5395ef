"""Functions that ask the deployment around: its values, its scope, its loops."""

from __future__ import annotations

from typing import NoReturn

from templates.arm.context import Context
from templates.arm.functions.dates import show_date
from templates.arm.functions.registry import function
from templates.arm.functions.values import bad, integer, is_int, text
from templates.arm.syntax import ExpressionError, Json


@function("parameters", 1, context=True)
def _parameters(context: Context, name: Json) -> Json:
    return context.parameter(text(name, "the name of a parameter"))


@function("variables", 1, context=True)
def _variables(context: Context, name: Json) -> Json:
    return context.variable(text(name, "the name of a variable"))


@function("subscription", context=True)
def _subscription(context: Context) -> Json:
    return context.subscription()


@function("resourceGroup", context=True)
def _resource_group(context: Context) -> Json:
    return context.resource_group()


@function("tenant", context=True)
def _tenant(context: Context) -> Json:
    return context.tenant()


@function("managementGroup", context=True)
def _management_group(context: Context) -> Json:
    return context.management_group()


@function("deployment", context=True)
def _deployment(context: Context) -> Json:
    return context.deployment()


@function("deployer", context=True)
def _deployer(context: Context) -> Json:
    return context.deployer()


@function("environment", context=True)
def _environment(context: Context) -> Json:
    return context.environment()


@function("utcNow", 0, 1, context=True)
def _utc_now(context: Context, form: Json = "yyyyMMddTHHmmssZ") -> Json:
    return show_date(context.utc_now(), text(form, "the format of utcNow()"), "utcNow()")


@function("newGuid", context=True)
def _new_guid(context: Context) -> Json:
    return context.new_guid()


@function("copyIndex", 0, 2, context=True)
def _copy_index(context: Context, first: Json = None, second: Json = 0) -> Json:
    """`copyIndex()`, `copyIndex(offset)`, `copyIndex('loop')` or `copyIndex('loop', offset)`."""
    if is_int(first):
        if second != 0:
            raise bad("copyIndex() takes the name of a loop first, then an offset")
        return context.copy_index(None, first)
    name = None if first is None else text(first, "the name of a loop")
    return context.copy_index(name, integer(second, "the offset of copyIndex()"))


@function("fail", 1)
def _fail(message: Json) -> NoReturn:
    """Bicep's `fail('message')`: the template itself refuses."""
    raise ExpressionError("Fail", f"the template says: {text(message, 'the message of fail()')}")
