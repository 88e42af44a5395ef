"""The JSON reader: the same values as the standard library, and the place of everything."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from templates import json_reader
from templates.diagnostics import TemplateError
from templates.files import MAX_BYTES
from templates.json_reader import MAX_DEPTH, parse_json
from templates.json_tolerant import MAX_TOLD, TolerantParser
from templates.pointers import join

SCALARS = (
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text()
)
DOCUMENTS = st.recursive(
    SCALARS, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=25
)


@settings(deadline=None)
@given(DOCUMENTS, st.sampled_from([None, 1, 3]), st.booleans())
def test_agrees_with_the_standard_library(value, indent, ascii_only):
    text = json.dumps(value, indent=indent, ensure_ascii=ascii_only)
    document = parse_json(text, "f")
    assert document.value == json.loads(text)
    assert document.diagnostics == ()


@settings(deadline=None)
@given(DOCUMENTS)
def test_every_place_is_where_its_value_stands(value):
    text = json.dumps(value, indent=1)
    document = parse_json(text, "f")
    lines = text.split("\n")

    def visit(item, pointer):
        where = document.locate(pointer)
        # What follows the place parses to the value itself.
        rest = "\n".join([lines[where.line - 1][where.column - 1 :], *lines[where.line :]])
        assert json.JSONDecoder().raw_decode(rest)[0] == item
        children = (
            item.items() if isinstance(item, dict) else enumerate(item) if isinstance(item, list) else ()
        )
        for key, child in children:
            visit(child, join(pointer, key))

    visit(document.value, "")


@settings(deadline=None)
@given(st.text(alphabet='{}[]",:\\/*0e-.tru \n', max_size=30))
def test_any_text_gives_a_value_or_one_located_error(text):
    try:
        expected = json.loads(text)
    except ValueError:
        expected = None
    try:
        document = parse_json(text, "f")
    except TemplateError as error:
        assert sum(d.severity == "error" for d in error.diagnostics) == 1
        assert expected is None
    else:
        assert expected is None or document.value == expected


@pytest.mark.parametrize(
    ("text", "line", "column", "part"),
    [
        ("", 1, 1, "the file is empty"),
        ('{"a": 1,\n "b" 2}', 2, 6, "expected ':' after the key 'b', found '2'"),
        ('{"a": 1\n "b": 2}', 2, 2, "expected ',' or '}', found '\"'"),
        ('{"a": [1 2]}', 1, 10, "expected ',' or ']', found '2'"),
        ("{'a': 1}", 1, 2, "expected a key in double quotes or '}'"),
        ('{"a": True}', 1, 7, "expected a value, found 'True'"),
        ('{"a": nulls}', 1, 7, "expected a value, found 'nulls'"),
        ('{"a": 01}', 1, 7, "expected a value, found '01'"),
        ('{"a": "x\n"}', 1, 7, "the string is not closed on its line"),
        ('{"a": "C:\\x"}', 1, 10, "'\\x' is not an escape"),
        ('{"a": "\t"}', 1, 8, "control character"),
        ('{"a": "\\ud800"}', 1, 7, "surrogate"),
        ('{"a": 1', 1, 8, "found the end of the file"),
        ('{"a": 1}}', 1, 9, "expected the end of the file, found '}'"),
        ("{/* x", 1, 2, "the comment is not closed"),
        ("[" * 5000, 1, MAX_DEPTH + 1, "levels deep"),
        ("[" + "1" * 5000 + "]", 1, 2, "too many digits"),
        ('{"a": NaN}', 1, 7, "expected a value"),
    ],
)
def test_broken_json_gives_one_located_error(text, line, column, part):
    with pytest.raises(TemplateError) as caught:
        parse_json(text, "t.json")
    (found,) = caught.value.diagnostics
    assert part in found.message
    assert (found.code, found.location.line, found.location.column) == ("BadJson", line, column)
    assert str(found.location) == f"t.json:{line}:{column}"


@pytest.mark.parametrize(
    ("text", "code", "place"),
    [
        ('{"a": 1,}', "TrailingComma", (1, 8)),
        ('{"a": [1,\n2,\n]}', "TrailingComma", (2, 2)),
        ('{ // x\n"a": 1 /* y */}', "Comment", (1, 3)),
        ('{"a": 0,\n "a": 1}', "DuplicateKey", (2, 2)),
    ],
)
def test_bad_habits_are_warnings_and_errors_when_strict(text, code, place):
    document = parse_json(text, "f")
    (found,) = document.diagnostics
    assert (found.severity, found.code) == ("warning", code)
    assert (found.location.line, found.location.column) == place
    assert document.value["a"] in (1, [1], [1, 2])
    (strict,) = parse_json(text, "f", strict=True).diagnostics
    assert strict.severity == ("warning" if code == "DuplicateKey" else "error")


def test_a_byte_order_mark_moves_no_column():
    document = parse_json('\ufeff{"a": 1}', "f")
    assert document.value == {"a": 1}
    assert document.locate("/a").column == 7


def test_keys_pointers_and_what_is_not_in_the_file():
    document = parse_json('{\n  "a/b": {"c~d": [10, 20]}\n}', "f")
    assert str(document.locate("/a~1b/c~0d/1")) == "f:2:23"
    assert str(document.locate_key("/a~1b/c~0d")) == "f:2:11"
    assert document.locate("/a~1b/none/deeper").column == 10
    assert document.locate("/a~1b/none").pointer == "/a~1b/none"


def test_offsets_for_who_edits_the_text():
    text = '{\n  "a": [1, {"b" : "x\\ny"}] // end\n}'
    document = parse_json(text, "f")
    assert text[document.offset_of("/a/1/b") : document.end_of("/a/1/b")] == '"x\\ny"'
    assert text[document.offset_of("/a") : document.end_of("/a")] == '[1, {"b" : "x\\ny"}]'
    assert text[document.offset_of("") : document.end_of("")] == text
    assert text[document.offset_of_key("/a/1/b") :].startswith('"b" :')
    (comment,) = document.comments
    assert text[slice(*comment)] == "// end"
    for wrong in ("/a/2", "/a/01x", "/a/b", "/b"):
        with pytest.raises(KeyError):
            document.offset_of(wrong)
    with pytest.raises(KeyError):
        document.offset_of_key("/a/1")


def test_all_trailing_commas_are_known_however_many_are_told():
    text = "[" + "[1,]," * (MAX_TOLD + 50) + "1]"
    document = parse_json(text, "f")
    assert len(document.diagnostics) == MAX_TOLD
    assert len(document.trailing_commas) == MAX_TOLD + 50
    assert all(text[place : place + 2] == ",]" for place in document.trailing_commas)


@pytest.mark.parametrize(
    ("literal", "inside", "column"),
    [('"abc"', 2, 4), (r'"a\"bc"', 2, 5), (r'"a\u0041c"', 2, 9), (r'"\ud83d\ude00c"', 1, 14), ('"ab"', 9, 4)],
)
def test_a_place_inside_a_string_counts_escapes_as_one_character(literal, inside, column):
    document = parse_json(f"[{literal}]", "f")
    assert document.locate("/0", inside=inside).column == column + 1
    value = document.value[0]
    assert document.locate_in("/0", value, inside) == document.locate("/0", inside=inside)
    assert document.locate_in("/0", value + "!", inside).column == 2, "another text: its start"


class Counted(TolerantParser):
    passes = 0

    def parse(self):
        Counted.passes += 1
        return super().parse()


def test_places_cost_one_pass_and_only_when_asked_for(monkeypatch):
    monkeypatch.setattr(json_reader, "TolerantParser", Counted)
    Counted.passes = 0
    document = parse_json(json.dumps({"list": list(range(2000))}), "f")
    assert Counted.passes == 0
    assert [document.locate(f"/list/{n}").pointer for n in range(2000)]
    assert Counted.passes == 1
    parse_json("[1,]", "f").locate("/0")
    assert Counted.passes == 2


def test_a_text_that_is_too_long_is_refused():
    with pytest.raises(TemplateError) as caught:
        parse_json(" " * (MAX_BYTES + 1), "f")
    assert "larger than" in caught.value.diagnostics[0].message


@pytest.mark.parametrize(
    "text",
    ["[" * MAX_DEPTH + "]" * MAX_DEPTH, '{"a":' * MAX_DEPTH + "1" + "}" * MAX_DEPTH, '["\\ud83d\\ude00"]'],
)
def test_what_is_still_taken(text):
    assert parse_json(text, "f").value == json.loads(text)


@pytest.mark.parametrize(
    "text",
    [
        "[" * (MAX_DEPTH + 1) + "]" * (MAX_DEPTH + 1),
        '{"a":' * (MAX_DEPTH + 1) + "{}" + "}" * (MAX_DEPTH + 1),
        "[" * 10**5,
        "[1e400]",
        "[-1e400]",
        "[-Infinity]",
        '["\\udc00"]',
    ],
)
def test_what_the_library_takes_and_we_do_not(text):
    with pytest.raises(TemplateError):
        parse_json(text, "f")
