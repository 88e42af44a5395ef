"""A JSON reader that remembers where everything stood.

The standard library's reader forgets positions, and a template's problems are only useful with line
and column. Comments and trailing commas are what people write in ARM templates (Azure's own tools
take them); they are accepted with a warning, or refused when `strict`.
"""

from __future__ import annotations

import json
import re
from bisect import bisect_right
from dataclasses import dataclass, field
from typing import Any, NoReturn

from templates.diagnostics import Diagnostic, Location, Severity, TemplateError
from templates.pointers import join, parent

# Deeper documents are no templates; the limit keeps recursion (here and in later checks) bounded.
MAX_DEPTH = 100

_SPACE = re.compile(r"[ \t\r\n]*")
_STRING = re.compile(r'"[^"\\\x00-\x1f]*(?:\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4})[^"\\\x00-\x1f]*)*"')
_GOOD_PART = re.compile(r'"[^"\\\x00-\x1f]*(?:\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4})[^"\\\x00-\x1f]*)*')
_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?(?![0-9A-Za-z_.])")
_WORD = re.compile(r"[^\s,:{}\[\]\"]{1,20}")
_LITERALS = {"true": True, "false": False, "null": None}
_WORD_HINTS = {
    "True": "write true",
    "False": "write false",
    "None": "write null",
    "undefined": "write null",
}


@dataclass(frozen=True)
class JsonDocument:
    """A parsed document with the place of every key and value."""

    file: str
    text: str
    value: Any  # any JSON value
    diagnostics: tuple[Diagnostic, ...]
    values: dict[str, int] = field(repr=False)
    keys: dict[str, int] = field(repr=False)
    line_starts: list[int] = field(repr=False)

    def locate(self, pointer: str, *, inside: int = 0) -> Location:
        """Where the value at `pointer` starts.

        What is not in the file (it came out of an expression) is placed at its nearest ancestor.
        `inside` is an offset into a string value, for errors within an expression; it is used only
        when the file holds the string without escapes.
        """
        known = pointer
        while known not in self.values and known:
            known = parent(known)
        offset = self.values.get(known, 0)
        if inside and known == pointer and "\\" not in self.text[offset + 1 : offset + 1 + inside]:
            offset += 1 + inside
        return self._location(offset, pointer)

    def locate_key(self, pointer: str) -> Location:
        """Where the key (not the value) at `pointer` starts."""
        if pointer not in self.keys:
            return self.locate(pointer)
        return self._location(self.keys[pointer], pointer)

    def _location(self, offset: int, pointer: str) -> Location:
        line = bisect_right(self.line_starts, offset)
        return Location(self.file, line, offset - self.line_starts[line - 1] + 1, pointer)


def parse_json(text: str, file: str, *, strict: bool = False) -> JsonDocument:
    """Parse `text`. Raises TemplateError with one located error when it is not JSON.

    Duplicate keys are a warning (the last one wins, as everywhere); comments and trailing commas
    a warning, or an error of the result when `strict`.
    """
    return _Parser(text.removeprefix("\ufeff"), file, strict=strict).document()


