"""`<subscriptionID>`: what quickstarts leave to be filled in."""

from __future__ import annotations

import pytest
from deployed import Reader, deployment, lines_of, template

from builder.cli.reading import variables


@pytest.fixture
def read(tmp_path):
    return Reader(tmp_path)


def quickstart():
    found = template("golden", "echo <scriptUrl> <name>")
    found["identity"] = {"type": "UserAssigned", "userAssignedIdentities": {"<imgBuilderId>": {}}}
    found["properties"]["distribute"] = [
        {
            "type": "ManagedImage",
            "runOutputName": "<runOutputName>",
            "imageId": "/subscriptions/<subscriptionID>/resourceGroups/<rgName>"
            "/providers/Microsoft.Compute/images/<SIG name>",
            "location": "<region>",
            "artifactTags": {"group": "<rgName>"},
        }
    ]
    return found


def test_each_is_one_error_that_names_its_places(read):
    found = [d for d in read.problems(quickstart()) if d.severity == "error"]
    assert {d.message.split("'")[1] for d in found} == {
        *("<imgBuilderId>", "<runOutputName>", "<subscriptionID>", "<rgName>", "<SIG name>", "<region>")
    }
    assert {d.code for d in found} == {"Placeholder"}  # and nothing else is said about the same values
    (twice,) = [d for d in found if "<rgName>" in d.message]
    lines = read.path.read_text().split("\n")
    numbers = [n for n, line in enumerate(lines, 1) if "<rgName>" in line]
    assert f"in the lines {', '.join(map(str, numbers))}" in twice.message
    assert twice.location.column == lines[numbers[0] - 1].index("<rgName>") + 1
    assert '--var "SIG name=VALUE"' in next(d.hint for d in found if "SIG" in d.message)


def test_var_fills_them_in_values_and_keys(read):
    identity = (
        "/subscriptions/S/resourceGroups/G/providers/Microsoft.ManagedIdentity/userAssignedIdentities/i"
    )
    given = variables(
        [
            *("runOutputName=out", "subscriptionID=S", "rgName=G", "SIG name=img", "region=west"),
            *(f"imgBuilderId={identity}", "scriptUrl=URL", "name=N"),
        ],
        [],
    )
    document = read(quickstart(), variables=given)
    (target,) = document.templates[0].properties.distribute
    assert target.image_id == "/subscriptions/S/resourceGroups/G/providers/Microsoft.Compute/images/img"
    assert target.artifact_tags == {"group": "G"}
    assert list(document.templates[0].identity.user_assigned_identities) == [identity]
    # In script lines `<name>` is a redirection; only a name with a capital letter is none.
    assert lines_of(document)["golden"] == ["echo URL <name>"]


def test_what_looks_like_one_in_a_script_is_a_warning(read):
    lines = [
        *(
            "curl <scriptUrl> <scriptUrl>",
            "cat <file >Out",
            "cat <<EOF",
            "<Add>1</Add>",
            "New-Object List<String>",
        ),
        *("<Config>", "</Config>"),
    ]
    (found,) = read(template("golden", *lines)).diagnostics
    assert (found.severity, found.code) == ("warning", "Placeholder")
    assert found.message == "'<scriptUrl>' looks as if it were to be filled in"
    assert found.location.pointer == "/properties/customize/0/inline/0"
    assert "--var scriptUrl=VALUE" in found.hint
    sure = template("golden", "echo <rgName>", tags={"group": "<rgName>"})
    (error,) = read.problems(sure)
    assert error.severity == "error"
    assert error.message.startswith("'<rgName>' is still to be filled in; it stands in the lines ")


def test_within_expressions_the_value_stays_a_text(read):
    content = deployment(template("t", "x", tags={"who": "[toUpper('<who>')]"}))
    assert read(content, variables={"who": "o'neill"}).templates[0].tags == {"who": "O'NEILL"}


def test_what_is_not_used_need_not_be_filled(read):
    parameters = {
        "unused": {"type": "string", "defaultValue": "<rgName>", "metadata": {"description": "e.g. <thing>"}},
        "used": {"type": "string", "defaultValue": "<region>"},
    }
    gallery = {
        "type": "Microsoft.Compute/galleries",
        "name": "gal",
        "location": "x",
        "properties": {"description": "made by <somebody>"},
    }
    other = {"type": "Microsoft.Storage/storageAccounts", "name": "<accountName>"}
    content = deployment(gallery, other, template("t", "cat <File"), parameters=parameters)
    assert len(read(content).templates) == 1
    content["resources"][2]["location"] = "[parameters('used')]"
    assert read.errors(content) == [("Placeholder", "/resources/2/location")]
