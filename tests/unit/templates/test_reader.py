"""`templates.read`: whole files, exact places, all problems at once."""

from __future__ import annotations

import json

import pytest

import templates
from templates import DeploymentScope
from templates.diagnostics import TemplateError
from templates.errors import GoldsmithError

SCOPE = DeploymentScope("SUB", "GRP", "westus")
COMPUTE = "/subscriptions/SUB/resourceGroups/GRP/providers/Microsoft.Compute"
PLATFORM = {"type": "PlatformImage", "publisher": "Debian", "offer": "debian-12", "sku": "12"}


def bare(**properties):
    body = {"source": PLATFORM, "distribute": [{"type": "VHD", "runOutputName": "out"}], **properties}
    return {
        "type": "Microsoft.VirtualMachineImages/imageTemplates",
        "apiVersion": "2025-10-01",
        "name": "golden",
        "location": "westus",
        "identity": {"type": "None"},
        "properties": body,
    }


def deployment(*resources, **sections):
    return {
        "$schema": "https://schema.management.azure.com/schemas/2019-04-01/deploymentTemplate.json#",
        "contentVersion": "1.0.0.0",
        **sections,
        "resources": list(resources) or [bare()],
    }


@pytest.fixture
def read(tmp_path):
    def call(content, **options):
        path = tmp_path / "golden.json"
        path.write_text(content if isinstance(content, str) else json.dumps(content, indent=1))
        return templates.read(path, defaults=SCOPE, **options)

    return call


@pytest.fixture
def problems(read):
    """(severity, code, pointer) of everything said about a file."""

    def call(content, **options):
        try:
            found = read(content, **options).diagnostics
        except TemplateError as error:
            found = error.diagnostics
        return [(d.severity, d.code, d.location.pointer) for d in found]

    return call


def test_a_good_bare_template_has_nothing_to_say(read):
    document = read(bare(customize=[{"type": "Shell", "inline": ["true"]}]), strict=True)
    (template,) = document.templates
    assert document.diagnostics == ()
    assert template.name == "golden"
    assert template.properties.customize[0].inline == ["true"]
    assert document.pointer_of(template) == ""
    assert document.locate("/properties/customize/0/type").line > 1


def test_a_deployment_with_gallery_definition_and_template(read):
    image = "resourceId('Microsoft.Compute/galleries/images', variables('gallery'), parameters('definition'))"
    target = {"type": "SharedImage", "runOutputName": "out", "galleryImageId": f"[{image}]"}
    identifier = {"publisher": "p", "offer": "o", "sku": "s"}
    properties = {"osType": "Linux", "osState": "Generalized", "identifier": identifier}
    nested = {"type": "images", "apiVersion": "2024-03-03", "name": "nested", "properties": properties}
    document = read(
        deployment(
            {"type": "Microsoft.Compute/galleries", "name": "[variables('gallery')]", "resources": [nested]},
            {
                "type": "Microsoft.Compute/galleries/images",
                "name": "[concat(variables('GALLERY'), '/', parameters('definition'))]",
                "dependsOn": ["x"],
                "properties": properties,
            },
            bare(distribute=[target]),
            parameters={"definition": {"type": "string", "defaultValue": "web"}},
            variables={"gallery": "gal"},
        )
    )
    gallery, (nested_image, image_definition) = document.galleries[0], document.definitions
    assert gallery.id == f"{COMPUTE}/galleries/gal"
    assert nested_image.id == f"{COMPUTE}/galleries/gal/images/nested"
    assert image_definition.id == f"{COMPUTE}/galleries/gal/images/web"
    assert image_definition.location == "westus"
    assert document.templates[0].properties.distribute[0].gallery_image_id == image_definition.id
    assert document.pointer_of(nested_image) == "/resources/0/resources/0"
    assert document.pointer_of(document.templates[0]) == "/resources/2"


def test_jinja_comes_before_arm_and_spares_other_braces(read):
    inline = [
        "echo {{ who }}",
        "echo ${#list[@]} {#",
        "[concat('{{ who }}', '!')]",
        "{% raw %}{{.Vars}}{% endraw %}",
    ]
    template = bare(customize=[{"type": "Shell", "inline": inline}])
    document = read(deployment(template), variables={"who": "me"})
    assert document.templates[0].properties.customize[0].inline == [
        "echo me",
        "echo ${#list[@]} {#",
        "me!",
        "{{.Vars}}",
    ]


def test_expressions_stay_texts_in_a_bare_template(read):
    inline = ["[[ -f /x ]]", "[parameters('x')]"]
    document = read(bare(customize=[{"type": "Shell", "inline": inline}]))
    assert document.templates[0].properties.customize[0].inline == inline


