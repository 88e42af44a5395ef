"""ARM expressions, on a context without a file."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from templates.arm.expressions import ExpressionError, evaluate, is_expression, unescape
from templates.arm.functions import REGISTRY, call_function


class Context:
    def parameter(self, name):
        return {"name": "img", "list": [1, [2]], "obj": {"Key": {"deep": "x"}}, "n": 7, "yes": True}[name]

    def variable(self, name):
        return f"var-{name}"

    def subscription(self):
        return {"id": "/subscriptions/SUB", "subscriptionId": "SUB", "tenantId": "TEN"}

    def resource_group(self):
        return {"id": "/subscriptions/SUB/resourceGroups/GRP", "name": "GRP", "location": "westus"}

    def call(self, name, arguments):
        return call_function(name, arguments, self)


GRP = "/subscriptions/SUB/resourceGroups/GRP/providers"


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("[parameters('name')]", "img"),
        ("[PARAMETERS( 'name' )]", "img"),
        ("[variables('x')]", "var-x"),
        ("[parameters('list')[1][0]]", 2),
        ("[parameters('obj').key.DEEP]", "x"),
        ("[parameters('obj')['Key'].deep]", "x"),
        ("[concat('it''s ', 'a', 5, -3)]", "it's a5-3"),
        ("[concat(parameters('yes'))]", "True"),
        ("[concat(parameters('list'), parameters('list')[1])]", [1, [2], 2]),
        ("['text']", "text"),
        ("[12]", 12),
        ("[subscription().subscriptionId]", "SUB"),
        ("[subscription().tenantId]", "TEN"),
        ("[resourceGroup().location]", "westus"),
        ("[resourceId('Microsoft.Compute/images', 'i')]", f"{GRP}/Microsoft.Compute/images/i"),
        (
            "[resourceId('Microsoft.Compute/galleries/images/versions', 'g', 'd', '1.0.0')]",
            f"{GRP}/Microsoft.Compute/galleries/g/images/d/versions/1.0.0",
        ),
        (
            "[resourceId('other', 'Microsoft.Compute/images', 'i')]",
            "/subscriptions/SUB/resourceGroups/other/providers/Microsoft.Compute/images/i",
        ),
        (
            "[resourceId('s2', 'other', 'Microsoft.Compute/images', 'i')]",
            "/subscriptions/s2/resourceGroups/other/providers/Microsoft.Compute/images/i",
        ),
        ("[format('{0}-{1}-{0}', 'a', 5)]", "a-5-a"),
        ("[format('{{{0}}}', 'a')]", "{a}"),
        ("[format('{0,5}|{0,-5}|', 'ab')]", "   ab|ab   |"),
        ("[format('{0:D3} {1:N0} {2:x}', 7, 1234567, 255)]", "007 1,234,567 ff"),
    ],
)
def test_values(text, value):
    assert is_expression(text)
    assert evaluate(text, Context()) == value


@pytest.mark.parametrize(
    ("text", "code", "offset", "part"),
    [
        ("[nope('x')]", "UnknownFunction", 1, "nope()"),
        ("[concat(nope())]", "UnknownFunction", 8, "nope()"),
        ("[concat('a' 'b')]", "BadExpression", 12, "expected ',' or ')'"),
        ("[concat('a', b)]", "BadExpression", 14, "expected '(' after 'b'"),
        ("[concat('a)]", "BadExpression", 8, "not closed"),
        ('[concat("a")]', "BadExpression", 8, "single quotes"),
        ("[concat('a')", "BadExpression", None, ""),
        ("[a b]", "BadExpression", 3, "expected '('"),
        ("['a' 'b']", "BadExpression", 5, "expected the end"),
        ("[]", "BadExpression", 1, "expected a function"),
        ("[ -z ]", "BadExpression", 2, "no meaning"),
        ("[parameters('list')[9]]", "BadIndex", 19, "outside of an array of 2"),
        ("[parameters('name').x]", "BadIndex", 19, "a string has no property 'x'"),
        ("[parameters('obj').Kay]", "UnknownProperty", 18, "no property 'Kay'"),
        ("[parameters()]", "BadArguments", 1, "takes 1 argument, got 0"),
        ("[parameters(5)]", "BadArguments", 1, "must be a string"),
        ("[concat('a', parameters('list'))]", "BadArguments", 1, "strings, or arrays only"),
        ("[format('{2}', 'a')]", "BadArguments", 1, "no argument"),
        ("[format('{')]", "BadArguments", 1, "lonely"),
        ("[resourceId('a', 'b')]", "BadArguments", 1, "no part is a resource type"),
        (
            "[resourceId('Microsoft.Compute/galleries/images', 'g')]",
            "BadArguments",
            1,
            "needs 2 name(s), got 1",
        ),
        ("[" + "concat(" * 500 + "'a'" + ")" * 500 + "]", "BadExpression", None, "levels deep"),
    ],
)
def test_errors_say_what_and_where(text, code, offset, part):
    if not is_expression(text):
        assert unescape(text) == text
        return
    with pytest.raises(ExpressionError) as caught:
        evaluate(text, Context())
    assert caught.value.code == code
    assert part in caught.value.message
    if offset is not None:
        assert caught.value.offset == offset


def test_an_unknown_function_names_the_supported_ones():
    with pytest.raises(ExpressionError) as caught:
        evaluate("[paramters('x')]", Context())
    assert "did you mean parameters()?" in caught.value.hint
    assert all(known.name in caught.value.hint for known in REGISTRY.values())


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("[[test]", "[test]"),
        ("[[ -f x ]] && y", "[[ -f x ]] && y"),
        ("[test] x", "[test] x"),
        ("plain", "plain"),
        ("[", "["),
    ],
)
def test_texts_that_are_no_expressions(text, value):
    assert not is_expression(text)
    assert unescape(text) == value


@settings(deadline=None)
@given(st.text())
def test_any_string_survives_as_a_literal(text):
    quoted = text.replace("'", "''")
    assert evaluate(f"['{quoted}']", Context()) == text


@settings(deadline=None)
@given(st.text(alphabet="[]()'.,{}ab0- \n", max_size=40))
def test_any_text_gives_a_value_or_an_expression_error(text):
    try:
        evaluate(f"[{text}]", Context())
    except ExpressionError as error:
        assert 0 <= error.offset <= len(text) + 1
