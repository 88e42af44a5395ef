"""Parameters: their types, where their values come from, and that secret ones are never shown."""

from __future__ import annotations

import json

import pytest
from deployed import SCOPE, Reader, deployment, lines_of, nested, template

import templates
from templates.arm.definitions import ParameterError, Types
from templates.diagnostics import TemplateError
from templates.errors import GoldsmithError


@pytest.fixture
def read(tmp_path):
    return Reader(tmp_path)


# -- --var ----------------------------------------------------------------------------------------


def test_var_fills_parameters_in_their_type(read):
    parameters = {
        "n": {"type": "int", "maxValue": 9},
        "yes": {"type": "Bool"},
        "list": {"type": "array"},
        "obj": {"$ref": "#/definitions/thing"},
        "text": {"type": "string", "defaultValue": "x"},
    }
    definitions = {"thing": {"type": "object", "properties": {"a": {"type": "int"}}}}
    names = ("n", "yes", "list", "obj", "text")
    lines = [f"[string(parameters('{name}'))]" for name in names]
    content = deployment(template("t", *lines), parameters=parameters, definitions=definitions)
    given = {"N": "7", "yes": "TRUE", "list": '["a"]', "obj": '{"a": 1}', "text": "12", "unrelated": "z"}
    assert lines_of(read(content, variables=given))["t"] == ["7", "True", '["a"]', '{"a":1}', "12"]
    assert lines_of(read(content, variables=given, parameters={"n": 3}))["t"][0] == "7"


@pytest.mark.parametrize(
    ("definition", "text", "part"),
    [
        ({"type": "int"}, "5x", "is an int"),
        ({"type": "int"}, "9" * 5000, "is an int"),
        ({"type": "int", "maxValue": 3}, "4", "at most 3"),
        ({"type": "bool"}, "yes", "is a bool"),
        ({"type": "array"}, '{"a": 1}', "is an array"),
        ({"type": "object"}, "[" * 100_000, "is an object"),
        ({"type": "object"}, '{"a": NaN}', "is an object"),
        ({"type": "secureObject"}, "hunter2", "is an object"),
    ],
)
def test_var_that_does_not_fit(read, definition, text, part):
    content = deployment(template("t", "[string(parameters('p'))]"), parameters={"p": definition})
    (found,) = read.problems(content, variables={"p": text})
    assert (found.code, found.location.pointer) == ("BadParameter", "/parameters/p")
    assert part in found.message
    assert "hunter2" not in found.message


# -- secrets --------------------------------------------------------------------------------------


def test_secrets_deep_in_objects_are_known(read):
    thing = {
        "type": "object",
        "properties": {"user": {"type": "string"}, "login": {"$ref": "#/definitions/login"}},
    }
    login = {"type": "object", "properties": {"keys": {"type": "array", "items": {"type": "securestring"}}}}
    document = read(
        deployment(
            template("t", "[parameters('p').login.keys[0]]"),
            languageVersion="2.0",
            definitions={"thing": thing, "login": login},
            parameters={"p": {"$ref": "#/definitions/thing"}, "pin": {"type": "secureObject"}},
        ),
        parameters={
            "p": {"user": "me", "login": {"keys": ["first secret", "second"]}},
            "pin": {"code": 987654, "on": True},
        },
    )
    assert document.secrets == ("first secret", "second", "987654")


def test_secrets_given_to_modules_and_out_of_them(read):
    inner = deployment(
        template("t", "[parameters('p')]"),
        parameters={"p": {"type": "securestring"}},
        outputs={"o": {"type": "securestring", "value": "[concat('made of ', parameters('p'))]"}},
    )
    user = template("u", "[reference('m').outputs.o.value]")
    document = read(
        deployment(
            nested("m", inner, {"p": "[concat('in', 'ner')]"}), user, parameters={"x": {"type": "int"}}
        ),
        variables={"x": "1"},
    )
    assert set(document.secrets) == {"inner", "made of inner"}


SECRET = 'pa"ss\\wörd-' + "x" * 80


