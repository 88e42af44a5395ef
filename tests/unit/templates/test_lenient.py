"""Templates as people write them: what is taken with a warning, what strict reading says to it."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

import templates
from templates import DeploymentScope
from templates.diagnostics import TemplateError

SCOPE = DeploymentScope("SUB", "GRP", "westus")
PLATFORM = {"type": "PlatformImage", "publisher": "Debian", "offer": "debian-12", "sku": "12"}
VHD = {"type": "VHD", "runOutputName": "out"}
COMPUTE = "/subscriptions/SUB/resourceGroups/GRP/providers/Microsoft.Compute"
NETWORK = "/subscriptions/SUB/resourceGroups/GRP/providers/Microsoft.Network/virtualNetworks"
SHARED = {"type": "SharedImage", "runOutputName": "out", "galleryImageId": f"{COMPUTE}/galleries/g/images/d"}
MANAGED = {"type": "ManagedImage", "runOutputName": "out", "imageId": f"{COMPUTE}/images/i", "location": "w"}
FILE_CHECK = {"inVMValidations": [{"type": "File", "sourceUri": "x", "destination": "/x"}]}
C0, D0 = "/properties/customize/0", "/properties/distribute/0"
OLD = {"apiVersion": "2018-02-01-preview"}


def bare(properties=None, **fields):
    return {
        "type": "Microsoft.VirtualMachineImages/imageTemplates",
        "apiVersion": "2025-10-01",
        "name": "golden",
        "location": "westus",
        "identity": {"type": "None"},
        **fields,
        "properties": {"source": PLATFORM, "distribute": [VHD], **(properties or {})},
    }


def shell(**fields):
    return {"customize": [{"type": "Shell", "inline": ["true"], **fields}]}


def power(**fields):
    return {"customize": [{"type": "PowerShell", "inline": ["true"], **fields}]}


@pytest.fixture
def read(tmp_path):
    def call(content, **options):
        path = tmp_path / "golden.json"
        path.write_text(json.dumps(content, indent=1))
        return templates.read(path, defaults=SCOPE, **options)

    return call


@pytest.fixture
def complaints(read):
    """(code, pointer) of all that is said; that strict reading says each as an error is checked here."""

    def call(content):
        found = [(d.code, d.location.pointer) for d in read(content).diagnostics if d.code != "NoEffect"]
        if found:
            with pytest.raises(TemplateError) as caught:
                read(content, strict=True)
            errors = [d for d in caught.value.diagnostics if d.severity == "error"]
            assert [(d.code, d.location.pointer) for d in errors] == found
        else:
            read(content, strict=True)
        return found

    return call


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (bare({"customize": [{"type": "Shell", "script": "x"}]}), [("OldSpelling", f"{C0}/script")]),
        (bare({"customize": [{"type": "PowerShell", "Script": "x"}]}), [("OldSpelling", f"{C0}/Script")]),
        (bare({"distribute": [{**VHD, "tags": {"a": "b"}}]}), [("OldSpelling", f"{D0}/tags")]),
        (bare({"distribute": [{**VHD, "aritfactTags": {"a": "b"}}]}), [("Misspelt", f"{D0}/aritfactTags")]),
        (bare({"distribute": [{**MANAGED, "type": "managedImage"}]}), [("OldSpelling", f"{D0}/type")]),
        (bare({"distribute": [{**SHARED, "type": "sharedImage"}]}), [("OldSpelling", f"{D0}/type")]),
        (bare({"distribute": [{**SHARED, "type": "SHAREDIMAGE"}]}), [("WrongCase", f"{D0}/type")]),
        (bare(shell(type="shell")), [("OldSpelling", f"{C0}/type")]),
        (bare(power(type="powershell")), [("WrongCase", f"{C0}/type")]),
        (
            bare({"customize": [{"Type": "Shell", "Inline": ["x"]}]}),
            [("WrongCase", f"{C0}/Type"), ("WrongCase", f"{C0}/Inline")],
        ),
        (bare({"vmProfile": {"osdiskSizeGb": "40"}}),
         [("WrongCase", "/properties/vmProfile/osdiskSizeGb"),
          ("QuotedValue", "/properties/vmProfile/osdiskSizeGb")]),
        (bare({"errorHandling": {"onCustomizerError": "Abort"}}),
         [("WrongCase", "/properties/errorHandling/onCustomizerError")]),
        (bare({"distribute": [{**SHARED, "versioning": {"scheme": "latest"}}]}),
         [("WrongCase", f"{D0}/versioning/scheme")]),
        (bare(power(runElevated="true")), [("QuotedValue", f"{C0}/runElevated")]),
        (bare(power(validExitCodes=["0", "3010"])),
         [("QuotedValue", f"{C0}/validExitCodes/0"), ("QuotedValue", f"{C0}/validExitCodes/1")]),
        (bare(power(validExitCodes=3010)), [("NotAList", f"{C0}/validExitCodes")]),
        (bare({"buildTimeoutInMinutes": "60"}), [("QuotedValue", "/properties/buildTimeoutInMinutes")]),
        (bare({"customize": [{"type": "Shell", "inline": "echo hi"}]}), [("NotAList", f"{C0}/inline")]),
        (bare({"customize": {"type": "Shell", "inline": ["x"]}}), [("NotAList", "/properties/customize")]),
        (bare({"distribute": [{**VHD, "artifactTags": {"build": 7, "ok": True}}]}),
         [("NotAString", f"{D0}/artifactTags/build"), ("NotAString", f"{D0}/artifactTags/ok")]),
        (bare(tags={"n": 1}), [("NotAString", "/tags/n")]),
        (bare(apiVersion="2019-05-01-Preview"), [("WrongCase", "/apiVersion")]),
        (bare({"source": {**PLATFORM, "version": "Latest"}}), [("WrongCase", "/properties/source/version")]),
        (bare(type="Microsoft.VirtualMachineImages"), [("ShortType", "/type")]),
        (bare(type="microsoft.virtualmachineimages/imagetemplates"), [("WrongCase", "/type")]),
        (bare({"identity": {"type": "None"}}, identity={"type": "None"}),
         [("UnknownField", "/properties/identity")]),
        (bare({"osDiskSizeGB": 40, "vnetConfig": {"subnetId": f"{NETWORK}/v/subnets/s"}}),
         [("Misplaced", "/properties/osDiskSizeGB"), ("Misplaced", "/properties/vnetConfig")]),
        (bare(buildTimeoutInMinutes=60), [("Misplaced", "/buildTimeoutInMinutes")]),
        (bare({"vmProfile": {"vnetConfig": {"name": "v", "subnetName": "s", "resourceGroupName": "g"}}}),
         [("OldNetwork", "/properties/vmProfile/vnetConfig")]),
        (bare({"source": {"type": "ISO", "sourceURI": "x", "sha256Checksum": "0" * 64}}),
         [("RemovedFromApi", "/properties/source/type"), ("OldSpelling", "/properties/source/sourceURI")]),
    ],
)  # fmt: skip
def test_slips_are_warnings_and_errors_when_strict(complaints, content, expected):
    assert complaints(content) == expected


def test_all_of_it_reads_as_if_it_had_been_written_right(read):
    sloppy = bare(
        {
            "customize": [
                {"type": "shell", "script": "a.sh"},
                {"type": "powerShell", "inline": "dir", "RunElevated": "True", "validExitCodes": ["0", 1]},
            ],
            "distribute": [
                {**SHARED, "type": "sharedImage", "tags": {"n": 1}, "replicationRegions": "westus"}
            ],
            "vmSize": "Standard_D2",
            "vmProfile": {"vnetConfig": {"name": "v", "subnetName": "s"}},
        }
    )
    (template,) = read(sloppy).templates
    script, power_shell = template.properties.customize
    (target,) = template.properties.distribute
    assert (script.type, script.script_uri) == ("Shell", "a.sh")
    assert power_shell.inline == ["dir"]
    assert (power_shell.run_elevated, power_shell.valid_exit_codes) == (True, [0, 1])
    assert (target.artifact_tags, target.replication_regions) == ({"n": "1"}, ["westus"])
    assert template.properties.vm_profile.vm_size == "Standard_D2"
    assert template.properties.vm_profile.vnet_config.subnet_id == f"{NETWORK}/v/subnets/s"


def test_later_problems_point_at_the_old_spelling(read):
    content = bare({"customize": [{"type": "Shell", "script": 5.5}]})
    with pytest.raises(TemplateError) as caught:
        read(content)
    assert ("WrongType", f"{C0}/script") in [(d.code, d.location.pointer) for d in caught.value.diagnostics]
    document = read(bare({"customize": [{"type": "Shell", "name": "n", "script": "x"}]}))
    place = document.locate(f"{C0}/scriptUri")
    assert document.text.split("\n")[place.line - 1].strip() == '"script": "x"'
    assert document.data_of(document.templates[0])["properties"]["customize"][0]["scriptUri"] == "x"


def test_the_computed_json_of_a_file_is_not_changed_by_reading_it(read):
    content = bare(shell(type="shell"))
    before = json.dumps(content)
    read(content)
    assert json.dumps(content) == before


@pytest.mark.parametrize(
    ("properties", "code", "pointer"),
    [
        (power(runElevatd=True), "UnknownField", f"{C0}/runElevatd"),
        (shell(type="Shel"), "UnknownType", f"{C0}/type"),
        (power(runElevated="yes"), "WrongType", f"{C0}/runElevated"),
        (power(validExitCodes=["zero"]), "WrongType", f"{C0}/validExitCodes/0"),
        ({"buildTimeoutInMinutes": 60.5}, "WrongType", "/properties/buildTimeoutInMinutes"),
        ({"source": {**PLATFORM, "sku": 18.10}}, "WrongType", "/properties/source/sku"),
        (shell(script="x", scriptUri="y", inline=None), "ExclusiveFields", f"{C0}/script"),
        ({"errorHandling": {"onCustomizerError": "stop"}}, "BadValue",
         "/properties/errorHandling/onCustomizerError"),
    ],
)  # fmt: skip
def test_what_nobody_can_guess_stays_an_error(read, properties, code, pointer):
    with pytest.raises(TemplateError) as caught:
        read(bare(properties))
    errors = [(d.code, d.location.pointer) for d in caught.value.diagnostics if d.severity == "error"]
    assert errors == [(code, pointer)]


@pytest.mark.parametrize(
    ("version", "properties", "expected"),
    [
        ("2020-02-14", {"validate": FILE_CHECK},
         "/properties/validate"),
        ("2022-02-14", {"validate": FILE_CHECK},
         "/properties/validate/inVMValidations/0/type"),
        ("2019-05-01-preview", {"customize": [{"type": "WindowsUpdate", "updateLimit": 1}]}, f"{C0}/type"),
        ("2019-02-01-preview", {"customize": [{"type": "Shell", "scriptUri": "x"}]}, f"{C0}/scriptUri"),
        ("2023-07-01", {"autoRun": {"state": "Disabled"}}, "/properties/autoRun"),
        ("2024-02-01", {"distribute": [{**SHARED, "replicationMode": "Full"}]}, f"{D0}/replicationMode"),
        ("2020-02-14",
         {"distribute": [{**SHARED, "replicationRegions": ["a"], "storageAccountType": "Premium_LRS"}]},
         f"{D0}/storageAccountType"),
        ("2019-02-01-preview", {"distribute": [{**VHD, "runOutputName": "a.b"}]}, f"{D0}/runOutputName"),
        ("2020-02-14", {"vmProfile": {"userassignedidentities": []}}, None),
    ],
)  # fmt: skip
def test_what_came_after_the_declared_version(read, version, properties, expected):
    content = bare(properties, apiVersion=version)
    if version < "2019-05":
        del content["identity"]
    kind, other = "NewerThanApiVersion", "WrongCase"
    warnings = [(d.code, d.location.pointer) for d in read(content).diagnostics if d.code in (kind, other)]
    if expected is None:  # wrong case and too new: both are said at the one place
        place = "/properties/vmProfile/userassignedidentities"
        assert warnings == [(other, place), (kind, place)]
    else:
        assert warnings == [(kind, expected)]
    with pytest.raises(TemplateError) as caught:
        read(content, strict=True)
    assert (kind, warnings[-1][1]) in [(d.code, d.location.pointer) for d in caught.value.diagnostics]


def test_strict_takes_the_spellings_of_the_declared_version(read):
    content = bare(
        {
            "source": {"type": "ISO", "sourceURI": "x", "sha256Checksum": "0" * 64},
            "customize": [{"type": "shell", "script": "x"}],
            "distribute": [
                {**MANAGED, "type": "managedImage"},
                {**SHARED, "type": "sharedImage", "runOutputName": "b", "replicationRegions": ["a"]},
            ],
        },
        **OLD,
    )
    del content["identity"]
    document = read(content, strict=True)
    assert document.diagnostics == ()
    assert document.templates[0].properties.source.source_uri == "x"
    assert {d.code for d in read(content).diagnostics} == {"OldSpelling"}


def test_what_only_older_versions_required(complaints):
    content = bare({"distribute": [SHARED]}, apiVersion="2020-02-14")
    assert complaints(content) == [("OnceRequired", D0)]
    assert complaints({**content, "apiVersion": "2022-07-01"}) == []


@pytest.mark.parametrize(
    ("version", "wanted"), [("2019-05-01-preview", []), ("2020-02-14", ["MissingIdentity"])]
)
def test_the_identity_is_asked_for_since_2020(complaints, version, wanted):
    content = bare(apiVersion=version)
    del content["identity"]
    assert [code for code, _ in complaints(content)] == wanted


def test_extensions_of_others_are_left_alone(read):
    step = {"type": "x-Ansible", "Playbook": "p", "become": "true", "inline": "x"}
    document = read(bare({"customize": [step]}))
    assert document.diagnostics == ()
    assert document.templates[0].properties.customize[0].options == {
        "Playbook": "p",
        "become": "true",
        "inline": "x",
    }


def test_expressions_that_come_out_in_the_wrong_type(read):
    content = {
        "$schema": "https://schema.management.azure.com/schemas/2019-04-01/deploymentTemplate.json#",
        "contentVersion": "1.0.0.0",
        "parameters": {"elevated": {"type": "string", "defaultValue": "true"}},
        "resources": [bare(power(runElevated="[parameters('elevated')]"))],
    }
    document = read(content)
    assert document.templates[0].properties.customize[0].run_elevated is True
    assert [d.code for d in document.diagnostics] == ["QuotedValue"]


def test_the_page_names_every_code():
    """Those of the slips above, with what the reader of JSON and the other checks add."""
    page = (Path(__file__).parents[3] / "docs" / "template-differences.md").read_text()
    part = page.partition("## What lenient reading takes")[2].partition("\n# ")[0]
    named = {code for line in part.splitlines() if line.startswith("| `") for code in _codes(line)}
    assert {"OldSpelling", "TrailingComma", "Comment", "ReadOnlyField"} <= named
    texts = [path.read_text() for path in (Path(__file__).parents[3] / "templates").rglob("*.py")]
    said = {code for text in texts for code in re.findall(r'(?:lenient|Slip)\(\s*"(\w+)"', text)} | {
        "OldSpelling",
        "Misspelt",
    }
    assert named - {"TrailingComma", "Comment"} <= said
    about_form = said - RULES
    assert about_form <= named


# Rules of what fits together: strict for Azure's sake, and no question of form.
RULES = {
    *("ShortTimeout", "OddVersion", "NoIdentity", "ExclusiveFields", "BadResourceId", "NotInGroup"),
    *("WrongVersion", "TooManyTriggers", "TriggerSource", "TriggerTarget"),
}


def _codes(line):
    return re.findall(r"`(\w+)`", line.split("|")[1])
