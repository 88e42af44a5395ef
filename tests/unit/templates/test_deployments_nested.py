"""Deployments within deployments, as people and Bicep write them."""

from __future__ import annotations

import pytest
from deployed import ABOVE, SCHEMA, Reader, deployment, lines_of, nested, template

from templates.errors import GoldsmithError

GALLERIES = "Microsoft.Compute/galleries"
IDENTIFIER = {"publisher": "p", "offer": "o", "sku": "s"}


@pytest.fixture
def read(tmp_path):
    return Reader(tmp_path)


def test_an_inner_one_has_parameters_and_variables_of_its_own(read):
    inner = deployment(
        template("[parameters('name')]", "[variables('v')]", "[parameters('other')]"),
        parameters={
            "name": {"type": "string"},
            "other": {"type": "string", "defaultValue": "[variables('v')]"},
        },
        variables={"v": "inner"},
    )
    outer = deployment(
        nested("m", inner, {"name": "[concat(variables('v'), '-x')]"}), variables={"v": "outer"}
    )
    assert lines_of(read(outer)) == {"outer-x": ["inner", "inner"]}


@pytest.mark.parametrize("scope", [None, "outer", "Outer"])
def test_an_outer_one_means_those_around_it(read, scope):
    inner = deployment(template("t", "[variables('v')]", "[resourceGroup().name]"), variables={"v": "inner"})
    outer = deployment(nested("m", inner, scope=scope, resourceGroup="OTHER"), variables={"v": "outer"})
    assert lines_of(read(outer)) == {"t": ["outer", "GRP"]}


def test_where_an_inner_one_lands(read):
    inner = deployment({"type": GALLERIES, "name": "gal"}, template("t", "[resourceGroup().id]"))
    document = read(deployment(nested("m", inner, resourceGroup="OTHER", subscriptionId="SUB2")))
    group = "/subscriptions/SUB2/resourceGroups/OTHER"
    assert lines_of(document) == {"t": [group]}
    assert document.galleries[0].id == f"{group}/providers/Microsoft.Compute/galleries/gal"


def test_a_subscription_deployment_holds_ones_for_resource_groups(read):
    definition = {"osType": "Linux", "identifier": IDENTIFIER}
    inner = deployment(
        {"type": f"{GALLERIES}/images", "name": "gal/web", "location": "x", "properties": definition},
        template("t", "[resourceGroup().name]", "[deployment().name]"),
    )
    outer = deployment(
        {"type": "Microsoft.Resources/resourceGroups", "name": "made", "location": "[deployment().location]"},
        nested("m", inner, resourceGroup="made", dependsOn=["made"]),
        **{"$schema": ABOVE},
    )
    document = read(outer)
    assert lines_of(document) == {"t": ["made", "m"]}
    assert document.definitions[0].id.startswith("/subscriptions/SUB/resourceGroups/made/")
    assert [d.code for d in document.diagnostics] == ["Noted"]
    outside = {**outer, "resources": [template()]}
    assert read.warnings(outside) == [("NotInGroup", "/resources/0/type")]


def test_many_levels_and_loops(read):
    value = deployment(
        template("[concat(parameters('p'), copyIndex())]", copy={"name": "x", "count": 2}),
        parameters={"p": {"type": "string"}},
    )
    for level in range(5):
        value = deployment(nested(f"m{level}", value, {"p": "[concat(parameters('p'), 'x')]"}))
        value["parameters"] = {"p": {"type": "string", "defaultValue": "n"}}
    value["resources"][0]["copy"] = {"name": "y", "count": 2}
    value["resources"][0]["name"] = "[concat('m', copyIndex())]"
    parameter = {"value": "[concat(parameters('p'), copyIndex('y'))]"}
    value["resources"][0]["properties"]["parameters"] = {"p": parameter}
    assert list(lines_of(read(value))) == ["n0xxxx0", "n0xxxx1", "n1xxxx0", "n1xxxx1"]


def test_too_many_levels(read):
    value = deployment(template())
    for level in range(20):
        value = deployment(nested(f"m{level}", value))
    ((code, _),) = read.errors(value)
    assert code == "TooComplex"