class _Parser:
    def __init__(self, text: str, file: str, *, strict: bool) -> None:
        self.text = text
        self.strict = strict
        self.position = 0
        self.depth = 0
        self.diagnostics: list[Diagnostic] = []
        starts = [0, *(m.end() for m in re.finditer("\n", text))]
        self.result = JsonDocument(file, text, None, (), {}, {}, starts)
        self.comment_seen = False

    def document(self) -> JsonDocument:
        self._skip()
        if self.position == len(self.text):
            self._fail("the file is empty: expected a JSON object", "")
        value = self._value("")
        self._skip()
        if self.position < len(self.text):
            self._fail(f"expected the end of the file, found {self._found()}", "")
        done = self.result
        return JsonDocument(
            done.file, done.text, value, tuple(self.diagnostics), done.values, done.keys, done.line_starts
        )

    # -- values ---------------------------------------------------------------------------------

    def _value(self, pointer: str) -> Any:  # noqa: ANN401 - any JSON value
        self.result.values[pointer] = self.position
        char = self.text[self.position : self.position + 1]
        if char == "{":
            return self._nested(pointer, self._object)
        if char == "[":
            return self._nested(pointer, self._array)
        if char == '"':
            return self._string(pointer)
        if match := _NUMBER.match(self.text, self.position):
            return self._number(match, pointer)
        for word, value in _LITERALS.items():
            if self.text.startswith(word, self.position) and not self._word_goes_on(len(word)):
                self.position += len(word)
                return value
        self._fail(f"expected a value, found {self._found()}", pointer, hint=self._value_hint(char))

    def _nested(self, pointer: str, reader: Any) -> Any:  # noqa: ANN401 - one of the two below
        if self.depth == MAX_DEPTH:
            self._fail(f"nested more than {MAX_DEPTH} levels deep", pointer)
        self.depth += 1
        self.position += 1
        value = reader(pointer)
        self.depth -= 1
        return value

    def _object(self, pointer: str) -> dict[str, Any]:
        result: dict[str, Any] = {}
        self._skip()
        while not self._take("}"):
            if self.text[self.position : self.position + 1] != '"':
                wanted = "a key in double quotes" if result else "a key in double quotes or '}'"
                self._fail(f"expected {wanted}, found {self._found()}", pointer, hint=self._key_hint())
            start = self.position
            key = self._string(pointer)
            child = join(pointer, key)
            if key in result:
                self._report("warning", "DuplicateKey", f"the key '{key}' stands twice here", start, child)
            result[key] = None
            self.result.keys[child] = start
            self._skip()
            if not self._take(":"):
                self._fail(f"expected ':' after the key '{key}', found {self._found()}", child)
            self._skip()
            result[key] = self._value(child)
            self._separator("}", pointer)
        return result

    def _array(self, pointer: str) -> list[Any]:
        result: list[Any] = []
        self._skip()
        while not self._take("]"):
            result.append(self._value(join(pointer, len(result))))
            self._separator("]", pointer)
        return result

    def _separator(self, closing: str, pointer: str) -> None:
        """Consume a comma, or stop in front of `closing`."""
        self._skip()
        comma = self.position
        if self._take(","):
            self._skip()
            if self.text.startswith(closing, self.position):
                severity: Severity = "error" if self.strict else "warning"
                message = f"a comma before '{closing}' is not JSON"
                self._report(severity, "TrailingComma", message, comma, pointer, hint="remove the comma")
        elif not self.text.startswith(closing, self.position):
            self._fail(f"expected ',' or '{closing}', found {self._found()}", pointer)

    def _string(self, pointer: str) -> str:
        match = _STRING.match(self.text, self.position)
        if match is None:
            self._fail_in_string(pointer)
        self.position = match.end()
        raw = match.group()
        if "\\" not in raw:
            return raw[1:-1]
        value = str(json.loads(raw))
        if any("\ud800" <= char <= "\udfff" for char in value):
            self.position = match.start()
            self._fail("the string holds half of a surrogate pair (\\ud800 to \\udfff)", pointer)
        return value

    def _number(self, match: re.Match[str], pointer: str) -> int | float:
        self.position = match.end()
        if match[1] or match[2]:
            return float(match.group())
        try:
            return int(match.group())
        except ValueError:  # Python refuses thousands of digits
            self.position = match.start()
            self._fail("the number has too many digits", pointer)

    # -- between values -------------------------------------------------------------------------

    def _take(self, char: str) -> bool:
        if self.text.startswith(char, self.position):
            self.position += 1
            return True
        return False

    def _skip(self) -> None:
        """Pass white space and comments."""
        while True:
            match = _SPACE.match(self.text, self.position)
            self.position = match.end() if match else self.position
            opening = self.text[self.position : self.position + 2]
            if opening not in ("//", "/*"):
                return
            start = self.position
            end = self.text.find("\n" if opening == "//" else "*/", start + 2)
            if end < 0 and opening == "/*":
                self._fail("the comment is not closed: expected '*/'", "")
            self.position = len(self.text) if end < 0 else end + len(opening) - (opening == "//")
            if not self.comment_seen:  # one is enough: it is the habit that is reported
                self.comment_seen = True
                severity: Severity = "error" if self.strict else "warning"
                self._report(severity, "Comment", "comments are not JSON", start, "", hint="remove them")

    # -- saying what is wrong -------------------------------------------------------------------

    def _report(
        self,
        severity: Severity,
        code: str,
        message: str,
        offset: int,
        pointer: str,
        *,
        hint: str | None = None,
    ) -> None:
        place = self.result._location(offset, pointer)
        self.diagnostics.append(Diagnostic(severity, code, message, place, hint))

    def _fail(self, message: str, pointer: str, *, hint: str | None = None) -> NoReturn:
        self._report("error", "BadJson", message, self.position, pointer, hint=hint)
        raise TemplateError(self.diagnostics)

    def _fail_in_string(self, pointer: str) -> NoReturn:
        start = self.position
        good = _GOOD_PART.match(self.text, start)
        self.position = good.end() if good else start
        rest = self.text[self.position : self.position + 2]
        if rest.startswith("\\"):
            hint = "write a backslash as \\\\"
            self._fail(f"'{rest}' is not an escape that JSON knows", pointer, hint=hint)
        if rest and rest[0] not in "\r\n":
            self._fail(f"a string cannot hold the control character {rest[0]!r}", pointer, hint="write \\t")
        self.position = start
        self._fail("the string is not closed on its line: expected '\"'", pointer)

    def _found(self) -> str:
        if self.position >= len(self.text):
            return "the end of the file"
        word = _WORD.match(self.text, self.position)
        return f"'{word.group() if word else self.text[self.position]}'"

    def _word_goes_on(self, length: int) -> bool:
        after = self.text[self.position + length : self.position + length + 1]
        return after.isalnum() or after == "_"

    def _value_hint(self, char: str) -> str | None:
        word = _WORD.match(self.text, self.position)
        if char == "'":
            return "JSON strings stand in double quotes"
        if word and re.match(r"[+-]?[.\d]", word.group()):
            return "numbers are written as 1, -2 or 0.5"
        return _WORD_HINTS.get(word.group()) if word else None

    def _key_hint(self) -> str | None:
        return "JSON keys stand in double quotes" if _WORD.match(self.text, self.position) else None
