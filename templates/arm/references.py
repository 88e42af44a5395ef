"""`reference()`: what a resource of the file would be like once it is deployed.

Only what stands in the file can be told. What Azure makes up is made up here where nothing depends on
it (the ids of an identity), and an error otherwise.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import UUID, uuid5

from templates.arm.index import find_by_id, index_of
from templates.arm.known import DEPLOYMENT_TYPE, GROUP_TYPE, IDENTITY_TYPE, MADE
from templates.arm.lazy import LazyObject
from templates.arm.syntax import ExpressionError, Json
from templates.pointers import join

if TYPE_CHECKING:
    from templates.arm.deployment import Deployment
    from templates.arm.entries import Entry

_NAMESPACE = UUID("6fa1cbb4-5d30-4b0c-9d0b-6c2f0a9b7d51")  # of made-up ids
# Fields of a resource that the answer of Azure holds as they are written.
_CARRIED = ("location", "tags", "sku", "kind", "plan", "zones", "managedBy")
_HINT = "Goldsmith knows what the file declares; write the value out, or make it a parameter"


def refer(home: Deployment, target: str, api_version: str | None, *, full: bool) -> Json:
    """The answer of reference() in the deployment `home`. Raises ExpressionError."""
    entry = _find(home, target)
    if entry is None:
        message = f"reference(): '{target}' is not in this file, only Azure could say what it is like"
        raise ExpressionError("NeedsAzure", message, hint=_HINT)
    return _answer(entry, api_version, full=full)


def refer_all(home: Deployment, symbol: str, *, full: bool) -> list[Json]:
    """The answer of references(): one for each copy. Raises ExpressionError."""
    return [_answer(entry, None, full=full) for entry in _symbolic(home, symbol)]


def info(home: Deployment, symbol: str) -> dict[str, Json]:
    """The answer of resourceInfo(). Raises ExpressionError."""
    return _head(_symbolic(home, symbol)[0], None)


def _symbolic(home: Deployment, symbol: str) -> list[Entry]:
    found = index_of(home).find(symbol)
    if not found:
        message = f"there is no resource with the symbolic name '{symbol}'"
        raise ExpressionError("UnknownResource", message)
    return found


def _find(home: Deployment, target: str) -> Entry | None:
    if target.startswith("/"):
        return find_by_id(home, target)
    found = index_of(home).find(target)
    if len(found) > 1:
        message = f"reference(): '{target}' is the name of {len(found)} resources of this deployment"
        raise ExpressionError(
            "AmbiguousReference", message, hint="use resourceId(), which names its type, too"
        )
    return found[0] if found else None


def _answer(entry: Entry, api_version: str | None, *, full: bool) -> Json:
    if entry.is_existing:
        raise _needs_azure(entry, "it is declared as existing")
    if not entry.is_wanted:
        message = f"reference(): the {entry.type} '{entry.names[-1]}' is not deployed, its condition is false"
        raise ExpressionError("NotDeployed", message)
    if not full:
        return LazyObject(lambda: _properties(entry))
    return LazyObject(lambda: _whole(entry, api_version))


def _properties(entry: Entry) -> dict[str, Json]:
    if entry.type == DEPLOYMENT_TYPE:
        outputs = LazyObject(entry.nested.outputs)
        return {"provisioningState": "Succeeded", "mode": "Incremental", "outputs": outputs}
    if entry.type == IDENTITY_TYPE:
        return _made_up(entry, ("principalId", "clientId"))
    if entry.type == GROUP_TYPE:
        return {"provisioningState": "Succeeded"}
    if entry.type.casefold() not in MADE:
        raise _needs_azure(entry, f"a {entry.type} is nothing that is made here")
    written = without_nulls(entry.value("properties"))
    return {**(written if isinstance(written, dict) else {}), "provisioningState": "Succeeded"}


def _whole(entry: Entry, api_version: str | None) -> dict[str, Json]:
    result = _head(entry, api_version)
    result.update({key: entry.value(key) for key in _CARRIED if entry.body.get(key) is not None})
    identity = entry.value("identity")
    if isinstance(identity, dict):
        is_system = "systemassigned" in str(identity.get("type")).casefold()
        result["identity"] = {**identity, **(_made_up(entry, ("principalId",)) if is_system else {})}
    result["properties"] = LazyObject(lambda: _properties(entry))
    return result


def _head(entry: Entry, api_version: str | None) -> dict[str, Json]:
    scope = entry.place.scope
    return {
        "id": entry.id,
        "resourceId": entry.id,
        "name": "/".join(entry.names),
        "type": entry.type,
        "apiVersion": api_version or entry.value("apiVersion"),
        "subscriptionId": scope.subscription_id,
        "resourceGroupName": scope.resource_group,
    }


def _made_up(entry: Entry, names: tuple[str, ...]) -> dict[str, Json]:
    """Ids that Azure would draw: always the same ones for the same resource."""
    message = f"the ids of the identity '{entry.names[-1]}' are made up: there is no such identity here"
    entry.home.shared.report.warn("MadeUp", message, join(entry.pointer, "type"))
    ids = {name: str(uuid5(_NAMESPACE, f"{entry.id}/{name}".casefold())) for name in names}
    return {**ids, "tenantId": entry.place.scope.tenant_id}


def _needs_azure(entry: Entry, why: str) -> ExpressionError:
    shown = entry.symbol or entry.id
    message = f"reference(): only Azure could say what '{shown}' is like: {why}"
    return ExpressionError("NeedsAzure", message, hint=_HINT)


def without_nulls(value: Json) -> Json:
    """ARM takes a null for a field that is not there; Bicep writes many of them."""
    if isinstance(value, dict):
        return {key: without_nulls(item) for key, item in value.items() if item is not None}
    if isinstance(value, list):
        return [without_nulls(item) for item in value]
    return value
