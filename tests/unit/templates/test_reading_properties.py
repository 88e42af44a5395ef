"""No input makes the reader raise anything but our own errors, and every error can be shown."""

from __future__ import annotations

import copy
import json
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import templates
from templates.diagnostics import TemplateError
from templates.errors import GoldsmithError

SCOPE = templates.DeploymentScope("00000000-0000-0000-0000-000000000000", "goldsmith", "local")
EXAMPLES = [
    path.read_text() for path in sorted((Path(__file__).parents[3] / "examples").glob("*/template.json"))
]
RUNS = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])

DEPLOYMENT = {
    "$schema": "https://schema.management.azure.com/schemas/2019-04-01/deploymentTemplate.json#",
    "contentVersion": "1.0.0.0",
    "parameters": {
        "name": {"type": "string", "defaultValue": "web", "allowedValues": ["web", "db"], "maxLength": 5},
        "token": {"type": "secureString", "defaultValue": "[concat('a', parameters('name'))]"},
        "count": {"type": "int", "defaultValue": 2, "minValue": 1},
        "tags": {"type": "object", "defaultValue": {"a": {"b": [1, 2]}}},
        "list": {"type": "array", "defaultValue": [1, "[variables('group')]"]},
    },
    "variables": {"group": "[resourceGroup().name]", "gallery": "[concat(variables('group'), 'gallery')]"},
    "resources": [
        {
            "type": "Microsoft.Compute/galleries",
            "apiVersion": "2022-03-03",
            "name": "[variables('gallery')]",
            "location": "local",
            "properties": {"description": "d"},
            "resources": [
                {
                    "type": "images",
                    "apiVersion": "2022-03-03",
                    "name": "app",
                    "dependsOn": ["[variables('gallery')]"],
                    "properties": {
                        "osType": "Linux",
                        "osState": "Generalized",
                        "identifier": {"publisher": "p", "offer": "o", "sku": "s"},
                    },
                }
            ],
        },
        {
            "condition": "[equals(parameters('count'), 2)]",
            "copy": {"name": "c", "count": "[parameters('count')]"},
            **json.loads(EXAMPLES[0]).get("resources", [json.loads(EXAMPLES[0])])[0],
            "name": "[concat('t', copyIndex())]",
        },
        {
            "type": "Microsoft.Resources/deployments",
            "apiVersion": "2022-09-01",
            "name": "nested",
            "properties": {
                "mode": "Incremental",
                "expressionEvaluationOptions": {"scope": "inner"},
                "parameters": {"x": {"value": 1}},
                "template": {
                    "contentVersion": "1.0.0.0",
                    "parameters": {"x": {"type": "int"}},
                    "resources": [],
                },
            },
        },
    ],
    "outputs": {"id": {"type": "string", "value": "[resourceId('Microsoft.Compute/galleries', 'g')]"}},
}
VALUES = [json.loads(text) for text in EXAMPLES] + [DEPLOYMENT]

FRAGMENTS = st.sampled_from(
    [
        "parameters('name')",
        "parameters('tags').a.b[0]",
        "variables('group')",
        "concat(",
        "'it''s'",
        "format('{0}{9}', 1)",
        "copyIndex()",
        "resourceId(",
        "reference('x')",
        "[0]",
        ".a",
        ")",
        ",",
        "-1",
        "99999999999999999999",
        "'",
        "[",
        "]",
        "range(0, 9)",
        "substring('abc', 5)",
        "utcNow()",
        "json('{')",
        "lambda('x', lambdaVariables('x'))",
        "int('x')",
        "base64ToString('!')",
        "dateTimeAdd('x', 'y')",
        "toUpper(1)",
        "createObject('a')",
        "union(1, 2)",
        "div(1, 0)",
        "map(createArray(1, 2), lambda('x', add(lambdaVariables('x'), 1)))",
        "split('a,b', ',')",
    ]
)
EXPRESSIONS = st.lists(FRAGMENTS, max_size=5).map(lambda parts: "[" + "".join(parts) + "]")
TEXTS = (
    st.text(max_size=12)
    | EXPRESSIONS
    | st.sampled_from(["{{ x }}", "{{", "{% for %}", "{{ 1/0 }}", "<name>", "latest"])
    | st.sampled_from(["/subscriptions/a", "\x00", "PT1H", "true", "3", "2018-02-01-preview", "Shell", "VHD"])
)
SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | TEXTS
JSON = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=8,
)


def places(value, path=()):
    """The paths of everything inside a JSON value."""
    if isinstance(value, dict | list):
        for key, item in value.items() if isinstance(value, dict) else enumerate(value):
            yield (*path, key)
            yield from places(item, (*path, key))


