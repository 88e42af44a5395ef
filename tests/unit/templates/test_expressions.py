"""ARM expressions as a language, on a context without a file; the functions have tests of their own."""

from __future__ import annotations

import pytest
from arm_context import Deployment, value_of
from hypothesis import given, settings
from hypothesis import strategies as st

from templates.arm.budget import MAX_DEPTH, MAX_SIZE, measure
from templates.arm.expressions import Budget, ExpressionError, evaluate, is_expression, unescape
from templates.arm.functions import REGISTRY


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("parameters('name')", "img"),
        ("PARAMETERS( 'name' )", "img"),
        ("variables('x')", "var-x"),
        ("parameters('list')[1][0]", 2),
        ("parameters('list') [ 1 ] [0]", 2),
        ("parameters('list')[sub(2, 1)][0]", 2),
        ("parameters('obj').key.DEEP", "x"),
        ("parameters('obj')['Key'].deep", "x"),
        ("concat('it''s ', 'a', 5, -3)", "it's a5-3"),
        ("\n  concat(\n\t'a',\r\n 'b'\n)  ", "ab"),
        ("'text'", "text"),
        ("''", ""),
        ("''''", "'"),
        ("'[x] \"y\" {0}'", '[x] "y" {0}'),
        ("12", 12),
        ("-9223372036854775808", -(2**63)),
        ("subscription().subscriptionId", "SUB"),
        ("__bicep.buildUrl('a', add(1, 2))", "__bicep.buildUrl(['a', 3])"),
        ("parameters('obj').?nope", None),
        ("parameters('obj').?nope.deeper['x'].still", None),
        ("parameters('obj').?key.deep", "x"),
        ("parameters('obj')[?'key'].deep", "x"),
        ("parameters('list')[?9]", None),
        ("parameters('list')[?1]", [2]),
        ("parameters('obj').none.?x", None),
        ("parameters('name').?x", None),
    ],
)
def test_values(text, value):
    assert is_expression(f"[{text}]")
    assert value_of(text) == value


@pytest.mark.parametrize(
    ("text", "code", "offset", "part"),
    [
        ("[nope('x')]", "UnknownFunction", 1, "nope()"),
        ("[concat(nope())]", "UnknownFunction", 8, "nope()"),
        ("[concat('a' 'b')]", "BadExpression", 12, "expected ',' or ')'"),
        ("[concat('a', b)]", "BadExpression", 14, "expected '(' after 'b'"),
        ("[concat('a)]", "BadExpression", 8, "not closed"),
        ('[concat("a")]', "BadExpression", 8, "single quotes"),
        ("[a b]", "BadExpression", 3, "expected '('"),
        ("[a.b]", "BadExpression", 2, "expected '('"),
        ("['a' 'b']", "BadExpression", 5, "expected the end"),
        ("['a'.]", "BadExpression", 5, "the name of a property"),
        ("['a'['b'}]", "BadExpression", 8, "no meaning"),
        ("['a'[0)]", "BadExpression", 6, "expected ']'"),
        ("[]", "BadExpression", 1, "expected a function"),
        ("[ -z ]", "BadExpression", 2, "no meaning"),
        ("[9223372036854775808]", "BadExpression", 1, "64 bits"),
        ("[1.5]", "BadExpression", 1, "no meaning"),
        ("[parameters('list')[9]]", "BadIndex", 19, "outside of an array of 2"),
        ("[parameters('list')[-1]]", "BadIndex", 19, "outside of an array of 2"),
        (
            "[parameters('list')[true()]]",
            "BadIndex",
            19,
            "a bool is neither the name of a property nor an index",
        ),
        ("[parameters('name').x]", "BadIndex", 19, "a string has no property 'x'"),
        ("[parameters('obj').none.x]", "BadIndex", 23, "null has no property 'x'"),
        ("[parameters('obj').Kay]", "UnknownProperty", 18, "no property 'Kay'"),
        ("[parameters('obj').?key.nope]", "UnknownProperty", 23, "no property 'nope'"),
        ("[concat('a', parameters('obj').Kay)]", "UnknownProperty", 30, "no property 'Kay'"),
        ("[concat('a', add(1, 'b'))]", "BadArguments", 13, "must be an int"),
        ("[parameters()]", "BadArguments", 1, "takes 1 argument, got 0"),
        ("[true(1)]", "BadArguments", 1, "takes no arguments, got 1"),
        ("[utcNow(1, 2)]", "BadArguments", 1, "takes 0 to 1 arguments"),
        ("[union()]", "BadArguments", 1, "takes at least 1 argument, got 0"),
        ("[parameters(5)]", "BadArguments", 1, "must be a string"),
        ("[" + "concat(" * 500 + "'a'" + ")" * 500 + "]", "BadExpression", None, "levels deep"),
        ("[variables('a')" + ".a" * 500 + "]", "BadExpression", None, "in a row"),
        ("['" + "a" * 24_576 + "']", "BadExpression", None, "more than ARM's limit of 24576"),
    ],
)
def test_errors_say_what_and_where(text, code, offset, part):
    assert is_expression(text)
    with pytest.raises(ExpressionError) as caught:
        evaluate(text, Deployment())
    assert caught.value.code == code
    assert part in caught.value.message
    if offset is not None:
        assert caught.value.offset == offset


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("paramters('x')", "did you mean parameters()?"),
        ("resoureId('x')", "did you mean resourceId()?"),
        ("xyzzy()", "Microsoft's reference"),
        ("parameters('obj').Kay", "did you mean 'Key'?"),
        ("parameters('obj').somethingElse", "there are: Key, none"),
    ],
)
def test_a_hint_names_what_was_meant(text, hint):
    with pytest.raises(ExpressionError) as caught:
        value_of(text)
    assert hint in caught.value.hint


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