@pytest.mark.parametrize(
    ("line", "code", "column", "hint"),
    [
        ("echo {{ who }}", "UndefinedVariable", 9, "--var who=VALUE"),
        ("{{.Vars}}", "BadInterpolation", 0, "{% raw %}"),
        ("echo ${{ secrets.X }}", "UndefinedVariable", 10, "{% raw %}"),
        ("{% if %}", "BadInterpolation", 0, "{% raw %}"),
        ("{{ ''.__class__.__mro__ }}", "BadInterpolation", 0, None),
        ("{{ 'a' * 999999999 }}", "BadInterpolation", 0, None),
        ("{{ 1 / 0 }}", "BadInterpolation", 0, "{% raw %}"),
    ],
)
def test_jinja_errors_are_located(read, line, code, column, hint):
    text = json.dumps(bare(customize=[{"type": "Shell", "inline": [line]}]), indent=1)
    with pytest.raises(TemplateError) as caught:
        read(text)
    (found,) = caught.value.diagnostics
    row, source = next((n, s) for n, s in enumerate(text.split("\n"), 1) if json.dumps(line) in s)
    assert (found.code, found.location.line) == (code, row)
    start = source.index('"') + 1  # of the quote; the text follows it
    assert found.location.column == start + column
    assert (hint or "") in (found.hint or "")


def test_secure_parameters_are_secrets_and_never_shown(read):
    sections = {
        "parameters": {
            "password": {"type": "secureString", "minLength": 30},
            "object": {"type": "secureObject", "defaultValue": {"deep": ["hidden one"]}},
        }
    }
    inline = ["[concat('x ', parameters('password'))]", "[parameters('object').deep[0]]"]
    content = deployment(bare(customize=[{"type": "Shell", "inline": inline}]), **sections)
    good = "correct horse battery staple 42"
    document = read(content, parameters={"PASSWORD": good})
    assert document.secrets == (good, "hidden one")
    with pytest.raises(TemplateError) as caught:
        read(content, parameters={"password": "too short"})
    assert "too short" not in str([d.message for d in caught.value.diagnostics])


@pytest.mark.parametrize(
    ("definition", "given", "part"),
    [
        ({"type": "string"}, {}, "the parameter 'p' has no value"),
        ({"type": "string"}, {"p": 5}, "must be a string, not an int"),
        ({"type": "int"}, {"p": True}, "must be an int, not a bool"),
        ({"type": "int", "maxValue": 3}, {"p": 4}, "at most 3, not 4"),
        ({"type": "string", "minLength": 3}, {"p": "ab"}, "at least 3 long, not 2"),
        ({"type": "string", "allowedValues": ["a", "b"]}, {"p": "c"}, "'c' is not allowed"),
        ({"type": "strin"}, {"p": "c"}, "'strin' is no type"),
        ({"type": "string", "defaultValue": 5}, {}, "must be a string, not an int"),
        ({"type": "string"}, {"p": "x", "q": 1}, "a value is given for 'q'"),
        ({"type": "string", "defaultValue": "[parameters('p')]"}, {}, "p -> p"),
        ({"type": "string", "defaultValue": "[parameters('P2')]"}, {}, "no parameter 'P2'"),
    ],
)
def test_parameter_problems(read, definition, given, part):
    content = deployment(
        bare(customize=[{"type": "Shell", "inline": ["[parameters('p')]"]}]), parameters={"p": definition}
    )
    with pytest.raises(TemplateError) as caught:
        read(content, parameters=given)
    errors = [d for d in caught.value.diagnostics if d.severity == "error"]
    assert [part in d.message for d in errors] == [True], errors
    assert errors[0].location.pointer.startswith("/parameters")


def test_a_variable_that_fails_is_reported_once_where_it_stands(problems):
    inline = ["[variables('a')]", "[variables('a')]", "[variables('b')]"]
    template = bare(customize=[{"type": "Shell", "inline": inline}])
    variables = {"a": "[variables('b')]", "b": "[concat(variables('c'))]", "c": "[variables('A')]"}
    assert problems(deployment(template, variables=variables)) == [("error", "Cycle", "/variables/c")]


def test_a_long_chain_of_variables_is_no_traceback(problems):
    variables = {f"v{i}": f"[concat(concat(variables('v{i + 1}')))]" for i in range(3000)}
    template = bare(customize=[{"type": "Shell", "inline": ["[variables('v0')]"]}])
    ((severity, code, _),) = problems(deployment(template, variables=variables))
    assert (severity, code) == ("error", "BadExpression")


