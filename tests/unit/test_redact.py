"""The canary: a secret must not come out in any form it takes on its way."""

from __future__ import annotations

import base64
import json
import shlex
import textwrap
import urllib.parse

import pytest
from hypothesis import given
from hypothesis import strategies as st

from builder.redact import MASK, Redactor

CANARY = 'c4n\'ary "$p\\a`ss" é/+?&<=>'
LONG = "k" * 30 + "0123456789/+abcdefghij" * 6
PEM = "-----BEGIN KEY-----\nMIIEpAIBAAKCAQEA7\n  indented-line-9f\nQyZ==\n-----END KEY-----\n"


def redactor(*secrets: str) -> Redactor:
    made = Redactor()
    for secret in secrets:
        made.add(secret)
    return made


def _base64_in_context(secret: str, before: int) -> str:
    return base64.b64encode(b"x" * before + secret.encode() + b"tail").decode()


FORMS = {
    "plain": lambda s: f"token={s};",
    "shell": shlex.quote,
    "shell in a line": lambda s: f"+ curl -H {shlex.quote('Bearer ' + s)}",
    "set -x": lambda s: "'" + s.replace("'", "'\\''") + "'",
    "powershell": lambda s: "'" + s.replace("'", "''") + "'",
    "double quotes": lambda s: "".join("\\" + c if c in '\\"$`' else c for c in s),
    "url": lambda s: "https://h/?t=" + urllib.parse.quote(s, safe=""),
    "url path": lambda s: "https://h/" + urllib.parse.quote(s),
    "url form": urllib.parse.quote_plus,
    "json": json.dumps,
    "json utf-8": lambda s: json.dumps({"a": s}, ensure_ascii=False),
    "json in json": lambda s: json.dumps(json.dumps({"a": s})),
    "repr": lambda s: repr([s]),
    "hex": lambda s: s.encode().hex(),
    "base64": lambda s: base64.b64encode(s.encode()).decode(),
    "base64 url": lambda s: base64.urlsafe_b64encode(s.encode()).decode(),
    "base64 +1": lambda s: _base64_in_context(s, 1),
    "base64 +2": lambda s: _base64_in_context(s, 2),
    "base64 +3": lambda s: _base64_in_context(s, 3),
    "powershell -EncodedCommand": lambda s: base64.b64encode(f"$t='{s}'".encode("utf-16-le")).decode(),
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("secret", [CANARY, "hunter2!", "a/b+c==d&e%f"])
def test_no_form_leaks(form: str, secret: str) -> None:
    encoded = FORMS[form](secret)
    clean = redactor(secret).scrub(encoded)
    assert MASK in clean
    assert secret not in clean
    # What is left shares no longer piece with the encoded secret than its surroundings explain.
    bare = FORMS[form](secret).removeprefix("https://h/?t=").removeprefix("+ curl -H ")
    pieces = {bare[at : at + 12] for at in range(len(bare) - 11)}
    harmless = ("https://h/", "+ curl -H 'Bearer ", '{"a": "', '"{\\"a\\": \\"')
    assert not [piece for piece in pieces if piece in clean and not any(piece in word for word in harmless)]


@pytest.mark.parametrize("before", range(4))
def test_base64_leaves_at_most_the_shared_characters(before: int) -> None:
    secret = "correct-horse-battery"
    clean = redactor(secret).scrub(_base64_in_context(secret, before))
    left = clean.replace(MASK, "")
    whole = _base64_in_context(secret, before)
    assert len(whole) - len(left) >= len(secret) * 8 // 6 - 2


@pytest.mark.parametrize("columns", [64, 76])
def test_wrapped_base64(columns: int) -> None:
    encoded = base64.b64encode(LONG.encode()).decode()
    cleaner = redactor(LONG)
    for line in textwrap.wrap(encoded, columns):
        assert cleaner.scrub(line) == MASK, line


@pytest.mark.parametrize("line", [line for line in PEM.splitlines() if line.strip()])
def test_many_lines_arrive_one_by_one(line: str) -> None:
    cleaner = redactor(PEM)
    assert cleaner.scrub(f"out: {line}").replace("out: ", "").strip() == MASK
    assert line.strip() not in cleaner.scrub(line.strip())
    assert line.strip() not in cleaner.scrub(line + "\r")


def test_many_lines_as_a_whole() -> None:
    cleaner = redactor(PEM)
    for text in (PEM, json.dumps(PEM), repr(PEM), shlex.quote(PEM)):
        assert "MIIEpAIBAAKCAQEA7" not in cleaner.scrub(text)


def test_a_newline_the_shell_took_away() -> None:
    assert redactor("s3cret-value\n").scrub("got s3cret-value.") == f"got {MASK}."


def test_overlapping_secrets_leave_nothing() -> None:
    assert redactor("abcdef", "defghi").scrub("x abcdefghi y") == f"x {MASK} y"
    assert redactor("abc", "abcdef").scrub("abcdef abc") == f"{MASK} {MASK}"
    assert redactor("aaa").scrub("aaaa") == MASK


def test_two_secrets_side_by_side_stay_two() -> None:
    assert redactor("first1", "second2").scrub("first1second2") == MASK * 2


@pytest.mark.parametrize("short", ["", "  ", "ab", "\n", " a "])
def test_too_short(short: str) -> None:
    cleaner = Redactor()
    with pytest.raises(ValueError, match="3 characters"):
        cleaner.add(short)
    assert cleaner.scrub("abc ab") == "abc ab"


def test_bytes_keep_what_is_not_text() -> None:
    cleaner = redactor("hunter2!")
    assert cleaner.scrub_bytes(b"\xff\x00hunter2!\xfe") == b"\xff\x00" + MASK.encode() + b"\xfe"


def test_other_text_is_untouched() -> None:
    text = "Setting up nginx (1.22.1-9) ... 100%"
    assert redactor(CANARY, PEM, "hunter2!").scrub(text) == text


@given(st.text(min_size=8, max_size=40).filter(lambda s: len(s.strip()) >= 8), st.text(max_size=20))
def test_whatever_the_secret_it_is_gone(secret: str, around: str) -> None:
    try:
        secret.encode()
    except UnicodeEncodeError:
        return
    cleaner = redactor(secret)
    for text in (
        around + secret + around,
        shlex.quote(secret),
        json.dumps(secret),
        urllib.parse.quote(secret),
    ):
        assert secret not in cleaner.scrub(text)


def test_json_values_keep_their_form() -> None:
    redactor = Redactor()
    redactor.add("hunter2")
    redactor.add("31337")
    value = {"a hunter2": ["x hunter2", 31337, 313, True, None, {"b": 'say "hunter2"'}]}
    assert redactor.scrub_json(value) == {
        f"a {MASK}": [f"x {MASK}", MASK, 313, True, None, {"b": f'say "{MASK}"'}]
    }
