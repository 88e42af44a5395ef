"""Functions of arrays and objects, and those that take lambdas."""

from __future__ import annotations

import pytest
from arm_context import Deployment, value_of

from templates.arm.expressions import ExpressionError

ONE_TWO_THREE = "createArray('one', 'two', 'three')"
LETTERS = "createObject('one', 'a', 'two', 'b', 'three', 'c1')"


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("array(1)", [1]),
        ("array('efgh')", ["efgh"]),
        ("array(createArray(1))", [1]),
        ("createArray()", []),
        ("createArray(1, 'a', null(), createArray())", [1, "a", None, []]),
        ("range(5, 3)", [5, 6, 7]),
        ("range(-1, 2)", [-1, 0]),
        ("range(0, 0)", []),
        ("length(range(0, 10000))", 10_000),
        (f"length({ONE_TWO_THREE})", 3),
        (f"length({LETTERS})", 3),
        ("empty(createArray())", True),
        ("empty(createObject())", True),
        ("empty(null())", True),
        ("empty(createArray(null()))", False),
        (f"first({ONE_TWO_THREE})", "one"),
        (f"last({ONE_TWO_THREE})", "three"),
        ("first(createArray())", None),
        ("last(createArray())", None),
        (f"skip({ONE_TWO_THREE}, 2)", ["three"]),
        (f"take({ONE_TWO_THREE}, 2)", ["one", "two"]),
        (f"contains({ONE_TWO_THREE}, 'three')", True),
        (f"contains({ONE_TWO_THREE}, 'Three')", False),
        (f"contains({LETTERS}, 'ONE')", True),
        (f"contains({LETTERS}, 'a')", False),
        ("contains(createArray(createArray(1)), createArray(1))", True),
        ("contains(createArray(1), true())", False),
        ("indexOf(createArray('a', 'B', 'b'), 'b')", 2),
        ("lastIndexOf(createArray('a', 'b', 'a'), 'a')", 2),
        ("lastIndexOf(createArray('a'), 'c')", -1),
        ("indexFromEnd(createArray(1, 2, 3), 1)", 3),
        ("tryIndexFromEnd(createArray(1, 2, 3), 3)", 1),
        ("tryIndexFromEnd(createArray(1, 2, 3), 4)", None),
        ("tryIndexFromEnd(null(), 1)", None),
        ("tryIndexFromEnd(parameters('dogs'), 2, 'NAME')", "Indy"),
        ("flatten(createArray(createArray('abc'), createArray('def', createArray(1))))", ["abc", "def", [1]]),
        ("flatten(createArray())", []),
        (f"union({ONE_TWO_THREE}, createArray('three', 'four', 'two'))", ["one", "two", "three", "four"]),
        ("union(createArray(1, true(), '1'), createArray(1, null()))", [1, True, "1", None]),
        (f"intersection({ONE_TWO_THREE}, createArray('two', 'three'))", ["two", "three"]),
        ("intersection(createArray(1, 2, 3), createArray(2, 3, 4), createArray(3))", [3]),
    ],
)
def test_arrays(text, value):
    assert value_of(text) == value


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("createObject()", {}),
        ("createObject('a', 1, 'b', createArray())", {"a": 1, "b": []}),
        ("createObject('a', 1, 'A', 2)", {"a": 2}),
        (
            f"union({LETTERS}, createObject('three', 'c2', 'four', 'd'))",
            {"one": "a", "two": "b", "three": "c2", "four": "d"},
        ),
        (
            "union(json('{\"p\": {\"one\": 1, \"two\": 2}, \"list\": [1, 2]}'),"
            " json('{\"P\": {\"two\": 3}, \"list\": [3]}'))",
            {"p": {"one": 1, "two": 3}, "list": [3]},
        ),
        (
            f"intersection({LETTERS}, createObject('ONE', 'a', 'two', 'z', 'three', 'c1'))",
            {"one": "a", "three": "c1"},
        ),
        ("items(createObject('foo', 'abc', 'Bar', 1))",
         [{"key": "Bar", "value": 1}, {"key": "foo", "value": "abc"}]),
        ("objectKeys(createObject('b', 1, 'a', 2))", ["a", "b"]),
        (
            "shallowMerge(createArray(createObject('one', 'a', 'n', createObject('a', 1)),"
            " createObject('n', createObject('b', 2))))",
            {"one": "a", "n": {"b": 2}},
        ),
        ("tryGet(parameters('obj'), 'KEY', 'deep')", "x"),
        ("tryGet(parameters('obj'), 'nope', 'deep')", None),
        ("tryGet(parameters('list'), 1, 0)", 2),
        ("tryGet(parameters('list'), 7)", None),
        ("tryGet(null(), 'a')", None),
        ("tryGet(parameters('dogs'), createObject('value', 1, 'fromEnd', true()), 'name')", "Kira"),
        ("tryGet(parameters('dogs'), createObject('value', 1, 'fromEnd', false()), 'name')", "Casper"),
        ("json('null')", None),
        ("json('{''a'': ''b''}')", {"a": "b"}),
        ("json('''test''')", "test"),
        ("json('{\"it\": \"it''s\", ''q'': ''say \"x\"''}')", {"it": "it's", "q": 'say "x"'}),
        ("json('true')", True),
        ("json(' 3 ')", 3),
        ("json('[1,2,3.5]')", [1, 2, 3.5]),
        ("json(concat('{\"a\": \"', parameters('name'), '\"}'))", {"a": "img"}),
    ],
)  # fmt: skip
def test_objects(text, value):
    assert value_of(text) == value