E = "error"
W = "warning"
SHELL = {"type": "Shell", "inline": ["true"]}
SHARED = {"type": "SharedImage", "runOutputName": "out", "galleryImageId": f"{COMPUTE}/galleries/g/images/d"}
MANAGED = {"type": "ManagedImage", "runOutputName": "out", "imageId": f"{COMPUTE}/images/i", "location": "w"}
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


def test_defaults_for_what_is_left_out(read):
    content = {k: v for k, v in bare().items() if k in ("properties",)}
    (template,) = read(content).templates
    assert (template.name, template.location, template.api_version) == ("golden", "westus", "2025-10-01")


@pytest.mark.parametrize(
    ("content", "code"),
    [
        ([], "WrongType"),
        ({}, "NotATemplate"),
        ({"builders": []}, "NotATemplate"),
        ({**deployment(), "$schema": "x/deploymentParameters.json#"}, "NotATemplate"),
        (deployment({"type": "Microsoft.Storage/storageAccounts", "name": "s"}), "NoImageTemplate"),
        ({**bare(), "type": "Microsoft.Compute/galleries"}, "NotATemplate"),
        ({**bare(), "apiVersion": "2024-02-02"}, "ApiVersion"),
        (deployment({**bare(), "copy": {"name": "x", "count": 2}}), "DuplicateResource"),
    ],
)
def test_files_that_are_something_else(problems, content, code):
    assert (E, code) in [p[:2] for p in problems(content)]


def test_other_resources_and_false_conditions_are_left_alone(read):
    skipped = {**bare(), "name": "other", "condition": "[parameters('no')]", "properties": {"bad": 1}}
    document = read(
        deployment(
            {"type": "Microsoft.Storage/storageAccounts", "name": "[unknown()]"},
            skipped,
            bare(),
            parameters={"no": {"type": "bool", "defaultValue": False}},
        )
    )
    assert [t.name for t in document.templates] == ["golden"]
    assert [d.code for d in document.diagnostics] == ["OtherResource", "ConditionFalse"]


def test_placeholders_are_filled_by_variables_except_in_scripts(read):
    content = bare(
        customize=[{"type": "Shell", "inline": ["sort <name> x"]}],
        distribute=[{**MANAGED, "imageId": f"{COMPUTE}/images/<name>"}],
    )
    (template,) = read(content, variables={"name": "web"}).templates
    assert template.properties.distribute[0].image_id == f"{COMPUTE}/images/web"
    assert template.properties.customize[0].inline == ["sort <name> x"]


@pytest.mark.parametrize("name", ["missing.json", ".", "utf16.json", "latin.json"])
def test_unreadable_files_are_usage_errors(tmp_path, name):
    (tmp_path / "utf16.json").write_bytes('{"a": 1}'.encode("utf-16"))
    (tmp_path / "latin.json").write_bytes(b'{"a":\n "\xe4"}')
    with pytest.raises(GoldsmithError) as caught:
        templates.read(tmp_path / name, defaults=SCOPE)
    assert caught.value.exit_code == 2
    assert (tmp_path / name).name in caught.value.message
    if name == "latin.json":
        assert ":2:3:" in caught.value.message


@pytest.mark.parametrize(
    ("content", "values"),
    [
        ({"$schema": "deploymentParameters", "parameters": {"a": {"value": 1}}}, {"a": 1}),
        ({"parameters": {"a": {"value": [1]}}}, {"a": [1]}),
        ({"a": 1, "parameters": "x"}, {"a": 1, "parameters": "x"}),
    ],
)
def test_parameter_files(tmp_path, content, values):
    path = tmp_path / "p.json"
    path.write_text(json.dumps(content))
    assert templates.load_parameters(path) == values


def test_a_diagnostic_for_people(read):
    text = json.dumps(bare(customize=[{"type": "Shel"}]), indent=1)
    with pytest.raises(TemplateError) as caught:
        read(text)
    (found,) = caught.value.diagnostics
    head, source, caret, hint = templates.format_diagnostic(found, text).split("\n")
    assert head.endswith(
        f":{found.location.line}:{found.location.column}: error UnknownType: 'Shel' is no known type"
    )
    assert source[caret.index("^") :].startswith('"Shel"')
    assert hint == "  hint: did you mean 'Shell'?"


def test_a_long_line_is_cut_around_the_place(read):
    text = json.dumps(bare(customize=[{"type": "Shel", "name": "x" * 3000}]))
    with pytest.raises(TemplateError) as caught:
        read(text)
    _, source, caret, _ = templates.format_diagnostic(caught.value.diagnostics[0], text).split("\n")
    assert len(source) < 120
    assert source[caret.index("^") :].startswith('"Shel"')
