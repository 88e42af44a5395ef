"""Where a deployment is thought to happen; there is no Azure to ask."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from templates.arm.syntax import Json

NO_TENANT = "00000000-0000-0000-0000-000000000000"
Level = Literal["group", "subscription", "managementGroup", "tenant"]
# Names of the schemas of templates that are not deployed into a resource group.
_LEVELS: tuple[tuple[str, Level], ...] = (
    ("subscriptiondeploymenttemplate", "subscription"),
    ("managementgroupdeploymenttemplate", "managementGroup"),
    ("tenantdeploymenttemplate", "tenant"),
)


@dataclass(frozen=True, slots=True)
class DeploymentScope:
    """What `subscription()` and `resourceGroup()` answer."""

    subscription_id: str
    resource_group: str
    location: str
    tenant_id: str = NO_TENANT

    @property
    def subscription_path(self) -> str:
        """The ARM id of the subscription."""
        return f"/subscriptions/{self.subscription_id}"

    @property
    def group_path(self) -> str:
        """The ARM id of the resource group."""
        return f"{self.subscription_path}/resourceGroups/{self.resource_group}"


@dataclass(frozen=True, slots=True)
class Place:
    """Where the resources of one deployment land: a scope, and how much of it counts."""

    scope: DeploymentScope
    level: Level = "group"

    @property
    def path(self) -> str:
        """What the ids of resources there start with."""
        if self.level == "group":
            return self.scope.group_path
        return self.scope.subscription_path if self.level == "subscription" else ""


def level_of(schema: Json) -> Level:
    """Where a template with this `$schema` is deployed to."""
    lowered = schema.casefold() if isinstance(schema, str) else ""
    return next((level for name, level in _LEVELS if name in lowered), "group")


def subscription_answer(scope: DeploymentScope) -> dict[str, Json]:
    """The answer of subscription()."""
    return {
        "id": scope.subscription_path,
        "subscriptionId": scope.subscription_id,
        "tenantId": scope.tenant_id,
        "displayName": scope.subscription_id,
    }


def group_answer(scope: DeploymentScope) -> dict[str, Json]:
    """The answer of resourceGroup()."""
    return {
        "id": scope.group_path,
        "name": scope.resource_group,
        "type": "Microsoft.Resources/resourceGroups",
        "location": scope.location,
        "tags": {},
        "properties": {"provisioningState": "Succeeded"},
    }


def tenant_answer(scope: DeploymentScope) -> dict[str, Json]:
    """The answer of tenant()."""
    return {"id": "/", "tenantId": scope.tenant_id, "displayName": scope.tenant_id, "countryCode": "US"}


def environment_answer() -> dict[str, Json]:
    """The answer of environment() in Azure's public cloud: names templates are written with."""

    def address(host: str) -> str:
        return f"https://{host}/"

    return {
        "name": "AzureCloud",
        "gallery": address("gallery.azure.com"),
        "graph": address("graph.windows.net"),
        "portal": address("portal.azure.com").rstrip("/"),
        "graphAudience": address("graph.windows.net"),
        "activeDirectoryDataLake": address("datalake.azure.net"),
        "batch": address("batch.core.windows.net"),
        "media": address("rest.media.azure.net"),
        "resourceManager": address("management.azure.com"),
        "sqlManagement": address("management.core.windows.net:8443"),
        "vmImageAliasDoc": address("aka.ms") + "vmimagealiasdoc",
        "authentication": {
            "loginEndpoint": address("login.microsoftonline.com"),
            "audiences": [address("management.core.windows.net"), address("management.azure.com")],
            "tenant": "common",
            "identityProvider": "AAD",
        },
        "suffixes": {
            "acrLoginServer": ".azurecr.io",
            "azureDatalakeAnalyticsCatalogAndJob": "azuredatalakeanalytics.net",
            "azureDatalakeStoreFileSystem": "azuredatalakestore.net",
            "azureFrontDoorEndpointSuffix": "azurefd.net",
            "keyvaultDns": ".vault.azure.net",
            "sqlServerHostname": ".database.windows.net",
            "storage": "core.windows.net",
        },
    }
