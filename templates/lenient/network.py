"""The network of a build VM as the first previews wrote it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from templates.arm.scope import DeploymentScope
    from templates.report import Report

_OLD = ("name", "subnetName", "resourceGroupName")


def modern_network(
    data: dict[str, Any], pointer: str, report: Report, scope: DeploymentScope
) -> dict[str, Any]:
    """A vnetConfig of `name`, `subnetName` and `resourceGroupName` as one `subnetId`.

    No published schema has the three; API version 2020-02-14 brought `subnetId` (aib-template,
    section 1). The repair is left to people: only they know the subscription.
    """
    old = {key: value for key, value in data.items() if key.casefold() in {name.casefold() for name in _OLD}}
    values = {key.casefold(): value for key, value in old.items()}
    name, subnet = values.get("name"), values.get("subnetname")
    if "subnetId" in data or not (isinstance(name, str) and isinstance(subnet, str)):
        return data
    group = values.get("resourcegroupname", scope.resource_group)
    network = (
        f"{scope.subscription_path}/resourceGroups/{group}/providers/Microsoft.Network/virtualNetworks/{name}"
    )
    subnet_id = f"{network}/subnets/{subnet}"
    message = "the network is named by one id, 'subnetId', not by its parts"
    report.lenient("OldNetwork", message, pointer, hint=f'write "subnetId": "{subnet_id}"', key=True)
    return {**{key: value for key, value in data.items() if key not in old}, "subnetId": subnet_id}
