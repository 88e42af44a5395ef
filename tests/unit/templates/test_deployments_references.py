"""reference(), resourceId() and their like: what a file says of its own resources."""

from __future__ import annotations

import pytest
from deployed import Reader, deployment, lines_of, nested, template

COMPUTE = "/subscriptions/SUB/resourceGroups/GRP/providers/Microsoft.Compute"
IDENTITY = {
    "type": "Microsoft.ManagedIdentity/userAssignedIdentities",
    "apiVersion": "2023-01-31",
    "name": "me",
    "location": "north",
}
GALLERY = {
    "type": "Microsoft.Compute/galleries",
    "apiVersion": "2024-03-03",
    "name": "gal",
    "location": "[concat('we', 'st')]",
    "tags": {"a": "b"},
    "properties": {"description": "[concat('de', 'sc')]", "softDeletePolicy": None},
}


@pytest.fixture
def read(tmp_path):
    return Reader(tmp_path)


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ("reference('gal').description", "desc"),
        ("reference('GALLERY').description", "desc"),
        ("reference('Microsoft.Compute/galleries/gal').description", "desc"),
        ("reference(resourceId('Microsoft.Compute/galleries', 'gal'), '2024-03-03').description", "desc"),
        ("reference('gallery', '2024-03-03', 'full').location", "west"),
        ("reference('gallery', '2024-03-03', 'Full').tags.a", "b"),
        ("reference('gallery', '2024-03-03', 'Full').properties.description", "desc"),
        ("reference('gallery', '2024-03-03', 'Full').resourceId", f"{COMPUTE}/galleries/gal"),
        ("resourceInfo('gallery').id", f"{COMPUTE}/galleries/gal"),
        ("string(contains(reference('gallery'), 'softDeletePolicy'))", "False"),
        ("string(length(reference('me').principalId))", "36"),
        ("string(equals(reference('me').principalId, reference('idn').clientId))", "False"),
        ("reference('idn', '2023-01-31', 'full').location", "north"),
        ("reference('other').distribute[0].runOutputName", "out"),
        ("join(map(references('many', 'full'), lambda('x', lambdaVariables('x').name)), ',')", "m0,m1"),
        ("reference('many[1]', '2025-10-01', 'full').name", "m1"),
        ("reference('store', '2023-01-01', 'full').location", "s"),
        ("resourceInfo('there').name", "st2"),
        ("coalesce(tryGet(reference('gallery'), 'none'), 'nothing')", "nothing"),
    ],
)
def test_what_the_file_says_of_its_resources(read, expression, value):
    many = template("[concat('m', copyIndex())]", copy={"name": "many", "count": 2})
    store = {"type": "Microsoft.Storage/storageAccounts", "apiVersion": "x", "name": "st", "location": "s"}
    resources = {
        "gallery": GALLERY,
        "idn": IDENTITY,
        "store": store,
        "there": {**store, "name": "st2", "existing": True},
        "other": template("other"),
        "many": many,
        "user": template("user", f"[{expression}]"),
    }
    document = read(deployment(languageVersion="2.0", resources=resources))
    assert lines_of(document)["user"] == [value]


def test_made_up_ids_are_the_same_each_time_and_noted(read):
    content = deployment(IDENTITY, template("t", "[reference('me').principalId]"))
    first = read(content)
    assert lines_of(first) == lines_of(read(content))
    assert [d.code for d in first.diagnostics] == ["Noted", "MadeUp"]


def test_outputs_of_modules_each_by_itself(read):
    inner = deployment(
        GALLERY,
        template("t"),
        outputs={
            "id": {"type": "string", "value": "[resourceId('Microsoft.Compute/galleries', 'gal')]"},
            "bad": {"type": "string", "value": "[reference('/subscriptions/x/somewhere').else]"},
            "off": {"type": "string", "condition": False, "value": "[nope()]"},
        },
    )
    module = nested("m", inner, resourceGroup="OTHER")
    where = "resourceId('OTHER', 'Microsoft.Resources/deployments', 'm')"
    good = template(
        "u", f"[reference({where}, '2022-09-01').outputs.id.value]", "[reference('m').outputs.id.type]"
    )
    in_group = f"{COMPUTE}/galleries/gal".replace("GRP", "OTHER")
    assert lines_of(read(deployment(good, module)))["u"] == [in_group, "string"]
    bad = template("u", "[reference('m').outputs.bad.value]", "[reference('m').outputs.none]")
    found = read.problems(deployment(module, bad))
    assert [(d.code, d.location.pointer) for d in found] == [
        ("NeedsAzure", "/resources/0/properties/template/outputs/bad/value"),
        ("UnknownProperty", "/resources/1/properties/customize/0/inline/1"),
    ]


def test_a_module_may_use_what_another_one_deploys(read):
    first = deployment(
        {**IDENTITY}, outputs={"id": {"type": "string", "value": "[reference('me').principalId]"}}
    )
    second = deployment(template("t", "[parameters('who')]"), parameters={"who": {"type": "string"}})
    who = "[reference('first').outputs.id.value]"
    document = read(deployment(nested("second", second, {"who": who}), nested("first", first)))
    ((line,),) = lines_of(document).values()
    assert len(line) == 36


@pytest.mark.parametrize(
    ("expression", "code"),
    [
        ("reference('nothing').x", "NeedsAzure"),
        ("reference(resourceId('Microsoft.Web/sites', 'x'), '2020').host", "NeedsAzure"),
        ("reference('st').primaryEndpoints.blob", "NeedsAzure"),
        ("reference('st', '2023', 'full').properties.primaryEndpoints.blob", "NeedsAzure"),
        ("reference('existing').x", "NeedsAzure"),
        ("listKeys('st', '2023').keys[0].value", "NeedsAzure"),
        ("reference('off').description", "NotDeployed"),
        ("reference('twin').x", "AmbiguousReference"),
        ("reference('user').customize", "Cycle"),
        ("references('none')", "UnknownResource"),
        ("managementGroup().id", "NeedsAzure"),
    ],
)
def test_what_only_azure_could_answer_is_said_so(read, expression, code):
    store = {"type": "Microsoft.Storage/storageAccounts", "apiVersion": "x", "name": "st", "location": "s"}
    resources = {
        "store": store,
        "existing": {**store, "existing": True, "name": "gone"},
        "off": {**GALLERY, "condition": False},
        "a": {**store, "name": "twin"},
        "b": {**IDENTITY, "name": "twin"},
        "user": template("user", f"[string({expression})]"),
    }
    found = [d for d in read.problems(deployment(resources=resources)) if d.severity == "error"]
    assert [d.code for d in found] == [code]
    assert found[0].location.pointer == "/resources/user/properties/customize/0/inline/0"


def test_nobody_looks_at_what_is_not_chosen(read):
    line = "[if(true(), 'a', reference('nothing').x)]"
    assert lines_of(read(deployment(template("t", line))))["t"] == ["a"]


def test_the_answers_about_the_place(read):
    lines = [
        "[subscription().subscriptionId]",
        "[resourceGroup().location]",
        "[deployment().name]",
        "[tenant().tenantId]",
        "[environment().name]",
        "[environment().suffixes.storage]",
        "[deployment().properties.template.contentVersion]",
    ]
    found = lines_of(read(deployment(template("t", *lines))))["t"]
    assert found[:3] == ["SUB", "westus", "golden"]
    assert found[4:] == ["AzureCloud", "core.windows.net", "1.0.0.0"]
