"""The slow pass over a JSON text: it says what is wrong and where everything stands.

It takes what people write in ARM templates and Azure's own tools accept, comments and commas too
many, and knows the words for everything else. A file without a mistake never comes here.
"""

from __future__ import annotations

import json
import re
from bisect import bisect_right
from collections.abc import Callable
from typing import Any, NoReturn

from templates.diagnostics import Diagnostic, Location, Severity, TemplateError
from templates.json_places import Place
from templates.pointers import join

# Deeper documents are no templates; the limit keeps recursion (here and in later checks) bounded.
MAX_DEPTH = 100
# A file full of one habit is told so often enough.
MAX_TOLD = 100

_SPACE = re.compile(r"[ \t\r\n]*")
_STRING = re.compile(r'"[^"\\\x00-\x1f]*(?:\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4})[^"\\\x00-\x1f]*)*"')
_GOOD_PART = re.compile(r'"[^"\\\x00-\x1f]*(?:\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4})[^"\\\x00-\x1f]*)*')
_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?(?![0-9A-Za-z_.])")
_WORD = re.compile(r"[^\s,:{}\[\]\"]{1,20}")
_LITERAL = re.compile(r"(?:true|false|null)(?!\w)")
_LITERALS = {"true": True, "false": False, "null": None}
_WORD_HINTS = {
    "True": "write true",
    "False": "write false",
    "None": "write null",
    "undefined": "write null",
}