def v(name):
    return f"lambdaVariables('{name}')"


@pytest.mark.parametrize(
    ("text", "value"),
    [
        (f"map(parameters('dogs'), lambda('dog', {v('dog')}.name))", ["Evie", "Casper", "Indy", "Kira"]),
        (f"map(range(0, 3), lambda('i', format('Hi {{0}}!', {v('i')})))", ["Hi 0!", "Hi 1!", "Hi 2!"]),
        (f"map(createArray('a', 'b'), lambda('x', 'i', concat({v('x')}, {v('i')})))", ["a0", "b1"]),
        ("map(range(0, 2), lambda('x'))", ["x", "x"]),
        ("map(createArray(), lambda('x', fail('never')))", []),
        (f"filter(parameters('dogs'), lambda('d', greaterOrEquals({v('d')}.age, 5)))",
         [{"name": "Evie", "age": 5}, {"name": "Kira", "age": 8}]),
        (f"filter(range(0, 10), lambda('i', equals(0, mod({v('i')}, 2))))", [0, 2, 4, 6, 8]),
        (f"filter(createArray('a', 'b', 'c'), lambda('x', 'i', equals({v('i')}, 1)))", ["b"]),
        (f"reduce(createArray(5, 3, 2, 8), 1, lambda('cur', 'next', add({v('cur')}, {v('next')})))", 19),
        (f"reduce(createArray('a', 'b', 'c'), '', lambda('a', 'b', concat('-', {v('b')}, {v('a')})))",
         "-c-b-a"),
        (f"reduce(createArray(createObject('foo', 1), createObject('bar', 2)), createObject(),"
         f" lambda('cur', 'next', union({v('cur')}, {v('next')})))", {"foo": 1, "bar": 2}),
        (f"reduce(createArray('x', 'y'), '', lambda('c', 'n', 'i', concat({v('c')}, {v('i')})))", "01"),
        (f"map(sort(parameters('dogs'), lambda('a', 'b', less({v('a')}.age, {v('b')}.age))),"
         f" lambda('d', {v('d')}.name))", ["Indy", "Casper", "Evie", "Kira"]),
        (f"sort(createArray('c', 'd', 'a'), lambda('a', 'b', less({v('a')}, {v('b')})))", ["a", "c", "d"]),
        (f"toObject(createArray('a', 'b'), lambda('x', {v('x')}), lambda('x', concat('Hi ', {v('x')})))",
         {"a": "Hi a", "b": "Hi b"}),
        (f"toObject(take(parameters('dogs'), 1), lambda('x', {v('x')}.name))",
         {"Evie": {"name": "Evie", "age": 5}}),
        (f"mapValues(createObject('foo', 'foo'), lambda('v', toUpper({v('v')})))", {"foo": "FOO"}),
        (f"groupBy(createArray('foo', 'bar', 'baz'), lambda('x', substring({v('x')}, 0, 1)))",
         {"f": ["foo"], "b": ["bar", "baz"]}),
        # A lambda sees the variables of those around it, and hides one of the same name.
        (f"map(range(1, 2), lambda('i', map(range(1, 2), lambda('j', mul({v('I')}, mul(10, {v('j')}))))))",
         [[10, 20], [20, 40]]),
        (f"map(range(1, 2), lambda('i', map(range(8, 1), lambda('i', {v('i')}))))", [[8], [8]]),
        (f"map(createArray('Evie'), lambda('name', __bicep.hi({v('name')})))", ["__bicep.hi(['Evie'])"]),
    ],
)  # fmt: skip
def test_lambdas(text, value):
    assert value_of(text) == value


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("range(0, 10001)", "out of bounds"),
        ("range(0, -1)", "out of bounds"),
        ("range(2147483647, 1)", "out of bounds"),
        ("length(5)", "an int has no length"),
        ("empty(5)", "not an int"),
        ("skip(createArray(), '1')", "must be an int"),
        ("contains(null(), 'a')", "null is not possible"),
        ("contains(createObject(), 1)", "must be a string"),
        ("indexFromEnd(createArray(1), 2)", "outside of an array of 1"),
        ("indexFromEnd(createArray(1), 0)", "outside of an array of 1"),
        ("flatten(createArray(1))", "each item in flatten() must be an array"),
        ("flatten(createObject('foo', 'bar'))", "must be an array"),
        ("union(createObject(), createArray())", "got an array, an object"),
        ("intersection(createArray(), 'foo')", "got a string, an array"),
        ("createObject('a')", "the last key has no value"),
        ("createObject(1, 2)", "each key of createObject() must be a string"),
        ("items('asdf')", "must be an object"),
        ("shallowMerge(createObject())", "must be an array"),
        ("json('{')", "not JSON"),
        ("json('NaN')", "NaN is no JSON"),
        ("json('1e999')", "1e999 is no JSON"),
        ("json('99999999999999999999')", "64 bits"),
        ("map(1, lambda('x', 1))", "must be an array"),
        ("map(range(0, 1), 5)", "map() needs a lambda"),
        ("map(range(0, 1), lambda())", "has no body"),
        ("map(range(0, 1), lambda(1, 2))", "must be a string"),
        ("map(range(0, 1), lambda('a', 'b', 'c', 1))", "at most 2 variable(s), not 3"),
        ("filter(range(0, 1), lambda('x', 1))", "must be a bool"),
        ("sort(range(0, 2), lambda('a', 'b', 1))", "must be a bool"),
        ("toObject(range(0, 1), lambda('x', 1))", "a key of toObject() must be a string"),
        ("groupBy(range(0, 1), lambda('x', 1))", "a key of groupBy() must be a string"),
        ("lambda('x', 1)", "stands only as an argument"),
        ("lambdaVariables('x')", "no lambda has a variable 'x'"),
        ("map(range(0, 1), lambda('x', lambdaVariables('y')))", "no lambda has a variable 'y'"),
    ],
)  # fmt: skip
def test_wrong_arguments(text, part):
    with pytest.raises(ExpressionError) as caught:
        value_of(text)
    assert caught.value.code == "BadArguments"
    assert part in caught.value.message


def test_an_error_in_a_lambda_is_found_at_its_place():
    with pytest.raises(ExpressionError) as caught:
        value_of("map(parameters('dogs'), lambda('d', lambdaVariables('d').nme))")
    assert caught.value.offset == 1 + len("map(parameters('dogs'), lambda('d', lambdaVariables('d')")
    assert "did you mean 'name'?" in caught.value.hint


def test_keys_after_a_missing_one_are_not_asked_for():
    deployment = Deployment()
    assert value_of("tryGet(parameters('obj'), 'nope', parameters('unknown'))", deployment) is None
    assert deployment.asked == ["obj"]
