"""Strict reading and the published schemas, over one full template of each version and its mutations."""

from __future__ import annotations

import copy
import functools
import json
from collections.abc import Iterator
from typing import Any

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from published import merged, require_shared_data

from templates import DeploymentScope
from templates.json_reader import JsonDocument
from templates.reader import examine
from templates.report import Report
from templates.versions import KNOWN

SCOPE = DeploymentScope("SUB", "GRP", "westus")
GROUP = "/subscriptions/SUB/resourceGroups/GRP/providers"
NETWORK = f"{GROUP}/Microsoft.Network/virtualNetworks/v/subnets"
IDENTITY = f"{GROUP}/Microsoft.ManagedIdentity/userAssignedIdentities/me"
SUM = "0" * 64
SCRIPT = {"name": "n", "scriptUri": "https://x/s", "sha256Checksum": SUM}
INLINE = {"name": "n", "inline": ["true"]}
FILE = {
    "type": "File",
    "name": "n",
    "sourceUri": "https://x/f",
    "destination": "/tmp/f",
    "sha256Checksum": SUM,
}
POWER = {"type": "PowerShell", "runElevated": True, "runAsSystem": True, "validExitCodes": [0, 3010]}
IMAGE = f"{GROUP}/Microsoft.Compute/galleries/g/images"

# What only our rules ask of a template; the schemas cannot say it. Argued in docs/template-differences.md.
OURS_ALONE = {
    *("NoCustomizerScript", "NoValidatorScript", "NeedsElevation", "ExclusiveFields", "NoDistribute"),
    *("BadResourceId", "BadChecksum", "BadDuration", "NoIdentity", "DuplicateRunOutput", "DuplicateRegion"),
    *("ShortTimeout", "OddVersion", "BadSubnet"),
}
# Fields that a build cannot do without, though the schemas do: their absence, and their being empty.
WE_REQUIRE = {"publisher", "offer", "sku", "sourceUri", "destination"}


def full(old: bool) -> dict[str, Any]:
    """A template with every field of all versions; `old` is one with the spellings of the first two."""
    customize: list[dict[str, Any]] = [
        {"type": "Shell", **INLINE},
        {"type": "Shell", **SCRIPT},
        {**POWER, **INLINE},
        {**POWER, **SCRIPT},
        FILE,
        {"type": "WindowsRestart", "restartCommand": "a", "restartCheckCommand": "b", "restartTimeout": "5m"},
        {"type": "WindowsUpdate", "searchCriteria": "x", "filters": ["include:y"], "updateLimit": 20},
    ]
    if old:
        customize = [
            {"type": "shell", "name": "n", "script": "x"},
            {"type": "Shell", "script": "x"},
            *customize,
        ]
    targets = {"type": "SharedImage", "galleryImageId": f"{IMAGE}/d", "artifactTags": {"a": "b"}}
    managed = {"imageId": f"{GROUP}/Microsoft.Compute/images/i", "location": "westus", "artifactTags": {}}
    regions = [{"name": "westus", "replicaCount": 1, "storageAccountType": "Premium_LRS"}]
    distribute = [
        {"type": "ManagedImage", "runOutputName": "a", **managed},
        {"type": "VHD", "runOutputName": "b", "uri": "https://x/y.vhd", "artifactTags": {"a": "b"}},
        {
            **targets,
            "runOutputName": "c",
            "replicationRegions": ["westus"],
            "storageAccountType": "Standard_ZRS",
        },
        {
            **targets,
            "runOutputName": "d",
            "targetRegions": regions,
            "excludeFromLatest": True,
            "replicationMode": "Full",
            "versioning": {"scheme": "Latest", "major": 1},
        },
        {**targets, "runOutputName": "e", "versioning": {"scheme": "Source"}},
        {"type": "managedImage", "runOutputName": "f", **managed},
        {**targets, "type": "sharedImage", "runOutputName": "g", "replicationRegions": ["westus"]},
    ]
    return {
        "type": "Microsoft.VirtualMachineImages/imageTemplates",
        "name": "golden",
        "location": "westus",
        "tags": {"a": "b"},
        "identity": {"type": "UserAssigned", "userAssignedIdentities": {IDENTITY: {}}},
        "properties": {
            "source": {
                **{"type": "PlatformImage", "publisher": "p", "offer": "o", "sku": "s", "version": "1.2.3"},
                "planInfo": {"planName": "a", "planProduct": "b", "planPublisher": "c"},
            },
            "customize": customize,
            "distribute": distribute if old else distribute[:5],
            "validate": {
                "continueDistributeOnFailure": True,
                "sourceValidationOnly": False,
                "inVMValidations": [{"type": "Shell", **INLINE}, {**POWER, **SCRIPT}, FILE],
            },
            "buildTimeoutInMinutes": 60,
            "vmProfile": {
                "vmSize": "Standard_D2",
                "osDiskSizeGB": 40,
                "userAssignedIdentities": [IDENTITY],
                "vnetConfig": {"subnetId": f"{NETWORK}/a", "containerInstanceSubnetId": f"{NETWORK}/b"},
            },
            "errorHandling": {"onCustomizerError": "abort", "onValidationError": "cleanup"},
            "optimize": {
                "vmBoot": {"state": "Disabled"},
                "workload": {"state": "Disabled", "scriptUri": "https://x/s", "sha256Checksum": SUM},
            },
            "stagingResourceGroup": f"{GROUP.rpartition('/')[0]}",
            "autoRun": {"state": "Disabled"},
            "managedResourceTags": {"a": "b"},
            "additionalDataDisks": [{"sizeGB": 10}],
        },
    }


