"""Functions of strings; values are those of Microsoft's reference where it has an example."""

from __future__ import annotations

import pytest
from arm_context import value_of

from templates.arm.expressions import ExpressionError

# What Azure's own evaluator (the libraries of the Bicep compiler) gives.
HELLO = "/subscriptions/31e9f9a0-9fd2-4294-a0a3-0101246d9700/resourceGroups/rg-modm201-20230913120256"


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("concat(parameters('yes'))", "True"),
        ("concat(parameters('list'), parameters('list')[1])", [1, [2], 2]),
        ("concat('a', 1, true())", "a1True"),
        ("join(createArray('abc', 'def', 'ghi'), '/')", "abc/def/ghi"),
        ("join(createArray(1, true(), 'x'), ', ')", "1, True, x"),
        ("join(createArray(), ',')", ""),
        ("split('one,two,three', ',')", ["one", "two", "three"]),
        ("split('one;two,three', createArray(',', ';'))", ["one", "two", "three"]),
        ("split(',a,,b', ',')", ["", "a", "", "b"]),
        ("split('a.b', '.')", ["a", "b"]),
        ("split('abc', '')", ["abc"]),
        ("split('', ',')", [""]),
        ("toLower('One Two ÄÖ')", "one two äö"),
        ("toUpper('One Straße')", "ONE STRAßE"),
        ("trim('  one two \n')", "one two"),
        ("padLeft('123', 10, '0')", "0000000123"),
        ("padLeft(13, 5)", "   13"),
        ("padLeft('12345', 3)", "12345"),
        ("replace('123-123-1234', '-', '')", "1231231234"),
        ("replace('123-123-1234', '1234', 'xxxx')", "123-123-xxxx"),
        ("replace('aAa', 'a', 'b')", "bAb"),
        ("startsWith('abcdef', 'AB')", True),
        ("startsWith('abcdef', 'e')", False),
        ("endsWith('abcdef', 'EF')", True),
        ("endsWith('abcdef', 'e')", False),
        ("indexOf('test', 't')", 0),
        ("indexOf('abcdef', 'CD')", 2),
        ("indexOf('abcdef', 'z')", -1),
        ("lastIndexOf('test', 'T')", 3),
        ("lastIndexOf('abcdef', 'AB')", 0),
        ("contains('OneTwoThree', 'e')", True),
        ("contains('OneTwoThree', 'one')", False),
        ("contains('abc1', 1)", True),
        ("substring('one two three', 4, 3)", "two"),
        ("substring('asdfasf', 3)", "fasf"),
        ("substring('abc', 3)", ""),
        ("take('one two three', 2)", "on"),
        ("take('abc', -1)", ""),
        ("take('abc', 9)", "abc"),
        ("skip('one two three', 4)", "two three"),
        ("skip('abc', -1)", "abc"),
        ("skip('abc', 9)", ""),
        ("first('One Two Three')", "O"),
        ("last('One Two Three')", "e"),
        ("first('')", ""),
        ("length('One Two Three')", 13),
        ("empty('')", True),
        ("empty(' ')", False),
        ("string(5)", "5"),
        ("string('a')", "a"),
        ("string(true())", "True"),
        ("string(null())", ""),
        ("string(json('{ \"valueA\": 10, \"valueB\": \"Ex ä\", \"c\": [true, null, 1.5] }'))",
         '{"valueA":10,"valueB":"Ex ä","c":[true,null,1.5]}'),
    ],
)  # fmt: skip
def test_characters(text, value):
    assert value_of(text) == value


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("base64('one, two, three')", "b25lLCB0d28sIHRocmVl"),
        ("base64ToString('b25lLCB0d28sIHRocmVl')", "one, two, three"),
        ("base64ToString(base64('äöü €'))", "äöü €"),
        ("base64ToJson(base64('{''one'': ''a'', ''two'': ''b''}'))", {"one": "a", "two": "b"}),
        ("base64ToJson(base64('{\"hi\": \"there\"}')).hi", "there"),
        ("base64(json('\"\\ud800\"'))", "77+9"),  # half a character, which only JSON can write
        ("dataUri('Hello')", "data:text/plain;charset=utf8;base64,SGVsbG8="),
        ("dataUriToString('data:;base64,SGVsbG8sIFdvcmxkIQ==')", "Hello, World!"),
        ("dataUriToString('data:text/plain,a%20b')", "a b"),
        ("dataUriToString(dataUri('abc'))", "abc"),
        ("uri('http://contoso.org/firstpath', 'myscript.sh')", "http://contoso.org/myscript.sh"),
        ("uri('http://contoso.org/firstpath/', 'myscript.sh')", "http://contoso.org/firstpath/myscript.sh"),
        ("uri('http://contoso.org/firstpath/azuredeploy.json', 'myscript.sh')",
         "http://contoso.org/firstpath/myscript.sh"),
        ("uri('http://contoso.org/firstpath/azuredeploy.json/', 'myscript.sh')",
         "http://contoso.org/firstpath/azuredeploy.json/myscript.sh"),
        ("uri('https://example.com', 'Azure/bicep')", "https://example.com/Azure/bicep"),
        ("uriComponent('http://contoso.com/resources/nested/azuredeploy.json')",
         "http%3A%2F%2Fcontoso.com%2Fresources%2Fnested%2Fazuredeploy.json"),
        ("uriComponent('UB*8h 0+=_)9h9n')", "UB%2A8h%200%2B%3D_%299h9n"),
        ("uriComponentToString('%20%25%20')", " % "),
    ],
)  # fmt: skip
def test_encodings(text, value):
    assert value_of(text) == value


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("format('{0}, {1}. Formatted number: {2:N0}', 'Hello', 'User', 8175133)",
         "Hello, User. Formatted number: 8,175,133"),
        ("format('->{0}<-', 123)", "->123<-"),
        ("format('{0}-{1}-{0}', 'a', 5)", "a-5-a"),
        ("format('{{{0}}}', 'a')", "{a}"),
        ("format('no places')", "no places"),
        ("format('{0,5}|{0,-5}|{ 0 , 3 }|', 'ab')", "   ab|ab   | ab|"),
        ("format('{0:D3} {1:N0} {2:x} {2:X4}', 7, 1234567, 255)", "007 1,234,567 ff 00FF"),
        ("format('{0:D3} {0:N1} {0:X}', -7)", "-007 -7.0 FFFFFFFFFFFFFFF9"),
        ("format('{0:000} {1:#,##0.00} {2:0.##} {2:P0} {3:#}', 7, 1234567, parameters('half'), 0)",
         "007 1,234,567.00 2.5 250 % "),
        ("format('{0:F1} {0:0}', json('2.45'))", "2.5 2"),
        ("format('{0:N}', 9223372036854775807)", "9,223,372,036,854,775,807.00"),
        ("format('{0} {1} [{2}]', true(), parameters('half'), null())", "True 2.5 []"),
        ("format('{0:D3}', 'text')", "text"),
        ("format('{0}', createArray('a', 1))", '["a",1]'),
    ],
)  # fmt: skip
def test_format(text, value):
    assert value_of(text) == value


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("uniqueString('tyeth')", "zcztcwvu6iyg6"),
        ("uniqueString('hello', 'world')", "a7wkljktk6wne"),
        ("uniqueString('asd', 'asdf', 'asdf')", "iizpqit7ih3cc"),
        (f"uniqueString('{HELLO}/providers/Microsoft.Compute/virtualMachines/bobjacmodm201')",
         "yvjxno3je5on2"),
        ("uniqueString('')", "aaaaaaaaaaaaa"),
        ("guid('asdf')", "228d27cc-6fdb-5934-b7ac-1efccebade04"),
        ("equals(guid('a', 'b'), guid('a-b'))", True),
        ("equals(uniqueString('a', 'b'), uniqueString('A', 'b'))", False),
    ],
)  # fmt: skip
def test_names_made_of_a_hash_are_those_of_azure(text, value):
    assert value_of(text) == value


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("concat('a', parameters('list'))", "strings, or arrays only"),
        ("concat('a', null())", "null is among them"),
        ("join('a', ',')", "must be an array"),
        ("split('a', 1)", "each delimiter of split() must be a string"),
        ("toLower(1)", "must be a string, not an int"),
        ("padLeft('a', 5, 'xy')", "one character"),
        ("padLeft('a', -5)", "not negative"),
        ("padLeft(true(), 5)", "not a bool"),
        ("replace('a', '', 'b')", "empty"),
        ("substring('1234567890', 0, 11)", "not inside a string of 10"),
        ("substring('abc', -1)", "not inside"),
        ("substring('abc', 1, -1)", "not inside"),
        ("base64ToString(concat(base64('abc'), '@'))", "not base64"),
        ("base64ToJson(base64('{'))", "not JSON"),
        ("dataUriToString('Hi 0!')", "no data URI"),
        ("dataUriToString(concat(dataUri('abc'), '@'))", "not base64"),
        ("uri('github.com', 'Azure/bicep')", "'github.com' is no absolute URI"),
        ("uri('http://[', 'x')", "make no URI"),
        ("format('{2}', 'a')", "no argument"),
        ("format('{')", "lonely '{'"),
        ("format('a } b')", "lonely '}'"),
        ("format('{0:Q}', 1)", "format 'Q' of an int is not supported"),
        ("format('{0:D2}', parameters('half'))", "'D2' of a number is not supported"),
        ("uniqueString(1)", "must be a string"),
        ("guid(createObject())", "must be a string"),
        ("indexOf(1, 'a')", "must be a string"),
        ("contains('a', null())", "null is not possible"),
        ("first(1)", "an array or a string"),
    ],
)
def test_wrong_arguments(text, part):
    with pytest.raises(ExpressionError) as caught:
        value_of(text)
    assert caught.value.code == "BadArguments"
    assert part in caught.value.message


def test_a_message_never_holds_a_part_of_a_long_text():
    """A secret is hidden in messages by looking for all of it."""
    secret = "s3cret-" * 20
    with pytest.raises(ExpressionError) as caught:
        value_of(f"int('{secret}')")
    assert "s3cret" not in caught.value.message
    assert "140 characters" in caught.value.message
