"""What the functions of expressions can ask of the deployment around them."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from templates.arm.budget import Budget
    from templates.arm.syntax import Json


class Context(Protocol):
    """One deployment, as its expressions see it.

    Every method raises ExpressionError when there is no answer. The values are JSON and belong to
    the deployment: no function changes them. Names are compared without case.
    """

    @property
    def budget(self) -> Budget:
        """What evaluating may still cost: one for a whole file, shared by its nested deployments."""

    def note_secrets(self, arguments: list[Json], value: Json) -> None:
        """Told what a function made of which arguments: of a secret it is one, too."""

    def parameter(self, name: str) -> Json:
        """`parameters('name')`."""

    def variable(self, name: str) -> Json:
        """`variables('name')`."""

    def subscription(self) -> dict[str, Json]:
        """`subscription()`: id, subscriptionId, tenantId, displayName."""

    def resource_group(self) -> dict[str, Json]:
        """`resourceGroup()`: id, name, type, location, tags, properties.

        Where a deployment has none (subscription and above) the error's code is "NotInScope".
        """

    def tenant(self) -> dict[str, Json]:
        """`tenant()`: id, tenantId, displayName, countryCode."""

    def management_group(self) -> dict[str, Json]:
        """`managementGroup()`; answers only in a deployment to a management group."""

    def deployment(self) -> dict[str, Json]:
        """`deployment()`: name, location (not in a resource group), properties.template and more."""

    def deployer(self) -> dict[str, Json]:
        """`deployer()`: tenantId, objectId, userPrincipalName."""

    def environment(self) -> dict[str, Json]:
        """`environment()`: name, suffixes, resourceManager, authentication and more."""

    def utc_now(self) -> datetime:
        """The time of the deployment, with a time zone; `utcNow()` forms it.

        ARM allows it only in the default of a parameter: elsewhere this raises ExpressionError.
        """

    def new_guid(self) -> str:
        """`newGuid()`; ARM allows it only in the default of a parameter, as `utc_now`."""

    def copy_index(self, name: str | None, offset: int) -> int:
        """`copyIndex('name', offset)`: the turn of the named (None: the innermost) loop plus `offset`."""

    def reference(self, target: str, api_version: str | None, *, full: bool) -> Json:
        """`reference(target, apiVersion, 'Full')`: what a resource is like once it is deployed.

        `target` is a name, an id or a symbolic name. Its `properties`, or with `full` all of it.
        """

    def references(self, symbol: str, *, full: bool) -> list[Json]:
        """`references('symbol', 'Full')`: `reference()` of each resource of a symbolic copy loop."""

    def resource_info(self, symbol: str) -> dict[str, Json]:
        """`resourceInfo('symbol')`: id, name, type, apiVersion of a symbolic resource, there or not."""

    def user_function(self, namespace: str, name: str, arguments: list[Json]) -> Json:
        """`namespace.name(…)`, a function of the template's section `functions`."""
