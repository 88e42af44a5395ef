"""Where a deployment is thought to happen."""

from __future__ import annotations

from dataclasses import dataclass

NO_TENANT = "00000000-0000-0000-0000-000000000000"


@dataclass(frozen=True, slots=True)
class DeploymentScope:
    """What `subscription()` and `resourceGroup()` answer; there is no Azure to ask."""

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
