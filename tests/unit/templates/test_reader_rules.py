"""`templates.read`: the rules for what a template says, each at its place."""

from __future__ import annotations

import pytest
from golden import COMPUTE, PLATFORM, bare, problems_of, reader


@pytest.fixture
def problems(tmp_path):
    return problems_of(reader(tmp_path))


E = "error"
W = "warning"
SHELL = {"type": "Shell", "inline": ["true"]}
SHARED = {"type": "SharedImage", "runOutputName": "out", "galleryImageId": f"{COMPUTE}/galleries/g/images/d"}
C0, D0 = "/properties/customize/0", "/properties/distribute/0"
VNET = "/subscriptions/SUB/resourceGroups/GRP/providers/Microsoft.Network/virtualNetworks"
VNET_CONFIG = "/properties/vmProfile/vnetConfig"


def step(**fields):
    return {"customize": [{**SHELL, **fields}]}


def target(**fields):
    return {"distribute": [{**SHARED, **fields}]}


def container(network, subnet, other_network, other_subnet, **fields):
    ids = {"subnetId": (network, subnet), "containerInstanceSubnetId": (other_network, other_subnet)}
    config = {name: f"{VNET}/{net}/subnets/{sub}" for name, (net, sub) in ids.items()}
    return {"vmProfile": {"vnetConfig": {**config, **fields}}}