def test_no_message_shows_a_secret_not_even_its_start_or_its_line(read):
    parameters = {
        "short": {"type": "secureString", "defaultValue": SECRET, "minLength": 500},
        "listed": {"type": "secureString", "allowedValues": [SECRET], "defaultValue": "other"},
        "obj": {"type": "secureObject", "defaultValue": {"k": SECRET}},
        "typed": {
            "type": "object",
            "defaultValue": {"k": SECRET},
            "properties": {"k": {"type": "securestring", "maxLength": 3}},
        },
    }
    broken = template("t", "[int(parameters('obj').k)]", "[parameters('short')]", "[parameters('listed')]")
    broken["properties"]["customize"][0]["inline"].append("[string(parameters('typed'))]")
    broken["properties"]["vmProfile"] = "[parameters('obj')]"
    broken["properties"]["source"] = {"type": "[parameters('obj').k]"}
    broken["properties"]["buildTimeoutInMinutes"] = "[parameters('obj')]"
    read.path.write_text(
        json.dumps(deployment(broken, parameters=parameters), ensure_ascii=False)
    )  # one line
    with pytest.raises(TemplateError) as caught:
        templates.read(read.path, defaults=SCOPE)
    text = read.path.read_text()
    shown = "\n".join(templates.format_diagnostic(d, text) for d in caught.value.diagnostics)
    assert len(caught.value.diagnostics) >= 5
    assert 'pa"ss' not in shown
    assert "pa\\" not in shown
    assert "xxxxxx" not in shown


def test_what_functions_make_of_a_secret_is_a_secret(read):
    lines = {
        "[concat('login ', toUpper(parameters('pw')))]": "HUNTER-TWO",
        "[take(parameters('pw'), 6)]": "Hunter",
        "[base64(parameters('pw'))]": "SHVudGVyLVR3bw==",
        "[format('{0} {1}', 'echo', uriComponent(parameters('odd')))]": "a%26b%20c",
        "[map(split(parameters('pw'), '-'), lambda('p', toLower(lambdaVariables('p'))))[0]]": "hunter",
        "[my.shout(parameters('pw'))]": "HUNTER-TWO!",
        "[string(add(int(parameters('pin')), 1))]": "54322",
        "[variables('low')]": "hunter-two",
    }
    shout = {
        "parameters": [{"name": "a", "type": "string"}],
        "output": {"type": "string", "value": "[toUpper(concat(parameters('a'), '!'))]"},
    }
    content = deployment(
        template("t", *lines),
        functions=[{"namespace": "my", "members": {"shout": shout}}],
        variables={"low": "[toLower(parameters('pw'))]"},
        parameters={"pw": {"type": "securestring"}, "odd": {"type": "securestring"}}
        | {"pin": {"type": "secureString"}},
    )
    document = read(content, parameters={"pw": "Hunter-Two", "odd": "a&b c", "pin": "54321"})
    assert set(lines.values()) <= set(document.secrets)


def test_what_stands_beside_a_secret_is_none(read):
    lines = (
        "[split(concat('user name:', parameters('pw')), ':')[0]]",
        '[json(concat(\'{"a": "plain text", "b": "\', parameters(\'pw\'), \'"}\')).a]',
        "[createObject('a', 'other text', 'b', parameters('pw')).a]",
        "[if(equals(parameters('pw'), 'x'), 'production', 'testing')]",
        "[format('{0:D8}', length(parameters('pw')))]",
        "[toUpper('westus')]",
        "[concat('echo ', parameters('pw'))]",
    )
    content = deployment(template("t", *lines), parameters={"pw": {"type": "securestring"}})
    assert read(content, parameters={"pw": "Hunter-Two"}).secrets == ("Hunter-Two",)


def test_no_message_shows_what_was_made_of_a_secret(read):
    content = deployment(
        template("[toUpper(parameters('pw'))]", "[substring(base64(parameters('pw')), 99, 5)]"),
        parameters={"pw": {"type": "securestring", "defaultValue": "not a name"}},
    )
    shown = " ".join(f"{d.message} {d.hint}" for d in read.problems(content))
    assert "**** " in shown.replace("'****'", "**** ")
    assert "NOT A NAME" not in shown


# -- types of the template's own ------------------------------------------------------------------

