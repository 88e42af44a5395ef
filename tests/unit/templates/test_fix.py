"""`--fix`: the file in the newest form, and otherwise as it was, to the last blank."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from filled import arguments_for, variables_for
from hypothesis import given, settings
from hypothesis import strategies as st

import templates
from templates import DeploymentScope
from templates.diagnostics import TemplateError
from templates.fix import fix_file, fix_text

SCOPE = DeploymentScope("SUB", "GRP", "westus")
DATA = Path(__file__).parents[3] / ".." / "shared" / "data" / "aib-templates"
NEWEST = "2025-10-01"

OLD = """\
{
    "type" : "Microsoft.VirtualMachineImages",
    "apiVersion": "2018-02-01-preview",
  "name": "golden",
    "location": "westus",

    "properties": {
        "source": { "type": "PlatformImage", "publisher": "Debian", "offer": "debian-12", "sku": "12" },
        "customize": [
            {"type": "shell",   "script": "https://x/\\u0061.sh"},
            {
                "type": "PowerShell", "inline": "dir",
                "runElevated": "True",
                "validExitCodes": ["0", 3010,],
            },
        ],
        "distribute": [
            {"type": "managedImage", "imageId": "/subscriptions/s/resourceGroups/g/providers/\
Microsoft.Compute/images/i", "location": "w", "runOutputName": "out", "tags": {"n": 1}}
        ],
        "provisioningState": "Succeeded",
        "lastRunStatus": {"runState": "Failed"}
    }
}
"""
FIXED = """\
{
    "type" : "Microsoft.VirtualMachineImages/imageTemplates",
    "apiVersion": "2025-10-01",
  "name": "golden",
    "location": "westus",

    "identity": {"type": "None"},

    "properties": {
        "source": { "type": "PlatformImage", "publisher": "Debian", "offer": "debian-12", "sku": "12" },
        "customize": [
            {"type": "Shell",   "scriptUri": "https://x/\\u0061.sh"},
            {
                "type": "PowerShell", "inline": ["dir"],
                "runElevated": true,
                "validExitCodes": [0, 3010]
            }
        ],
        "distribute": [
            {"type": "ManagedImage", "imageId": "/subscriptions/s/resourceGroups/g/providers/\
Microsoft.Compute/images/i", "location": "w", "runOutputName": "out", "artifactTags": {"n": "1"}}
        ]
    }
}
"""


def fix(text, **options):
    return fix_text(text, "golden.json", defaults=SCOPE, **options)


def test_an_old_template_becomes_one_of_the_newest_version():
    result = fix(OLD)
    assert result.text == FIXED
    assert result.left == []
    assert "/properties/customize/0: 'script' becomes 'scriptUri'" in result.changes
    assert "removed 3 trailing commas" in result.changes


def test_twice_is_once():
    again = fix(FIXED)
    assert (again.text, again.changes, again.left) == (FIXED, [], [])


def test_line_ends_tabs_and_other_letters_stay():
    text = OLD.replace("\n", "\r\n").replace("golden", "golden").replace("dir", "écho ☃")
    result = fix(text.replace("    ", "\t"))
    assert result.text == FIXED.replace("\n", "\r\n").replace("dir", "écho ☃").replace("    ", "\t")


def bare(**properties):
    return {
        "type": "Microsoft.VirtualMachineImages/imageTemplates",
        "apiVersion": NEWEST,
        "name": "golden",
        "location": "westus",
        "identity": {"type": "None"},
        "properties": {
            "source": {"type": "PlatformImage", "publisher": "Debian", "offer": "debian-12", "sku": "12"},
            "distribute": [{"type": "VHD", "runOutputName": "out"}],
            **properties,
        },
    }


def deployment(resource, **sections):
    return {
        "$schema": "https://schema.management.azure.com/schemas/2019-04-01/deploymentTemplate.json#",
        "contentVersion": "1.0.0.0",
        **sections,
        "resources": [resource],
    }


def test_what_is_missing_is_added_where_people_look_for_it():
    content = bare()
    for name in ("type", "apiVersion", "name", "identity"):
        del content[name]
    result = fix(json.dumps(content, indent=2))
    assert result.text.startswith(
        """{
  "type": "Microsoft.VirtualMachineImages/imageTemplates",
  "apiVersion": "2025-10-01",
  "name": "golden",
  "location": "westus",
  "identity": {"type": "None"},
  "properties": {
    "source": {
"""
    )
    assert result.left == []


def test_a_file_on_one_line_stays_on_it():
    content = bare(customize=[{"type": "shell", "script": "x"}])
    del content["identity"]
    result = fix(json.dumps(content))
    assert "\n" not in result.text
    assert json.loads(result.text) == bare(customize=[{"type": "Shell", "scriptUri": "x"}])


def test_comments_stay_and_are_said():
    text = OLD.replace('"name"', '// who\n  "name"').replace(
        '"provisioningState"', '/* ro */ "provisioningState"'
    )
    result = fix(text)
    assert "// who" in result.text
    assert "/* ro */" in result.text
    assert [d.code for d in result.left if d.code == "Comment"] == ["Comment"]
    assert fix(result.text).changes == []


def test_other_mistakes_are_left_and_told():
    content = bare(customize=[{"type": "shell", "inlin": []}], x=1)
    result = fix(json.dumps(content, indent=1))
    assert json.loads(result.text)["properties"]["customize"] == [{"type": "Shell", "inlin": []}]
    assert {d.code for d in result.left} == {"UnknownField", "NoCustomizerScript"}


def test_what_an_expression_says_is_followed_when_nothing_else_uses_it():
    content = deployment(
        {**bare(), "apiVersion": "[parameters('api-version')]"},
        parameters={"api-version": {"type": "string", "defaultValue": "2020-02-14"}},
    )
    result = fix(json.dumps(content, indent=1))
    assert json.loads(result.text)["parameters"]["api-version"]["defaultValue"] == NEWEST
    assert json.loads(result.text)["resources"][0]["apiVersion"] == "[parameters('api-version')]"
    assert result.left == []


@pytest.mark.parametrize(
    "parameter",
    [
        {"type": "string", "defaultValue": "2018-02-01-preview", "allowedValues": ["2018-02-01-preview"]},
        {"type": "secureString", "defaultValue": "2018-02-01-preview"},
    ],
)
def test_where_the_version_cannot_change_its_own_spellings_stay(parameter):
    resource = {**bare(customize=[{"type": "shell", "script": "x"}]), "apiVersion": "[parameters('v')]"}
    del resource["identity"]
    resource["properties"]["distribute"] = [
        {
            "type": "managedImage",
            "imageId": "/subscriptions/s/resourceGroups/g/providers/Microsoft.Compute/images/i",
            "location": "w",
            "runOutputName": "out",
        }
    ]
    text = json.dumps(deployment(resource, parameters={"v": parameter}), indent=1)
    result = fix(text)
    assert (result.text, result.changes) == (text, [])
    assert [d.code for d in result.left] == ["NotFixed"]


@pytest.mark.parametrize(
    "parameter",
    [
        {"type": "string", "defaultValue": "60"},
        {"$ref": "#/definitions/text"},
        {"type": "string", "defaultValue": "60", "allowedValues": ["60", "90"]},
    ],
)
def test_a_default_stays_what_the_type_of_its_parameter_says(parameter):
    content = deployment(
        bare(buildTimeoutInMinutes="[parameters('minutes')]"),
        languageVersion="2.0",
        definitions={"text": {"type": "string", "defaultValue": "60"}},
        parameters={"minutes": {"defaultValue": "60", **parameter}},
    )
    text = json.dumps(content, indent=1)
    result = fix(text)
    assert (result.text, result.changes) == (text, [])
    assert [d.code for d in result.left] == ["QuotedValue"]


def test_a_default_of_the_right_type_is_followed():
    content = deployment(
        bare(customize=[{"type": "[parameters('kind')]", "inline": ["x"]}]),
        parameters={"kind": {"type": "string", "defaultValue": "shell"}},
    )
    result = fix(json.dumps(content, indent=1))
    assert json.loads(result.text)["parameters"]["kind"]["defaultValue"] == "Shell"
    assert result.left == []


def test_a_value_that_is_computed_is_left_alone():
    content = deployment(
        bare(customize=[{"type": "PowerShell", "inline": ["x"], "runElevated": "[concat('tr', 'ue')]"}])
    )
    text = json.dumps(content, indent=1)
    result = fix(text)
    assert result.text == text
    assert [(d.code, d.location.pointer) for d in result.left] == [
        ("QuotedValue", "/resources/0/properties/customize/0/runElevated")
    ]


def test_no_secret_is_said():
    content = deployment(
        bare(buildTimeoutInMinutes="[parameters('p')]"),
        parameters={"p": {"type": "secureString", "defaultValue": "123456"}},
    )
    result = fix(json.dumps(content))
    assert result.left
    assert "123456" not in str([(d.message, d.hint) for d in result.left]) + str(result.changes)


def test_a_file_that_is_no_json_is_an_error(tmp_path):
    path = tmp_path / "x.json"
    path.write_text('{"a": }')
    with pytest.raises(TemplateError):
        fix_file(path, defaults=SCOPE)


def test_the_file_itself_is_not_touched(tmp_path):
    path = tmp_path / "golden.json"
    path.write_text(OLD)
    result = fix_file(path, defaults=SCOPE)
    assert result.text == FIXED
    assert path.read_text() == OLD


# Not JSON, though its name does not say so.
TRAILING_COMMA = "Linux_Shared_Image_Gallery_Image_with_build_VM_MSI"
REAL = [p for p in sorted(DATA.rglob("*.json")) if not p.name.startswith("INVALID__")]


@pytest.mark.parametrize("path", REAL, ids=lambda path: path.name[-50:])
def test_real_templates_are_fixed_once_and_for_all(path):
    text = path.read_text("utf-8-sig")
    values = {"variables": variables_for(text)}
    if TRAILING_COMMA not in path.name:
        values["parameters"] = arguments_for(json.loads(text))
    result = fix_text(text, path.name, defaults=SCOPE, **values)
    again = fix_text(result.text, path.name, defaults=SCOPE, **values)
    assert (again.text, again.changes) == (result.text, [])
    # What a parameter's value brings can be said only.
    assert {d.code for d in result.left} <= {"NotFixed"}, result.left


SLOPPY = st.sampled_from(
    [
        {"type": "shell", "script": "x"},
        {"type": "SHELL", "Inline": "x"},
        {"type": "powershell", "inline": ["x"], "runelevated": "TRUE", "validExitCodes": "0"},
        {"type": "File", "SourceURI": "x", "destination": "/x", "name": 5},
        {"type": "WindowsUpdate", "updateLimit": "20", "filters": "include:a"},
    ]
)


@settings(max_examples=20, deadline=None)
@given(
    st.lists(SLOPPY, max_size=4),
    st.sampled_from([None, 1, 4]),
    st.sampled_from(["2018-02-01-preview", NEWEST]),
)
def test_what_was_fixed_says_the_same_as_before(tmp_path_factory, steps, indent, version):
    content = {**bare(customize=steps), "apiVersion": version}
    folder = tmp_path_factory.mktemp("fix")
    (folder / "old.json").write_text(json.dumps(content, indent=indent))
    result = fix_file(folder / "old.json", defaults=SCOPE)
    (folder / "new.json").write_text(result.text)
    old = templates.read(folder / "old.json", defaults=SCOPE).templates[0]
    new = templates.read(folder / "new.json", defaults=SCOPE, strict=True)
    assert new.templates[0].model_copy(update={"api_version": version}) == old
    assert fix_text(result.text, "x.json", defaults=SCOPE).changes == []