@pytest.mark.parametrize(
    ("properties", "expected"),
    [
        (step(scriptUri="x"), [(E, "ExclusiveFields", f"{C0}/scriptUri")]),
        ({"customize": [{"type": "Shell"}]}, [(E, "NoCustomizerScript", C0)]),
        (
            {"validate": {"inVMValidations": [{"type": "Shell"}]}},
            [(E, "NoValidatorScript", "/properties/validate/inVMValidations/0")],
        ),
        (step(type="PowerShell", runAsSystem=True), [(E, "NeedsElevation", f"{C0}/runAsSystem")]),
        (step(type="PowerShell", runElevated="true"), [(W, "QuotedValue", f"{C0}/runElevated")]),
        (step(type="shell"), [(W, "OldSpelling", f"{C0}/type")]),
        (step(type="Shel"), [(E, "UnknownType", f"{C0}/type")]),
        (step(type=None), [(E, "MissingField", C0)]),
        (step(inlin=[]), [(E, "UnknownField", f"{C0}/inlin")]),
        (step(colour="red"), [(W, "UnknownField", f"{C0}/colour")]),
        (step(extensions={}), [(W, "UnknownField", f"{C0}/extensions")]),
        (
            {"customize": [{"type": "Shell", "script": "x"}]},
            [(W, "OldSpelling", f"{C0}/script")],
        ),
        ({"customize": [{"type": "File", "sourceUri": "x"}]}, [(E, "MissingField", C0)]),
        (
            {"customize": [{"type": "Shell", "scriptUri": "x", "sha256Checksum": "AB" * 32}]},
            [(E, "BadChecksum", f"{C0}/sha256Checksum")],
        ),
        (step(**{"x-goldsmith": {"timeout": "soon"}}), [(E, "BadDuration", f"{C0}/x-goldsmith/timeout")]),
        (step(**{"x-goldsmith": {"env": {"A-B": "x"}}}), [(E, "BadEnvName", f"{C0}/x-goldsmith/env/A-B")]),
        (
            step(**{"x-goldsmith": {"secrets": {"A": {"env": "X", "file": "y"}}}}),
            [(E, "BadSecret", f"{C0}/x-goldsmith/secrets/A")],
        ),
        (step(**{"x-goldsmith": {"retrys": 1}}), [(E, "UnknownField", f"{C0}/x-goldsmith/retrys")]),
        (
            {"customize": [{"type": "x-LinuxRestart", "restartTimeout": "5"}]},
            [(E, "BadDuration", f"{C0}/restartTimeout")],
        ),
        ({"customize": [{"type": "x-Ansible", "playbook": "p"}]}, []),
        ({"distribute": []}, [(E, "NoDistribute", "/properties/distribute")]),
        (
            {"distribute": [SHARED, {"type": "VHD", "runOutputName": "OUT"}]},
            [(E, "DuplicateRunOutput", "/properties/distribute/1/runOutputName")],
        ),
        (target(storageAccountType="Standard_LRS"), [(E, "ExclusiveFields", f"{D0}/storageAccountType")]),
        (
            target(targetRegions=[{"name": "a"}], replicationRegions=["a"]),
            [
                (E, "ExclusiveFields", f"{D0}/replicationRegions"),
                (E, "DuplicateRegion", f"{D0}/replicationRegions/0"),
            ],
        ),
        (
            target(targetRegions=[{"name": "West US"}, {"name": "westus"}]),
            [(E, "DuplicateRegion", f"{D0}/targetRegions/1/name")],
        ),
        (target(versioning={"scheme": "latest"}), [(W, "WrongCase", f"{D0}/versioning/scheme")]),
        (target(versioning={"scheme": "last"}), [(E, "UnknownType", f"{D0}/versioning/scheme")]),
        (target(galleryImageId="x"), [(E, "BadResourceId", f"{D0}/galleryImageId")]),
        (
            target(galleryImageId="/subscriptions/<subscriptionID>/x"),
            [(E, "Placeholder", f"{D0}/galleryImageId")],
        ),
        (
            {"source": {"type": "ManagedImage", "imageId": f"{COMPUTE}/galleries/g"}},
            [(E, "BadResourceId", "/properties/source/imageId")],
        ),
        (
            {"source": {"type": "ISO"}},
            [
                (E, "MissingField", "/properties/source"),  # sourceUri
                (E, "MissingField", "/properties/source"),  # sha256Checksum
                (W, "RemovedFromApi", "/properties/source/type"),
            ],
        ),
        (
            {"source": {"type": "ISO", "sourceUri": "x", "sha256Checksum": "AB" * 32}},
            [
                (E, "BadChecksum", "/properties/source/sha256Checksum"),
                (W, "RemovedFromApi", "/properties/source/type"),
            ],
        ),
        ({"source": {**PLATFORM, "offer": " "}}, [(E, "BadValue", "/properties/source/offer")]),
        ({"source": {**PLATFORM, "version": "newest"}}, [(W, "OddVersion", "/properties/source/version")]),
        ({"source": {**PLATFORM, "version": "12.20240211.1654"}}, []),
        (
            {"source": {**PLATFORM, "exactVersion": "1"}},
            [(W, "ReadOnlyField", "/properties/source/exactVersion")],
        ),
        ({"buildTimeoutInMinutes": 5}, [(W, "ShortTimeout", "/properties/buildTimeoutInMinutes")]),
        ({"buildTimeoutInMinutes": 961}, [(E, "BadValue", "/properties/buildTimeoutInMinutes")]),
        ({"vmProfile": {"osdisksizegb": 5}}, [(W, "WrongCase", "/properties/vmProfile/osdisksizegb")]),
        ({"vmProfile": {"osDiskSiseGB": 5}}, [(E, "UnknownField", "/properties/vmProfile/osDiskSiseGB")]),
        (
            {"vmProfile": {"vnetConfig": {"subnetId": f"{VNET}/v/subnets/s"}}},
            [(W, "NoEffect", VNET_CONFIG)],
        ),
        (
            {"vmProfile": {"vnetConfig": {"subnetId": "s"}}},
            [(W, "BadResourceId", f"{VNET_CONFIG}/subnetId"), (W, "NoEffect", VNET_CONFIG)],
        ),
        (
            {"vmProfile": {"userAssignedIdentities": [f"{VNET}/v"]}},
            [
                (W, "BadResourceId", "/properties/vmProfile/userAssignedIdentities/0"),
                (W, "NoEffect", "/properties/vmProfile/userAssignedIdentities"),
            ],
        ),
        (container("v", "s", "v", "other"), [(W, "NoEffect", VNET_CONFIG)]),
        (
            container("v", "s", "v", "S"),
            [(E, "BadSubnet", f"{VNET_CONFIG}/containerInstanceSubnetId"), (W, "NoEffect", VNET_CONFIG)],
        ),
        (
            container("v", "s", "w", "other"),
            [(E, "BadSubnet", f"{VNET_CONFIG}/containerInstanceSubnetId"), (W, "NoEffect", VNET_CONFIG)],
        ),
        (
            container("v", "s", "v", "other", proxyVmSize="Standard_A1_v2"),
            [(E, "ExclusiveFields", f"{VNET_CONFIG}/proxyVmSize"), (W, "NoEffect", VNET_CONFIG)],
        ),
        (
            {"vmProfile": {"vnetConfig": {"containerInstanceSubnetId": f"{VNET}/v/subnets/s"}}},
            [
                (E, "ExclusiveFields", f"{VNET_CONFIG}/containerInstanceSubnetId"),
                (W, "NoEffect", VNET_CONFIG),
            ],
        ),
        (
            {"optimize": {"workload": {"state": "Disabled", "sha256Checksum": "x"}}},
            [(E, "BadChecksum", "/properties/optimize/workload/sha256Checksum")],
        ),
        (
            {"validate": {"sourceValidationOnly": True}},
            [(W, "NothingToValidate", "/properties/validate")],
        ),
        ({"distribute": [], "validate": {"sourceValidationOnly": True, "inVMValidations": [SHELL]}}, []),
        ({"optimize": {"vmBoot": {"state": "Enabled"}}}, [(W, "NoEffect", "/properties/optimize/vmBoot")]),
        (
            {
                "optimize": {"vmBoot": {"state": "Disabled"}},
                "managedResourceTags": {"a": "b"},
                "stagingResourceGroup": "x",
            },
            [],
        ),
        ({"autoRun": {"state": "Enabled"}}, [(W, "NoEffect", "/properties/autoRun")]),
        ({"additionalDataDisks": [{"sizeGB": 1}]}, []),
        (
            {"additionalDataDisks": [{"sizeGB": 0}, {"sizeGB": 4}, {}]},
            [
                (E, "NoDiskSize", "/properties/additionalDataDisks/0/sizeGB"),
                (E, "NoDiskSize", "/properties/additionalDataDisks/2"),
            ],
        ),
        (
            {"additionalDataDisks": [{"sizeGB": 32768}]},
            [(E, "BadValue", "/properties/additionalDataDisks/0/sizeGB")],
        ),
        ({"validate": None}, []),
    ],
)
def test_rules(problems, properties, expected):
    assert sorted(problems(bare(**properties))) == sorted(expected)