@functools.cache
def validator(version: str) -> jsonschema.Draft7Validator:
    return jsonschema.Draft7Validator(merged(version))


@functools.cache
def good(version: str) -> dict[str, Any]:
    """The full template without what the schema of `version` does not know."""
    template = {**full(old=version < "2019-05"), "apiVersion": version}
    for _ in range(100):
        error = next(validator(version).iter_errors(template), None)
        if error is None:
            return template
        while error.context:
            error = error.context[0]
        path = list(error.absolute_path)
        if error.validator == "additionalProperties":
            owner = _at(template, path)
            for name in set(owner) - set(error.schema["properties"]):
                del owner[name]
        else:  # a type or a word that this version has not: the whole step or target goes
            cut = next(index for index in reversed(range(len(path))) if isinstance(path[index], int))
            del _at(template, path[:cut])[path[cut]]
    raise AssertionError("the schema accepts nothing")


def _at(value: Any, path: list[Any]) -> Any:
    for part in path:
        value = value[part]
    return value


def mutations(
    template: dict[str, Any], path: tuple[Any, ...] = ()
) -> Iterator[tuple[str, tuple[Any, ...], Any]]:
    """What happens to one place: (word, path, new value); every place of the template has its turn."""
    value = _at(template, list(path))
    if path:
        yield "without", path, None
        yield "as", path, 5 if isinstance(value, str) else "5"
        yield "as", path, [] if not isinstance(value, list) else {}
        if isinstance(value, bool):
            yield "as", path, str(value).lower()
        elif isinstance(value, int):
            yield "as", path, -2
            yield "as", path, 10_000
        elif isinstance(value, str):
            yield "as", path, value.swapcase()
            yield "as", path, f"{value}."
        if isinstance(path[-1], str):
            yield "renamed", path, path[-1].swapcase()
    if isinstance(value, dict):
        yield "with", (*path, "unknownField"), 1
        for key in value:
            yield from mutations(template, (*path, key))
    elif isinstance(value, list):
        for index in range(len(value)):
            yield from mutations(template, (*path, index))


def mutate(template: dict[str, Any], word: str, path: tuple[Any, ...], value: Any) -> dict[str, Any]:
    result = copy.deepcopy(template)
    owner = _at(result, list(path[:-1]))
    if word == "without":
        del owner[path[-1]]
    elif word == "renamed":
        owner[value] = owner.pop(path[-1])
    else:
        owner[path[-1]] = value
    return result


def objections(template: dict[str, Any]) -> set[str]:
    """The codes of what strict reading refuses a template for."""
    report = Report(JsonDocument("golden.json", json.dumps(template), template), strict=True)
    examine(report, defaults=SCOPE)
    return {d.code for d in report.diagnostics if d.severity == "error"}


def disagreement(version: str, change: tuple[str, tuple[Any, ...], Any]) -> str | None:
    """Why strict reading and the schema do not agree on a mutation; None when they do."""
    path = change[1]
    if path == ("apiVersion",):  # which then names another schema
        return None
    template = mutate(good(version), *change)
    theirs = next(validator(version).iter_errors(template), None)
    ours = objections(template)
    if theirs is not None and not ours:
        return f"{version} {change}: the schema says {theirs.message}"
    mine = ours - OURS_ALONE
    if path[-1] in WE_REQUIRE:
        mine -= {"MissingField", "BadValue"}
    if theirs is None and mine:
        return f"{version} {change}: we say {mine}"
    return None


@pytest.fixture(autouse=True, scope="module")
def _data() -> None:
    require_shared_data()


@pytest.mark.parametrize("version", KNOWN)
def test_a_full_template_of_every_version_is_accepted(version):
    # Some steps of 2019-02-01-preview lose all they run: that version had no scriptUri yet.
    assert objections(good(version)) <= {"NoCustomizerScript"}


@functools.cache
def all_changes(version: str) -> tuple[tuple[str, tuple[Any, ...], Any], ...]:
    return tuple(mutations(good(version)))


# All of the 6000 agree; a few at a time keep the ring short.
@settings(max_examples=40, deadline=None)
@given(st.sampled_from(KNOWN), st.randoms(use_true_random=False))
def test_no_mutation_divides_them(version, random):
    assert disagreement(version, random.choice(all_changes(version))) is None
