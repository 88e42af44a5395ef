"""Functions of resources, of the deployment around, and of networks."""

from __future__ import annotations

import pytest
from arm_context import Deployment, value_of

from templates.arm.expressions import ExpressionError

GROUP = "/subscriptions/SUB/resourceGroups/GRP"
IMAGE = "'Microsoft.Compute/images', 'i'"


@pytest.mark.parametrize(
    ("text", "value"),
    [
        (f"resourceId({IMAGE})", f"{GROUP}/providers/Microsoft.Compute/images/i"),
        (
            "resourceId('Microsoft.Compute/galleries/images/versions', 'g', 'd', '1.0.0')",
            f"{GROUP}/providers/Microsoft.Compute/galleries/g/images/d/versions/1.0.0",
        ),
        (
            f"resourceId('other', {IMAGE})",
            "/subscriptions/SUB/resourceGroups/other/providers/Microsoft.Compute/images/i",
        ),
        (
            f"resourceId('s2', 'other', {IMAGE})",
            "/subscriptions/s2/resourceGroups/other/providers/Microsoft.Compute/images/i",
        ),
        (f"subscriptionResourceId({IMAGE})", "/subscriptions/SUB/providers/Microsoft.Compute/images/i"),
        (f"subscriptionResourceId('s2', {IMAGE})", "/subscriptions/s2/providers/Microsoft.Compute/images/i"),
        (f"tenantResourceId({IMAGE})", "/providers/Microsoft.Compute/images/i"),
        (
            f"managementGroupResourceId({IMAGE})",
            "/providers/Microsoft.Management/managementGroups/MG/providers/Microsoft.Compute/images/i",
        ),
        (
            f"managementGroupResourceId('m2', {IMAGE})",
            "/providers/Microsoft.Management/managementGroups/m2/providers/Microsoft.Compute/images/i",
        ),
        (
            "extensionResourceId(resourceGroup().id, 'Microsoft.Authorization/roleAssignments', 'r')",
            f"{GROUP}/providers/Microsoft.Authorization/roleAssignments/r",
        ),
        ("reference('x')", {"target": "x", "version": None, "full": False}),
        ("reference('x', '2024-02-01')", {"target": "x", "version": "2024-02-01", "full": False}),
        ("reference('x', '2024-02-01', 'full')", {"target": "x", "version": "2024-02-01", "full": True}),
        ("references('x', 'Full')", [{"target": "x", "full": True}]),
        ("resourceInfo('x').id", "/x"),
    ],
)
def test_resources(text, value):
    assert value_of(text) == value


def test_a_resource_id_without_a_resource_group():
    deployment = Deployment(level="subscription")
    assert value_of(f"resourceId({IMAGE})", deployment) == (
        "/subscriptions/SUB/providers/Microsoft.Compute/images/i"
    )


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("subscription().tenantId", "TEN"),
        ("resourceGroup().location", "westus"),
        ("tenant().tenantId", "TEN"),
        ("managementGroup().name", "MG"),
        ("deployment().name", "DEP"),
        ("deployer().objectId", "ME"),
        ("environment().suffixes.storage", "core.windows.net"),
        ("newGuid()", "b76a51fc-bd72-4a77-b9a2-3c29e7d2e551"),
        ("copyIndex()", 10),
        ("copyIndex(2)", 12),
        ("copyIndex('loop')", 20),
        ("copyIndex('loop', -1)", 19),
    ],
)
def test_the_deployment_is_asked(text, value):
    assert value_of(text) == value


@pytest.mark.parametrize(
    "text",
    [
        "listKeys(resourceId('Microsoft.Storage/storageAccounts', 's'), '2023-01-01').keys[0].value",
        "listAccountSas('x', '2023-01-01', parameters('unknown'))",
        "list('x', '2023-01-01')",
        "getSecret('a', 'b')",
        "pickZones('Microsoft.Compute', 'virtualMachines', 'westus')",
        "providers('Microsoft.Compute', 'images')",
    ],
)
def test_what_only_azure_knows_is_refused(text):
    with pytest.raises(ExpressionError) as caught:
        value_of(text)
    assert caught.value.code == "NeedsAzure"
    assert "asks Azure" in caught.value.message
    assert "parameter" in caught.value.hint


@pytest.mark.parametrize(
    ("text", "value"),
    [
        (
            "parseCidr('10.144.0.0/20')",
            {
                "network": "10.144.0.0",
                "netmask": "255.255.240.0",
                "broadcast": "10.144.15.255",
                "firstUsable": "10.144.0.1",
                "lastUsable": "10.144.15.254",
                "cidr": 20,
            },
        ),
        (
            "parseCidr('fdad:3236:5555::/48')",
            {
                "network": "fdad:3236:5555::",
                "netmask": "ffff:ffff:ffff::",
                "firstUsable": "fdad:3236:5555::",
                "lastUsable": "fdad:3236:5555:ffff:ffff:ffff:ffff:ffff",
                "cidr": 48,
            },
        ),
        ("parseCidr('10.0.0.9/30').network", "10.0.0.8"),
        ("cidrSubnet('10.144.0.0/20', 24, 4)", "10.144.4.0/24"),
        ("cidrSubnet('fdad:3236:5555::/48', 52, 3)", "fdad:3236:5555:3000::/52"),
        ("cidrSubnet('10.0.0.0/8', 8, 0)", "10.0.0.0/8"),
        ("cidrHost('10.144.3.0/24', 0)", "10.144.3.1"),
        ("cidrHost('10.144.3.0/24', 253)", "10.144.3.254"),
        ("cidrHost('fdad:3236:5555:3000::/52', 4)", "fdad:3236:5555:3000::5"),
    ],
)
def test_networks(text, value):
    assert value_of(text) == value


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("resourceId('a', 'b')", "no part is a resource type"),
        ("resourceId('a', 'b', 'c', 'x/y', 'n')", "no part is a resource type"),
        ("resourceId('Microsoft.Compute/galleries/images', 'g')", "needs 2 name(s), got 1"),
        ("resourceId('Microsoft.Compute/images', '')", "needs 1 name(s)"),
        ("resourceId('Microsoft.Compute/images', 5)", "each part of resourceId() must be a string"),
        ("tenantResourceId('sub', 'x/y', 'n')", "no part is a resource type"),
        ("reference('x', '2024-02-01', 'Half')", "can only be 'Full'"),
        ("reference(5)", "must be a string"),
        ("copyIndex(1, 2)", "the name of a loop first"),
        ("copyIndex('loop', 'x')", "must be an int"),
        ("cidrSubnet('10.0.0.0/16', 8, 0)", "the new CIDR is 16 to 32, not 8"),
        ("cidrSubnet('10.0.0.0/16', 24, 256)", "no subnet /24 with the index 256"),
        ("cidrHost('10.0.0.0/30', 2)", "no host with the index 2"),
        ("cidrHost('10.0.0.0/30', -1)", "no host with the index -1"),
        ("parseCidr('10.0.0.0')", "'10.0.0.0' is no network"),
        ("parseCidr('10.0.0.0/255.0.0.0')", "is no network"),
        ("parseCidr('10.0.0.0/33')", "is no network"),
        ("parseCidr('fe80::1%eth0/64')", "is no network"),
    ],
)
def test_wrong_arguments(text, part):
    with pytest.raises(ExpressionError) as caught:
        value_of(text)
    assert caught.value.code == "BadArguments"
    assert part in caught.value.message