@pytest.mark.parametrize(
    ("properties", "code", "pointer"),
    [
        (step(colour="red"), "UnknownField", f"{C0}/colour"),
        (step(**{"x-goldsmith": {}}), "Extension", f"{C0}/x-goldsmith"),
        ({"customize": [{"type": "x-LinuxRestart"}]}, "Extension", f"{C0}/type"),
        ({"x-goldsmith": {"network": False}}, "Extension", "/properties/x-goldsmith"),
        ({"buildTimeoutInMinutes": 5}, "ShortTimeout", "/properties/buildTimeoutInMinutes"),
    ],
)
def test_strict_refuses_what_azure_would_not_take(problems, properties, code, pointer):
    assert problems(bare(**properties), strict=True) == [(E, code, pointer)]


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"name": None}, "MissingName"),
        ({"type": None}, "MissingType"),
        ({"type": "Microsoft.VirtualMachineImages"}, "ShortType"),
        ({"apiVersion": None}, "ApiVersion"),
        ({"identity": None}, "MissingIdentity"),
        ({"location": None}, "MissingLocation"),
    ],
)
def test_what_quickstarts_leave_out_is_a_warning_and_an_error_when_strict(problems, change, code):
    content = {k: v for k, v in {**bare(), **change}.items() if v is not None}
    assert [p[:2] for p in problems(content)] == [(W, code)]
    assert [p[:2] for p in problems(content, strict=True)] == [(E, code)]


NOBODY: dict[str, object] = {}
SOMEBODY = {f"{COMPUTE.replace('Compute', 'ManagedIdentity')}/userAssignedIdentities/me": {}}


@pytest.mark.parametrize(
    ("identity", "code"),
    [
        ({"type": "UserAssigned", "userAssignedIdentities": SOMEBODY}, None),
        ({"type": "UserAssigned", "userAssignedIdentities": NOBODY}, "NoIdentity"),
        ({"type": "None", "userAssignedIdentities": SOMEBODY}, "ExclusiveFields"),
        ({"type": "UserAssigned", "userAssignedIdentities": {"me": {}}}, "BadResourceId"),
        ({"type": "UserAssigned", "userAssignedIdentities": {f"{COMPUTE}/images/i": {}}}, "BadResourceId"),
    ],
)
def test_identities_have_no_effect_here_and_are_checked_for_azure(problems, identity, code):
    wanted = [] if code is None else [code]
    found = problems({**bare(), "identity": identity})
    assert [c for severity, c, _ in found if c != "NoEffect"] == wanted
    assert {severity for severity, _, _ in found} == {W} if found else not wanted
    strict = problems({**bare(), "identity": identity}, strict=True)
    assert [c for severity, c, _ in strict if severity == E] == wanted
