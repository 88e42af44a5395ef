"""Functions of resources: their ids, what is known of them here, and what only Azure could answer."""

from __future__ import annotations

from collections.abc import Callable
from typing import NoReturn

from templates.arm.context import Context
from templates.arm.functions.registry import function
from templates.arm.functions.values import bad, text
from templates.arm.syntax import ExpressionError, Json, Node

_ONLY_AZURE = (
    "list",
    "getSecret",
    "pickZones",
    "providers",
    "toLogicalZone",
    "toLogicalZones",
    "toPhysicalZone",
    "toPhysicalZones",
)


@function("resourceId", 2, None, context=True)
def _resource_id(context: Context, *parts: Json) -> Json:
    """`resourceId([subscription], [group], type, name, …)`; above resource groups there is no group."""
    scope, path = _split(parts, "resourceId()", 2)
    subscription = scope[0] if len(scope) == 2 else None
    group = scope[-1] if scope else _group_name(context)
    if subscription is None:
        subscription = context.subscription()["subscriptionId"]
    inside = f"/resourceGroups/{group}" if group is not None else ""
    return f"/subscriptions/{subscription}{inside}{path}"


@function("subscriptionResourceId", 2, None, context=True)
def _subscription_resource_id(context: Context, *parts: Json) -> Json:
    scope, path = _split(parts, "subscriptionResourceId()", 1)
    subscription = scope[0] if scope else context.subscription()["subscriptionId"]
    return f"/subscriptions/{subscription}{path}"


@function("managementGroupResourceId", 2, None, context=True)
def _management_group_resource_id(context: Context, *parts: Json) -> Json:
    scope, path = _split(parts, "managementGroupResourceId()", 1)
    group = scope[0] if scope else context.management_group()["name"]
    return f"/providers/Microsoft.Management/managementGroups/{group}{path}"


@function("tenantResourceId", 2, None)
def _tenant_resource_id(*parts: Json) -> Json:
    return _split(parts, "tenantResourceId()", 0)[1]


@function("extensionResourceId", 3, None)
def _extension_resource_id(base: Json, *parts: Json) -> Json:
    """The id of a resource that is attached to another, such as a role assignment."""
    _, path = _split(parts, "extensionResourceId()", 0)
    return text(base, "the first part of extensionResourceId()").rstrip("/") + path


@function("reference", 1, 3, context=True)
def _reference(context: Context, target: Json, api_version: Json = None, full: Json = None) -> Json:
    name = text(target, "the resource of reference()")
    version = None if api_version is None else text(api_version, "the API version of reference()")
    return context.reference(name, version, full=_is_full(full, "reference()"))


@function("references", 1, 2, context=True)
def _references(context: Context, symbol: Json, full: Json = None) -> Json:
    return context.references(text(symbol, "the loop of references()"), full=_is_full(full, "references()"))


@function("resourceInfo", 1, context=True)
def _resource_info(context: Context, symbol: Json) -> Json:
    return context.resource_info(text(symbol, "the resource of resourceInfo()"))


def _only_azure(name: str) -> Callable[..., NoReturn]:
    def refuse(_evaluation: object, *_parts: Node) -> NoReturn:
        shown = "list…" if name == "list" else name
        hint = "give the value as a parameter instead"
        raise ExpressionError("NeedsAzure", f"{shown}() asks Azure, which is not reachable here", hint=hint)

    return refuse


for _name in _ONLY_AZURE:
    # Lazy: that Azure is needed is the message, whatever the arguments are.
    function(_name, 0, None, lazy=True)(_only_azure(_name))


def _is_full(value: Json, what: str) -> bool:
    if value is None:
        return False
    if text(value, f"the last argument of {what}").casefold() != "full":
        raise bad(f"the last argument of {what} can only be 'Full'")
    return True


def _group_name(context: Context) -> Json:
    try:
        return context.resource_group()["name"]
    except ExpressionError as error:
        if error.code != "NotInScope":
            raise
        return None


def _split(parts: tuple[Json, ...], what: str, most: int) -> tuple[list[str], str]:
    """Up to `most` parts of the scope, and the path: the type is the first part with a slash."""
    texts = [text(part, f"each part of {what}") for part in parts]
    at = next((index for index, part in enumerate(texts) if "/" in part), None)
    if at is None or at > most:
        hint = f"for example {what[:-1]}'Microsoft.Compute/images', 'name')"
        raise bad(f"{what}: no part is a resource type", hint=hint)
    provider, *types = texts[at].split("/")
    names = texts[at + 1 :]
    if len(types) != len(names) or not all(types) or not all(names):
        raise bad(f"{what}: the type '{texts[at]}' needs {len(types)} name(s), got {len(names)}")
    pairs = "/".join(f"{kind}/{name}" for kind, name in zip(types, names, strict=True))
    return texts[:at], f"/providers/{provider}/{pairs}"