TYPES = Types(
    {
        "loop": {"$ref": "#/definitions/loop"},
        "tagged": {
            "type": "object",
            "discriminator": {
                "propertyName": "type",
                "mapping": {"a": {"$ref": "#/definitions/a"}, "b": {"type": "object"}},
            },
        },
        "a": {
            "type": "object",
            "properties": {
                "type": {"type": "string", "allowedValues": ["a"]},
                "n": {"type": "int", "minValue": 2},
                "maybe": {"type": "string", "nullable": True},
            },
            "additionalProperties": False,
        },
        "tree": {"type": "object", "properties": {"next": {"$ref": "#/definitions/tree", "nullable": True}}},
        "odd/name": {"type": "string"},
    }
)
TUPLE = {"type": "array", "prefixItems": [{"type": "int"}, {"type": "string"}], "items": False}


@pytest.mark.parametrize(
    ("definition", "value"),
    [
        ({"$ref": "#/definitions/tagged"}, {"type": "a", "n": 2}),
        ({"$ref": "#/definitions/tagged"}, {"TYPE": "A", "N": 3, "maybe": None}),
        ({"$ref": "#/definitions/tagged"}, {"type": "b", "anything": [1]}),
        ({"$ref": "#/definitions/tree"}, {"next": {"next": {"next": None}, "more": 1}}),
        ({"$ref": "#/definitions/odd~1name"}, "x"),
        ({"$ref": "https://example.com/type.json"}, 5),
        (TUPLE, [1, "x"]),
        ({"type": "array", "items": {"type": "int"}}, []),
        ({"type": "object", "additionalProperties": {"type": "int"}}, {"a": 1}),
        ({"type": "array", "allowedValues": ["a", "b", "c"]}, ["c", "a"]),
        ({"type": "object", "properties": {"x": {"type": "something new"}}}, {"x": 5}),
        ({"type": "object", "properties": "wrong", "discriminator": 5}, {"x": 5}),
    ],
)
def test_values_that_fit_their_types(definition, value):
    TYPES.check_value("p", definition, value)  # raises nothing
    assert TYPES.secrets(definition, value) == []


@pytest.mark.parametrize(
    ("definition", "value", "message"),
    [
        (
            {"$ref": "#/definitions/tagged"},
            {"type": "a", "n": 1},
            "'n' of the parameter 'p' must be at least 2, not 1",
        ),
        ({"$ref": "#/definitions/tagged"}, {"type": "a"}, "the parameter 'p' has no 'n'"),
        (
            {"$ref": "#/definitions/tagged"},
            {"type": "c"},
            "the parameter 'p' needs 'type' to be one of: a, b",
        ),
        ({"$ref": "#/definitions/tagged"}, {}, "the parameter 'p' needs 'type' to be one of: a, b"),
        (
            {"$ref": "#/definitions/a"},
            {"n": 2, "type": "a", "mayb": 1},
            "the parameter 'p' has no property 'mayb' in its type",
        ),
        (
            {"$ref": "#/definitions/tree"},
            {"next": {"next": 5}},
            "'next.next' of the parameter 'p' must be an object, not an int",
        ),
        ({"$ref": "#/definitions/non"}, 5, "there is no definition 'non'"),
        ({"$ref": "#/definitions/loop"}, 5, "the definitions refer to each other in a circle"),
        (TUPLE, [1, 2], "'[1]' of the parameter 'p' must be a string, not an int"),
        (TUPLE, [1, "x", 3], "the parameter 'p' must have 2 items, not 3"),
        (
            {"type": "array", "items": {"type": "int"}},
            [1, True],
            "'[1]' of the parameter 'p' must be an int, not a bool",
        ),
        (
            {"type": "object", "additionalProperties": {"type": "int"}},
            {"a": ""},
            "'a' of the parameter 'p' must be an int, not a string",
        ),
        (
            {"type": "object", "properties": {"x": {"type": "securestring", "allowedValues": ["a"]}}},
            {"x": "sec"},
            "the value is not allowed for 'x' of the parameter 'p'",
        ),
    ],
)
def test_values_that_do_not(definition, value, message):
    with pytest.raises(ParameterError) as caught:
        TYPES.check_value("p", definition, value)
    assert caught.value.message == message