class TolerantParser:
    """One pass. After `parse`, `root` is the place of the document, `diagnostics` what was overlooked;
    `trailing_commas` and `comments` are the places of all of these, as offsets (of a comment: both ends).
    """

    def __init__(self, text: str, file: str, line_starts: list[int], *, strict: bool) -> None:
        self.text = text
        self.file = file
        self.strict = strict
        self.root = Place(0, len(text))
        self.diagnostics: list[Diagnostic] = []
        self.trailing_commas: list[int] = []
        self.comments: list[tuple[int, int]] = []
        self._line_starts = line_starts
        self._position = 0
        # Keys and indexes on the way to where the parser is; joined only when something is wrong.
        self._path: list[str | int] = []
        self._duplicates = 0

    def parse(self) -> Any:  # noqa: ANN401 - any JSON value
        """The value. Raises TemplateError with what was found so far and the one error that ended it."""
        self._skip()
        if self._position == len(self.text):
            self._fail("the file is empty: expected a JSON object")
        value, self.root = self._value()
        self._skip()
        if self._position < len(self.text):
            self._fail(f"expected the end of the file, found {self._found()}")
        return value

    # -- values ---------------------------------------------------------------------------------

    def _value(self) -> tuple[Any, Place]:
        start = self._position
        char = self.text[start : start + 1]
        if char == "{":
            return self._nested(self._object)
        if char == "[":
            return self._nested(self._array)
        value: Any
        if char == '"':
            value = self._string()
        elif match := _NUMBER.match(self.text, start):
            value = self._number(match)
        elif match := _LITERAL.match(self.text, start):
            self._position = match.end()
            value = _LITERALS[match.group()]
        else:
            self._fail(f"expected a value, found {self._found()}", hint=self._value_hint(char))
        return value, Place(start, self._position)

    def _nested(self, reader: Callable[[Place], Any]) -> tuple[Any, Place]:
        if len(self._path) >= MAX_DEPTH:
            self._fail(f"nested more than {MAX_DEPTH} levels deep")
        place = Place(self._position, self._position)
        self._position += 1
        self._path.append("")
        value = reader(place)
        self._path.pop()
        place.end = self._position
        return value, place

    def _object(self, place: Place) -> dict[str, Any]:
        result: dict[str, Any] = {}
        below: dict[str, Place] = {}
        place.below = below
        self._skip()
        while not self._take("}"):
            if not self.text.startswith('"', self._position):
                wanted = "a key in double quotes" if result else "a key in double quotes or '}'"
                self._fail(f"expected {wanted}, found {self._found()}", hint=self._key_hint(), up=1)
            start = self._position
            key = self._string(up=1)
            self._path[-1] = key
            if key in result:
                self._tell_duplicate(key, start)
            result[key] = None
            self._skip()
            if not self._take(":"):
                self._fail(f"expected ':' after the key '{key}', found {self._found()}")
            self._skip()
            result[key], child = self._value()
            child.key = start
            below[key] = child
            self._separator("}")
        return result

    def _array(self, place: Place) -> list[Any]:
        result: list[Any] = []
        below: list[Place] = []
        place.below = below
        self._skip()
        while not self._take("]"):
            self._path[-1] = len(result)
            value, child = self._value()
            result.append(value)
            below.append(child)
            self._separator("]")
        return result

    def _separator(self, closing: str) -> None:
        """Consume a comma, or stop in front of `closing`."""
        self._skip()
        comma = self._position
        if self._take(","):
            self._skip()
            if self.text.startswith(closing, self._position):
                self.trailing_commas.append(comma)
                if len(self.trailing_commas) <= MAX_TOLD:
                    message = f"a comma before '{closing}' is not JSON"
                    self._report(self._habit, "TrailingComma", message, comma, hint="remove the comma", up=1)
        elif not self.text.startswith(closing, self._position):
            self._fail(f"expected ',' or '{closing}', found {self._found()}", up=1)

    def _string(self, *, up: int = 0) -> str:
        match = _STRING.match(self.text, self._position)
        if match is None:
            self._fail_in_string(up)
        self._position = match.end()
        raw = match.group()
        if "\\" not in raw:
            return raw[1:-1]
        value = str(json.loads(raw))
        if any("\ud800" <= char <= "\udfff" for char in value):
            self._position = match.start()
            self._fail("the string holds half of a surrogate pair (\\ud800 to \\udfff)", up=up)
        return value

    def _number(self, match: re.Match[str]) -> int | float:
        self._position = match.end()
        try:
            value = float(match.group()) if match[1] or match[2] else int(match.group())
        except ValueError:  # Python refuses thousands of digits
            self._position = match.start()
            self._fail("the number has too many digits")
        if value in (float("inf"), float("-inf")):
            self._position = match.start()
            self._fail("the number is too large")
        return value

    # -- between values -------------------------------------------------------------------------

    def _take(self, char: str) -> bool:
        if self.text.startswith(char, self._position):
            self._position += 1
            return True
        return False

    def _skip(self) -> None:
        """Pass white space and comments."""
        text = self.text
        while True:
            match = _SPACE.match(text, self._position)
            self._position = match.end() if match else self._position
            if not text.startswith("/", self._position):
                return
            opening = text[self._position : self._position + 2]
            if opening not in ("//", "/*"):
                return
            start = self._position
            end = text.find("\n" if opening == "//" else "*/", start + 2)
            if end < 0 and opening == "/*":
                self._fail("the comment is not closed: expected '*/'", up=len(self._path))
            self._position = len(text) if end < 0 else end + len(opening) - 2 * (opening == "//")
            if not self.comments:  # one is enough: it is the habit that is reported
                message = "comments are not JSON"
                self._report(self._habit, "Comment", message, start, hint="remove them", up=len(self._path))
            self.comments.append((start, self._position))

    # -- saying what is wrong -------------------------------------------------------------------

    @property
    def _habit(self) -> Severity:
        return "error" if self.strict else "warning"

    def _tell_duplicate(self, key: str, start: int) -> None:
        self._duplicates += 1
        if self._duplicates <= MAX_TOLD:
            self._report("warning", "DuplicateKey", f"the key '{key}' stands twice here", start)

    def _report(
        self,
        severity: Severity,
        code: str,
        message: str,
        offset: int,
        *,
        hint: str | None = None,
        up: int = 0,
    ) -> None:
        """Put down a problem of the value the parser is at, or `up` levels above it."""
        pointer = join("", *self._path[: len(self._path) - up])
        place = location(self.file, self._line_starts, offset, pointer)
        self.diagnostics.append(Diagnostic(severity, code, message, place, hint))

    def _fail(self, message: str, *, hint: str | None = None, up: int = 0) -> NoReturn:
        self._report("error", "BadJson", message, self._position, hint=hint, up=up)
        raise TemplateError(self.diagnostics)

    def _fail_in_string(self, up: int) -> NoReturn:
        start = self._position
        good = _GOOD_PART.match(self.text, start)
        self._position = good.end() if good else start
        rest = self.text[self._position : self._position + 2]
        if rest.startswith("\\"):
            hint = "write a backslash as \\\\"
            self._fail(f"'{rest}' is not an escape that JSON knows", hint=hint, up=up)
        if rest and rest[0] not in "\r\n":
            self._fail(f"a string cannot hold the control character {rest[0]!r}", hint="write \\t", up=up)
        self._position = start
        self._fail("the string is not closed on its line: expected '\"'", up=up)

    def _found(self) -> str:
        if self._position >= len(self.text):
            return "the end of the file"
        word = _WORD.match(self.text, self._position)
        return f"'{word.group() if word else self.text[self._position]}'"

    def _value_hint(self, char: str) -> str | None:
        word = _WORD.match(self.text, self._position)
        if char == "'":
            return "JSON strings stand in double quotes"
        if char == "<":
            return "a placeholder stands in double quotes, as any string does"
        if word and re.match(r"[+-]?[.\d]", word.group()):
            return "numbers are written as 1, -2 or 0.5"
        return _WORD_HINTS.get(word.group()) if word else None

    def _key_hint(self) -> str | None:
        return "JSON keys stand in double quotes" if _WORD.match(self.text, self._position) else None


def location(file: str, line_starts: list[int], offset: int, pointer: str) -> Location:
    """Line and column of an offset into a text whose lines start at `line_starts`."""
    line = bisect_right(line_starts, offset)
    return Location(file, line, offset - line_starts[line - 1] + 1, pointer)
