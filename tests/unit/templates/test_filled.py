"""The values that tests make up for real templates fit whatever a deployment declares."""

from __future__ import annotations

import pytest
from deployed import Reader, deployment, nested, template
from filled import arguments_for, variables_for

DEFINITIONS = {
    "target": {
        "type": "object",
        "discriminator": {
            "propertyName": "type",
            "mapping": {"VHD": {"$ref": "#/definitions/vhd"}, "Other": {"$ref": "#/definitions/other"}},
        },
    },
    "vhd": {
        "type": "object",
        "properties": {
            "type": {"type": "string", "allowedValues": ["VHD"]},
            "runOutputName": {"type": "string", "minLength": 5},
            "artifactTags": {"type": "object", "nullable": True},
        },
        "additionalProperties": False,
    },
    "other": {"type": "object", "properties": {"type": {"type": "string", "allowedValues": ["Other"]}}},
}


def filled(content, tmp_path):
    """The only template of a deployment whose parameters are made up."""
    content["definitions"] = DEFINITIONS
    document = Reader(tmp_path)(content, parameters=arguments_for(content))
    (template,) = document.templates
    return document.data_of(template)


@pytest.mark.parametrize(
    ("definition", "value"),
    [
        ({"type": "string"}, "x"),
        ({"type": "string", "minLength": 4, "maxLength": 6}, "xxxx"),
        ({"type": "secureString", "allowedValues": ["a", "b"]}, "a"),
        ({"type": "string", "defaultValue": "d"}, "d"),
        ({"type": "string", "maxLength": 0}, ""),
    ],
)
def test_a_text_is_within_its_limits(definition, value, tmp_path):
    content = deployment(template("golden", "echo", "[parameters('p')]"), parameters={"p": definition})
    assert filled(content, tmp_path)["properties"]["customize"][0]["inline"] == ["echo", value]


@pytest.mark.parametrize(
    ("definition", "minutes"),
    [({"type": "int"}, 60), ({"type": "int", "minValue": 90}, 90), ({"type": "int", "maxValue": 30}, 30)],
)
def test_a_number_is_what_its_field_takes(definition, minutes, tmp_path):
    content = deployment(template(), parameters={"p": definition})
    content["resources"][0]["properties"]["buildTimeoutInMinutes"] = "[parameters('p')]"
    assert filled(content, tmp_path)["properties"]["buildTimeoutInMinutes"] == minutes


@pytest.mark.parametrize(
    "written",
    [
        "[parameters('id')]",
        "[variables('id')]",
        "[concat(parameters('id'), '/versions/latest')]",
        "[format('{0}/versions/{1}', parameters('id'), 'latest')]",
    ],
)
def test_an_id_is_one_where_a_field_wants_one(written, tmp_path):
    content = deployment(template(), parameters={"id": {"type": "string"}})
    content["variables"] = {"id": "[parameters('id')]"}
    content["resources"][0]["properties"]["source"] = {
        "type": "SharedImageVersion",
        "imageVersionId": written,
    }
    found = filled(content, tmp_path)["properties"]["source"]["imageVersionId"]
    assert found.partition("/versions/")[0].endswith("/galleries/g/images/d")


def test_user_defined_types_are_filled_as_they_are_declared(tmp_path):
    targets = {"type": "array", "items": {"$ref": "#/definitions/target"}, "minLength": 1}
    content = deployment(template(), parameters={"targets": targets})
    content["resources"][0]["properties"]["distribute"] = "[parameters('targets')]"
    assert filled(content, tmp_path)["properties"]["distribute"] == [
        {"type": "VHD", "runOutputName": "xxxxx"}
    ]


def test_an_object_without_a_shape_has_what_is_read_of_it(tmp_path):
    content = deployment(
        template("[parameters('build').name]", "[parameters('build').deep.inner]"),
        parameters={"build": {"type": "object"}},
    )
    assert filled(content, tmp_path)["name"] == "x"


def test_a_nested_deployment_says_what_its_argument_becomes(tmp_path):
    inner = deployment(template(), parameters={"where": {"type": "object"}})
    inner["resources"][0]["properties"]["source"] = "[parameters('where')]"
    content = deployment(
        nested("inner", inner, {"where": "[parameters('image')]"}), parameters={"image": {"type": "object"}}
    )
    assert filled(content, tmp_path)["properties"]["source"]["type"] == "PlatformImage"


def test_a_placeholder_is_what_its_place_takes():
    text = (
        '{"identity": {"type": "UserAssigned", "userAssignedIdentities": {"<me>": {}}},'
        ' "source": {"imageVersionId": "/subscriptions/<sub>/x/<imageVersion>"}, "location": "<where it is>"}'
    )
    found = variables_for(text)
    assert found["me"].endswith("/userAssignedIdentities/me")
    assert found == {"me": found["me"], "sub": "sub", "imageVersion": "1.0.0", "where it is": "whereitis"}