def test_the_result_of_a_function_is_its_own_value():
    """A function that changed its argument would change the parameter for everybody."""
    before = repr(Deployment().parameter("dogs"))
    for text in (
        "concat(parameters('dogs'), parameters('list'))",
        "union(parameters('dogs')[0], createObject('age', 9))",
        "sort(parameters('dogs'), lambda('a', 'b', less(2, lambdaVariables('b').age)))",
        "shallowMerge(parameters('dogs'))",
    ):
        value_of(text)
        assert repr(Deployment().parameter("dogs")) == before


# -- limits ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        "padLeft('', 999999999)",
        "replace(padLeft('', 100000), ' ', padLeft('', 100000))",
        f"format('{'{0}' * 4000}', padLeft('', 4000000))",
        f"concat({', '.join(['padLeft(string(1), 4000000)'] * 30)})",
        "split(padLeft('', 4000000, 'a'), 'a')",
        "map(range(0, 10000), lambda('x', range(0, 10000)))",
        "reduce(range(0, 40), 'ab', lambda('a', 'b', concat(lambdaVariables('a'), lambdaVariables('a'))))",
        "reduce(range(0, 40), 1, lambda('a', 'b', createArray(lambdaVariables('a'), lambdaVariables('a'))))",
        "reduce(range(0, 999), 1, lambda('a', 'b', createArray(lambdaVariables('a'))))",
        f"json('{'[' * 5000}')",
        f"json('{'[' * 200}{']' * 200}')",
        "json(padLeft('', 4000000, '['))",
    ],
)
def test_a_small_expression_makes_no_gigantic_value(text):
    with pytest.raises(ExpressionError) as caught:
        value_of(text)
    assert caught.value.code in ("TooComplex", "BadArguments")


@pytest.mark.parametrize(
    "text",
    [
        "map(range(0, 9999), lambda('x', length(filter(range(0, 9999), lambda('y', true())))))",
        "filter(range(0, 9999), lambda('x', contains(range(0, 9999), lambdaVariables('x'))))",
        "reduce(range(0, 9999), '', lambda('a', 'b', concat(lambdaVariables('a'), 'b')))",
    ],
)
def test_work_is_limited(text):
    with pytest.raises(ExpressionError) as caught:
        value_of(text, Deployment(Budget(50_000)))
    assert caught.value.code == "TooComplex"
    assert "too much work" in caught.value.message


def test_the_budget_of_a_file_is_spent_once():
    """Many small expressions are as expensive as a large one."""
    deployment = Deployment(Budget(1000))
    with pytest.raises(ExpressionError, match="too much work"):
        for _ in range(1000):
            value_of("add(1, 2)", deployment)
    with pytest.raises(ExpressionError, match="too much work"):
        value_of("1", deployment)


def test_the_size_of_a_value_counts_shared_parts():
    value = "x"
    for _ in range(60):
        value = [value, value]
    with pytest.raises(ExpressionError, match="larger than 4 MiB"):
        measure(value)
    assert measure(["abc", {"key": 1}]) < 100
    assert measure("x" * (MAX_SIZE - 100)) <= MAX_SIZE


def test_the_depth_of_a_value_is_limited():
    value = []
    for _ in range(MAX_DEPTH - 2):
        value = [value]
    assert measure(value) > 0
    with pytest.raises(ExpressionError, match="levels deep"):
        measure([[[value]]])


# -- any input ------------------------------------------------------------------------------------

_NAMES = sorted(known.name for known in REGISTRY.values())
_ATOMS = st.one_of(
    st.sampled_from(
        [
            "'a'",
            "''",
            "'it''s'",
            "'P1M'",
            "'10.0.0.0/8'",
            "'yyyy-MM'",
            "'{0:N2}{1}'",
            "'e30='",
            "'x/y'",
            "'2024-01-31T00:00:00Z'",
            "'https://example.com/a'",
            "parameters('dogs')",
            "parameters('obj')",
            "parameters('list')",
            "parameters('half')",
            "lambda('x', lambdaVariables('x'))",
            "lambda('x', 'y', less(lambdaVariables('x'), lambdaVariables('y')))",
            "lambda(true())",
            "null()",
            "true()",
        ]
    ),
    st.integers(-(2**63), 2**63 - 1).map(str),
    st.integers(-2, 12).map(str),
    st.text(max_size=6).map(lambda text: "'" + text.replace("'", "''") + "'"),
)


def _calls(arguments):
    call = st.tuples(st.sampled_from(_NAMES), st.lists(arguments, max_size=3))
    return st.one_of(
        call.map(lambda pair: f"{pair[0]}({', '.join(pair[1])})"),
        st.tuples(arguments, st.sampled_from([".name", "[0]", ".?age", "[?1]"])).map("".join),
    )


@settings(deadline=None)
@given(st.text())
def test_any_string_survives_as_a_literal(text):
    quoted = text.replace("'", "''")
    assert value_of(f"'{quoted}'") == text


@settings(deadline=None)
@given(st.text(alphabet="[]()'.,?{}ab0- \n", max_size=40) | st.text(max_size=40))
def test_any_text_gives_a_value_or_an_expression_error(text):
    try:
        value_of(text)
    except ExpressionError as error:
        assert 0 <= error.offset <= len(text) + 1


@settings(deadline=None, max_examples=400)
@given(st.recursive(_ATOMS, _calls, max_leaves=8))
def test_any_call_gives_json_or_an_expression_error(text):
    try:
        value = value_of(text, Deployment(Budget(20_000)))
    except ExpressionError as error:
        assert error.message
        assert 0 <= error.offset <= len(text) + 1
    else:
        assert value is None or isinstance(value, bool | int | float | str | list | dict)
        measure(value)