def test_a_null_is_a_value_that_is_not_given(read):
    parameters = {
        "d": {"type": "string", "defaultValue": "default"},
        "n": {"type": "string", "nullable": True},
    }
    content = deployment(
        template("t", "[parameters('d')]", "[string(empty(parameters('n')))]"), parameters=parameters
    )
    assert lines_of(read(content, parameters={"d": None, "n": None}))["t"] == ["default", "True"]


def test_time_and_chance_only_in_defaults(read):
    parameters = {
        "now": {"type": "string", "defaultValue": "[utcNow('yyyy')]"},
        "id": {"type": "string", "defaultValue": "[newGuid()]"},
    }
    line = "[string(equals(parameters('id'), parameters('id')))]"
    content = deployment(template("t", "[parameters('now')]", line), parameters=parameters)
    year, same = lines_of(read(content))["t"]
    assert (len(year), same) == (4, "True")
    assert read.errors(deployment(template("t", "[utcNow()]"))) != []


# -- files ----------------------------------------------------------------------------------------


def test_what_bicep_makes_of_a_parameter_file(tmp_path):
    inner = {"$schema": "x/deploymentParameters.json#", "parameters": {"a": {"value": 1}}}
    path = tmp_path / "p.json"
    path.write_text(json.dumps({"parametersJson": json.dumps(inner), "templateJson": "{}"}))
    assert templates.load_parameters(path) == {"a": 1}


def test_a_bicep_parameter_file_is_to_be_compiled(tmp_path):
    path = tmp_path / "main.bicepparam"
    path.write_text("using 'x'")
    with pytest.raises(GoldsmithError) as caught:
        templates.load_parameters(path)
    assert "bicep build-params main.bicepparam" in caught.value.hint


@pytest.mark.parametrize(
    ("content", "found"),
    [
        (
            '{"parameters": {"a/b": {"reference": {}}, "c": {"value": 1}, "d": {"valu": 1}}, "$schema": "x"}',
            [("NeedsAzure", "/parameters/a~1b"), ("MissingParameter", "/parameters/d")],
        ),
        ('{"$schema": "x", "parameters": {"a": 5}}', [("MissingParameter", "/parameters/a")]),
        ('{"parameters": {"a": 5}}', [("MissingParameter", "/parameters/a")]),
        ('{"parameters": 5}', [("WrongType", "/parameters")]),
        ("[5]", [("WrongType", "")]),
    ],
)
def test_all_that_is_wrong_in_a_parameter_file_is_told_at_its_place(tmp_path, content, found):
    path = tmp_path / "p.json"
    path.write_text(content)
    with pytest.raises(TemplateError) as caught:
        templates.load_parameters(path)
    problems = caught.value.diagnostics
    assert [(d.code, d.location.pointer) for d in problems] == found
    assert {d.location.file for d in problems} == {str(path)}
    assert not any(d.is_quotable for d in problems)  # the values may be secret


# -- defaults that nothing uses ---------------------------------------------------------------------


def test_a_bad_default_is_told_even_when_nothing_uses_it(read):
    parameters = {
        "size": {"type": "string", "allowedValues": ["a", "b"], "defaultValue": "c"},
        "count": {"type": "int", "maxValue": 5, "defaultValue": 9},
        "later": {"type": "string", "minLength": 90, "defaultValue": "<region>"},
        "made": {"type": "array", "minLength": 2, "defaultValue": ["[resourceGroup().name]"]},
    }
    content = deployment(template("t"), parameters=parameters)
    told = [("BadParameter", "/parameters/size"), ("BadParameter", "/parameters/count")]
    assert read.warnings(content) == told
    assert read.errors(content, strict=True) == told
    assert read.warnings({**content, "parameters": {}}) == []
    given = read(content, parameters={"size": "a", "count": 1, "later": "x" * 90, "made": [1, 2]})
    assert given.diagnostics == ()


def test_a_bad_default_that_is_used_is_one_error(read):
    parameters = {"size": {"type": "string", "allowedValues": ["a", "b"], "defaultValue": "c"}}
    content = deployment(template("t", "[parameters('size')]"), parameters=parameters)
    assert [(d.severity, d.code) for d in read.problems(content)] == [("error", "BadParameter")]
