"""Files made to eat the machine are refused, quickly and with an error of our own."""

from __future__ import annotations

import time

import pytest
from deployed import Reader, deployment, nested, template

from templates.arm.budget import Budget
from templates.arm.secrecy import Secrecy
from templates.arm.syntax import ExpressionError


@pytest.fixture
def read(tmp_path):
    return Reader(tmp_path)


def loops(depth, value):
    """A variable of `depth` loops of 800 turns, each in the one before."""
    for number in range(depth):
        value = {"copy": [{"name": f"l{number}", "count": 800, "input": value}]}
    return value


def doubled(times):
    variables = {"v0": "x" * 1000}
    for number in range(times):
        again = f"variables('v{number}')"
        variables[f"v{number + 1}"] = f"[concat({again}, {again})]"
    return variables


def crowd(levels):
    value = deployment(template("[concat('t', copyIndex())]", copy={"name": "x", "count": 800}))
    for level in range(levels):
        copy = {"name": f"c{level}", "count": 800}
        value = deployment(nested("[concat('m', copyIndex())]", value, copy=copy))
    return value


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (deployment(template("t", "[string(variables('v'))]"), variables={"v": loops(4, 1)}), "TooComplex"),
        (deployment(template("t", "[variables('v30')]"), variables=doubled(30)), "TooComplex"),
        (crowd(3), "TooManyResources"),
        (
            deployment(template("t", copy={"name": "x", "count": "[length(reference('t').customize)]"})),
            "Cycle",
        ),
    ],
    ids=["loops", "doubled", "crowd", "counts itself"],
)
def test_bombs(read, content, code):
    start = time.monotonic()
    assert code in {found for found, _ in read.errors(content)}
    assert time.monotonic() - start < 10  # seconds; without limits each would take forever


def test_values_that_need_each_other_in_a_circle_across_modules(read):
    inner = deployment(
        template("t", "[parameters('p')]"),
        parameters={"p": {"type": "string"}},
        outputs={"o": {"type": "string", "value": "[parameters('p')]"}},
    )
    first = nested("first", inner, {"p": "[reference('second').outputs.o.value]"})
    second = nested("second", inner, {"p": "[reference('first').outputs.o.value]"})
    assert "Cycle" in {code for code, _ in read.errors(deployment(first, second))}


def test_a_name_that_asks_for_what_it_names(read):
    content = deployment(
        template("[reference('t').name]"),
        {"type": "Microsoft.Storage/storageAccounts", "name": "[reference(resourceId('a/b', 'c')).x]"},
    )
    assert read.errors(content) != []


def test_looking_for_what_was_made_of_thousands_of_secrets_is_work():
    secrecy = Secrecy([f"secret {index}" for index in range(3200)], Budget(450))
    secrecy.note(["secret 1"], "SECRET 1")  # three texts, a hundred steps each
    with pytest.raises(ExpressionError) as caught:
        secrecy.note(["secret 1", "secret 2"], "SECRET 12")
    assert caught.value.code == "TooComplex"