def test_a_module_as_bicep_compiles_it(read):
    inner = deployment(
        languageVersion="2.0",
        definitions={
            "tags": {"type": "object", "properties": {"owner": {"type": "string", "nullable": True}}}
        },
        parameters={
            "name": {"type": "string"},
            "tags": {"$ref": "#/definitions/tags", "nullable": True},
            "lock": {"type": "object", "nullable": True},
            "baseTime": {"type": "string", "defaultValue": "[utcNow('yyyy')]"},
        },
        resources={
            "lock": {
                "condition": "[not(empty(coalesce(parameters('lock'), createObject())))]",
                "type": "Microsoft.Authorization/locks",
                "apiVersion": "2020-05-01",
                "name": "[parameters('lock').name]",
            },
            "image": template(
                "[parameters('name')]", "[coalesce(tryGet(parameters('tags'), 'owner'), 'none')]"
            ),
        },
    )
    module = nested("m", inner, {"name": "web"})
    module["properties"]["parameters"]["tags"] = (
        "[if(parameters('tagged'), createObject('value', createObject('owner', 'me')),"
        " createObject('value', null()))]"
    )
    module["properties"]["parameters"]["lock"] = {"value": None}
    outer = deployment(module, parameters={"tagged": {"type": "bool"}})
    assert lines_of(read(outer, parameters={"tagged": True})) == {"web": ["me"]}
    assert lines_of(read(outer, parameters={"tagged": False})) == {"web": ["none"]}
    assert read.warnings(outer, parameters={"tagged": True}) == []


def test_what_deploys_no_image_may_be_as_wrong_as_it_likes(read):
    inner = deployment(
        {"type": "Microsoft.Storage/storageAccounts", "name": "[nope()]", "properties": {"a": "[nope()]"}},
        {"type": "Microsoft.KeyVault/vaults", "name": "v", "condition": "[parameters('none')]"},
        parameters={"needed": {"type": "strin"}},
        outputs={"o": {"type": "string", "value": "[listKeys('x', 'y').key]"}},
    )
    outer = deployment(
        nested("[concat('m', variables('none'))]", inner),
        nested("n", inner, {"unknown": "[nope()]"}),
        {
            "type": "Microsoft.Storage/storageAccounts",
            "name": "x",
            "copy": {"name": "c", "count": "[nope()]"},
        },
        {"type": "Microsoft.Web/sites", "name": "x", "condition": False},
        template(),
        outputs={"o": {"type": "string", "value": "[nope()]"}},
    )
    found = [code for code, _ in read.warnings(outer)]
    assert found == ["OtherResource", "OtherResource"]  # each type once, what is not deployed not at all


def test_mistakes_of_one_with_an_image_are_told_where_they_are(read):
    inner = deployment(
        template("t", "[parameters('p')]", "[variables('v')]"), parameters={"p": {"type": "int"}}
    )
    outer = deployment(nested("m", inner, {"p": "text", "q": 1}))
    at = "/resources/0/properties"
    assert read.errors(outer) == [
        ("UnknownVariable", f"{at}/template/resources/0/properties/customize/0/inline/1"),
        ("BadParameter", f"{at}/parameters/p"),
        ("UnknownParameter", f"{at}/parameters/q"),
    ]
    missing = deployment(nested("m", inner))
    assert ("MissingParameter", f"{at}/template/parameters/p") in read.errors(missing)


def test_a_key_vault_cannot_be_asked(read):
    inner = deployment(template("t", "[parameters('p')]"), parameters={"p": {"type": "securestring"}})
    outer = deployment(nested("m", inner))
    outer["resources"][0]["properties"]["parameters"] = {"p": {"reference": {"keyVault": {"id": "x"}}}}
    assert read.errors(outer) == [("NeedsAzure", "/resources/0/properties/parameters/p")]


def test_a_linked_template_is_not_fetched(read):
    linked = nested("m", {})
    linked["properties"] = {"mode": "Incremental", "templateLink": {"uri": "https://example.com/x.json"}}
    assert read.warnings(deployment(linked, template())) == [
        ("LinkedTemplate", "/resources/0/properties/templateLink")
    ]
    assert read.errors(deployment(linked)) == [("NoImageTemplate", "/resources")]
    deep = deployment(nested("outer", deployment(nested("middle", deployment(linked)))), template())
    at = "/resources/0/properties/template/resources/0/properties/template/resources/0"
    assert read.warnings(deep) == [("LinkedTemplate", f"{at}/properties/templateLink")]