@st.composite
def mutated(draw):
    """One of the examples with a few values replaced, removed, renamed or doubled."""
    value = copy.deepcopy(draw(st.sampled_from(VALUES)))
    for _ in range(draw(st.integers(1, 4))):
        path = draw(st.sampled_from(list(places(value)) or [()]))
        if not path:
            return draw(JSON)
        inside = value
        for key in path[:-1]:
            inside = inside[key]
        key, how = path[-1], draw(st.sampled_from(["replace", "text", "remove", "rename", "double"]))
        if how == "remove":
            del inside[key]
        elif how == "rename" and isinstance(inside, dict):
            inside[draw(TEXTS | st.just(key.upper()))] = inside.pop(key)
        elif how == "double" and isinstance(inside, list):
            inside.append(copy.deepcopy(inside[key]))
        else:
            inside[key] = draw(TEXTS if how == "text" else JSON)
    return value


@st.composite
def broken(draw):
    """The text of an example with some of it missing, doubled or overwritten."""
    text = draw(st.sampled_from(EXAMPLES))
    for _ in range(draw(st.integers(1, 3))):
        start = draw(st.integers(0, len(text)))
        end = min(len(text), start + draw(st.integers(0, 30)))
        text = text[:start] + draw(st.text(max_size=6) | st.just(text[start:end] * 2)) + text[end:]
    return text


def look_at(data: bytes, *, strict: bool, variables=None, parameters=None):
    """Read `data`; what is wrong with it must be ours, have a place and be fit to be shown."""
    with tempfile.NamedTemporaryFile(suffix=".json") as file:
        Path(file.name).write_bytes(data)
        try:
            document = templates.read(
                Path(file.name), strict=strict, defaults=SCOPE, variables=variables, parameters=parameters
            )
        except TemplateError as error:
            found = error.diagnostics
            assert any(item.severity == "error" for item in found)
        except GoldsmithError as error:
            assert error.message
            return
        else:
            found = document.diagnostics
            assert not any(item.severity == "error" for item in found)
            for template in document.templates:
                document.locate(document.pointer_of(template))
        text = data.decode("utf-8", "replace")
        for item in found:
            assert item.location.line >= 1
            assert item.location.column >= 1
            assert templates.format_diagnostic(item, text).encode()


@RUNS
@given(st.binary(max_size=200), st.booleans())
def test_any_bytes(data, strict):
    look_at(data, strict=strict)


@RUNS
@given(broken(), st.booleans())
def test_any_text(text, strict):
    look_at(text.encode("utf-8", "replace"), strict=strict)


@RUNS
@given(JSON, st.booleans())
def test_any_value(value, strict):
    look_at(json.dumps(value).encode(), strict=strict)


@RUNS
@given(mutated(), st.booleans())
def test_anything_like_a_template(value, strict):
    look_at(json.dumps(value).encode(), strict=strict)


@RUNS
@given(EXPRESSIONS | TEXTS, st.sampled_from(["variables", "parameters", "resources"]))
def test_any_expression(text, where):
    value = copy.deepcopy(DEPLOYMENT)
    if where == "variables":
        value["variables"]["group"] = text
    elif where == "parameters":
        value["parameters"]["tags"]["defaultValue"] = {text: text}
    else:
        value["resources"][1]["name"] = text
        value["resources"][1]["condition"] = text
    look_at(json.dumps(value).encode(), strict=False)


@RUNS
@given(st.dictionaries(st.sampled_from(["name", "token", "count", "tags", "list", "x"]), JSON, max_size=3))
def test_any_parameters_and_variables(values):
    variables = {name: str(value) for name, value in values.items()}
    look_at(json.dumps(DEPLOYMENT).encode(), strict=False, parameters=values)
    look_at(EXAMPLES[0].encode(), strict=False, variables=variables)


@RUNS
@given(
    st.binary(max_size=60)
    | JSON.map(lambda value: json.dumps(value).encode())
    | st.dictionaries(TEXTS, JSON, max_size=2).map(lambda value: json.dumps({"parameters": value}).encode())
)
def test_any_parameter_file(data):
    with tempfile.NamedTemporaryFile(suffix=".json") as file:
        Path(file.name).write_bytes(data)
        try:
            values = templates.load_parameters(Path(file.name))
        except GoldsmithError as error:
            assert error.message
        else:
            assert all(isinstance(name, str) for name in values)


@pytest.mark.parametrize(
    "data",
    [
        b"[" * 10**6,
        b'{"a":' * 10**5,
        b'{"properties": ' + b"[" * 99 + b"]" * 99 + b"}",
        b'{"properties": {"customize": ' + b"[{}," * 3 + b"1" * 5000 + b"]}}",
        b'{"resources": [' + b"{}," * 5000 + b"{}]}",
        b'{"contentVersion": "1", "resources": [], "variables": {"a": "[' + b"concat(" * 5000 + b']"}}',
        b'{"contentVersion": "1", "resources": "[' + b"(" * 5000 + b']"}',
        b'{"properties": {"source": "{{ ' + b"(" * 3000 + b')}}"}}',
    ],
    ids=lambda data: data[:24].decode(),
)
def test_bombs(data):
    look_at(data, strict=False)
