"""Logical functions, comparisons and numbers."""

from __future__ import annotations

import pytest
from arm_context import Deployment, value_of
from hypothesis import given, settings
from hypothesis import strategies as st

from templates.arm.expressions import ExpressionError


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("if(true(), 'a', 'b')", "a"),
        ("if(equals('a', 'b'), 'a', 'b')", "b"),
        ("and(true(), true(), true())", True),
        ("and(true(), false())", False),
        ("or(false(), true())", True),
        ("or(false(), false())", False),
        ("not(false())", True),
        ("bool('True')", True),
        ("bool('false')", False),
        ("bool(1)", True),
        ("bool(0)", False),
        ("bool(true())", True),
        ("null()", None),
        ("coalesce(null(), parameters('obj').none, 'a', 'b')", "a"),
        ("coalesce(null(), null())", None),
        ("coalesce(null(), false())", False),
        ("equals('a', 'a')", True),
        ("equals('a', 'A')", False),
        ("equals(1, 1)", True),
        ("equals(1, true())", False),
        ("equals(0, false())", False),
        ("equals(1, '1')", False),
        ("equals(null(), null())", True),
        ("equals(createArray(1, createArray(2)), createArray(1, createArray(2)))", True),
        ("equals(createArray(1), createArray(true()))", False),
        ("equals(createObject('a', 1, 'b', 2), createObject('b', 2, 'a', 1))", True),
        ("equals(createObject('a', 1), createObject('A', 1))", False),
        ("less(1, 2)", True),
        ("less('A', 'a')", False),
        ("greater('A', 'a')", True),
        ("less('a', 'B')", True),
        ("lessOrEquals('a', 'a')", True),
        ("greater(2, parameters('half'))", False),
        ("greaterOrEquals(2, 2)", True),
    ],
)
def test_logic(text, value):
    assert value_of(text) is value if isinstance(value, bool) else value_of(text) == value


@pytest.mark.parametrize(
    "text",
    [
        "if(true(), 'a', parameters('unknown'))",
        "if(false(), parameters('unknown'), 'a')",
        "and(false(), parameters('unknown'))",
        "or(true(), parameters('unknown'))",
        "coalesce('a', parameters('unknown'))",
    ],
)
def test_what_is_not_needed_is_not_computed(text):
    deployment = Deployment()
    value_of(text, deployment)
    assert deployment.asked == []


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("add(5, 3)", 8),
        ("sub(3, 5)", -2),
        ("mul(-4, 3)", -12),
        ("div(8, 3)", 2),
        ("div(-8, 3)", -2),
        ("mod(7, 3)", 1),
        ("mod(-7, 3)", -1),
        ("mod(7, -3)", 1),
        ("min(0, 3, 2, 5, 4)", 0),
        ("max(createArray(0, 3, 2, 5, 4))", 5),
        ("max(createArray(1, 2), 7)", 7),
        ("int('4')", 4),
        ("int(' -12 ')", -12),
        ("int(json('2.5'))", 2),
        ("int(9223372036854775807)", 2**63 - 1),
        ("float('3.0')", 3.0),
        ("float('-1e2')", -100.0),
        ("float(3)", 3.0),
    ],
)
def test_numbers(text, value):
    result = value_of(text)
    assert result == value
    assert type(result) is type(value)


@settings(deadline=None)
@given(st.integers(-(2**63), 2**63 - 1), st.integers(-(2**63), 2**63 - 1).filter(bool))
def test_division_is_that_of_c(dividend, divisor):
    if (dividend, divisor) == (-(2**63), -1):  # the one quotient that does not fit
        with pytest.raises(ExpressionError, match="64 bits"):
            value_of(f"div({dividend}, {divisor})")
        return
    quotient, rest = value_of(f"div({dividend}, {divisor})"), value_of(f"mod({dividend}, {divisor})")
    assert quotient * divisor + rest == dividend
    assert abs(rest) < abs(divisor)
    assert rest == 0 or (rest < 0) == (dividend < 0)


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("if('true', 1, 2)", "the condition of if() must be a bool, not a string"),
        ("and(true(), 1)", "must be a bool"),
        ("or(false(), 'x')", "must be a bool"),
        ("not(0)", "must be a bool"),
        ("bool('sdf')", "'sdf' is no bool"),
        ("bool(null())", "null is no bool"),
        ("less(1, 'a')", "cannot compare an int with a string"),
        ("greater(true(), false())", "compares numbers or strings, not a bool"),
        ("add(9223372036854775807, 1)", "64 bits"),
        ("sub(-9223372036854775808, 1)", "64 bits"),
        ("mul(4611686018427387904, 2)", "64 bits"),
        ("add(1, parameters('half'))", "must be an int, not a number"),
        ("add(1, true())", "must be an int, not a bool"),
        ("div(1, 0)", "division by zero"),
        ("mod(1, 0)", "division by zero"),
        ("min(createArray())", "of nothing"),
        ("max(1, '3')", "must be an int, not a string"),
        ("int('asdf')", "'asdf' is no int"),
        ("int('1.5')", "'1.5' is no int"),
        ("int('9223372036854775808')", "64 bits"),
        ("int(true())", "a bool is no int"),
        ("int(json('1e300'))", "64 bits"),
        ("float('x')", "'x' is no number"),
        ("float('1e999')", "is no number"),
        ("float(null())", "null is no number"),
    ],
)
def test_wrong_arguments(text, part):
    with pytest.raises(ExpressionError) as caught:
        value_of(text)
    assert caught.value.code == "BadArguments"
    assert part in caught.value.message


def test_fail_says_what_the_template_says():
    with pytest.raises(ExpressionError) as caught:
        value_of("if(true(), fail('pick a size'), 1)")
    assert caught.value.code == "Fail"
    assert caught.value.message == "the template says: pick a size"