def test_a_false_condition_leaves_all_of_it_out(read):
    inner = deployment(template("t", "[nope()]"))
    outer = deployment(nested("m", inner, condition="[equals(1, 2)]"), template())
    assert list(lines_of(read(outer))) == ["golden"]
    assert read.warnings(outer) == [("ConditionFalse", "/resources/0/condition")]


def test_functions_of_the_template(read):
    members = {
        "greet": {
            "parameters": [{"name": "who", "type": "string"}],
            "output": {"type": "string", "value": "[concat('hello ', parameters('WHO'))]"},
        },
        "twice": {"parameters": [], "output": {"type": "string", "value": "[my.twice()]"}},
    }
    sections = {"functions": [{"namespace": "my", "members": members}]}
    good = deployment(template("t", "[my.greet(toUpper('x'))]"), **sections)
    assert lines_of(read(good)) == {"t": ["hello X"]}
    for call, code in [("my.gret('x')", "UnknownFunction"), ("my.greet()", "BadArguments")]:
        assert [c for c, _ in read.errors(deployment(template("t", f"[{call}]"), **sections))] == [code]
    assert read.errors(deployment(template("t", "[my.twice()]"), **sections)) != []


def test_known_neighbours_are_noted(read):
    kinds = [
        "Microsoft.ManagedIdentity/userAssignedIdentities",
        "Microsoft.Authorization/roleAssignments",
        "Microsoft.Authorization/roleAssignments",
        "microsoft.authorization/roledefinitions",
        "Microsoft.Network/virtualNetworks/providers/roleAssignments",
        "Microsoft.Storage/storageAccounts",
        "Microsoft.Storage/storageAccounts",
    ]
    others = [{"type": kind, "name": "x/y/z", "properties": {"a": "[nope()]"}} for kind in kinds]
    child = {
        "type": "triggers",
        "name": "t",
        "apiVersion": "2022-07-01",
        "properties": {"kind": "SourceImage"},
    }
    codes = [code for code, _ in read.warnings(deployment(*others, template(resources=[child])))]
    assert codes == ["Noted", "Noted", "Noted", "Noted", "OtherResource", "Noted"]


def test_a_bicep_file_says_what_to_do(read, tmp_path):
    import templates

    with pytest.raises(GoldsmithError) as caught:
        templates.read(tmp_path / "main.bicep", defaults=templates.DeploymentScope("a", "b", "c"))
    assert "bicep build main.bicep" in caught.value.hint


def test_the_schema_is_compared_without_case(read):
    lowered = {"$schema": SCHEMA.lower(), "resources": [template("t", "[toUpper('x')]")]}
    assert lines_of(read(lowered)) == {"t": ["X"]}


def test_fields_of_arm_are_read_in_any_case(read):
    """ARM compares them without case; the right form is told, and every place stays that of the file."""
    other = {"Type": "Microsoft.Web/sites", "NAME": "x", "DependsOn": ["golden"]}
    odd = {key.capitalize() if key != "$schema" else key: value for key, value in template("t").items()}
    odd["Properties"]["customize"][0]["inline"] = ["[nope()]"]
    odd["Condition"] = "[variables('on')]"
    content = {**deployment(), "Resources": [odd, other], "VARIABLES": {"on": True}}
    del content["resources"]
    found = read.problems(content)
    assert ("UnknownFunction", "/Resources/0/Properties/customize/0/inline/0") in [
        (d.code, d.location.pointer) for d in found
    ]
    renamed = {d.location.pointer.rpartition("/")[2] for d in found if d.code == "WrongCase"}
    assert renamed == {"Type", "Apiversion", "Name", "Location", "Identity", "Properties", "Condition"}


def test_keys_may_be_expressions(read):
    ids = "Microsoft.ManagedIdentity/userAssignedIdentities"
    user = template("t", identity={"type": "UserAssigned"})
    user["identity"]["userAssignedIdentities"] = {f"[resourceId('{ids}', 'me')]": {}}
    (found,) = read(deployment(user)).templates[0].identity.user_assigned_identities
    assert found == f"/subscriptions/SUB/resourceGroups/GRP/providers/{ids}/me"
    user["identity"]["userAssignedIdentities"] = {"[nope()]": {}}
    at = "/resources/0/identity/userAssignedIdentities/[nope()]"
    assert read.errors(deployment(user)) == [("UnknownFunction", at)]
