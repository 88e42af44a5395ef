"""`templates.read`: whole files, exact places, all problems at once."""

from __future__ import annotations

import json

import pytest
from golden import COMPUTE, MANAGED, SCOPE, bare, deployment, problems_of, reader

import templates
from templates.diagnostics import TemplateError
from templates.errors import GoldsmithError


@pytest.fixture
def read(tmp_path):
    return reader(tmp_path)


@pytest.fixture
def problems(read):
    return problems_of(read)


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
    assert ("error", code) in [p[:2] for p in problems(content)]


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
