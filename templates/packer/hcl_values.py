"""The values of an HCL2 file as Packer's JSON would hold them: `${var.x}` becomes `{{user `x`}}`.

One form for both languages means one converter. An expression that nothing here can compute becomes the
action `{{hcl `name` `expression`}}`, which `templates.packer.texts` turns into a variable to be given.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

_ESCAPES = {"n": "\n", "r": "\r", "t": "\t", '"': '"', "\\": "\\"}
_UNICODE = re.compile(r"u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})")
_NAME = r"([A-Za-z_][\w-]*)"
# An expression as a whole -> what it is in Packer's JSON.
_SIMPLE: tuple[tuple[re.Pattern[str], Callable[[re.Match[str]], str]], ...] = (
    (re.compile(r"path\.root"), lambda _: "{{template_dir}}"),
    (re.compile(r"path\.cwd"), lambda _: "{{pwd}}"),
    (re.compile(r"(?:build|source)\.name"), lambda _: "{{build_name}}"),
    (re.compile(r"source\.type"), lambda _: "{{build_type}}"),
    (re.compile(rf"source\.{_NAME}\.{_NAME}"), lambda match: match.group()),
    (re.compile(rf"build\.{_NAME}"), lambda match: f"{{{{build `{match[1]}`}}}}"),
    (re.compile(r"packer\.version"), lambda _: "{{packer_version}}"),
    (re.compile(r"timestamp\(\)"), lambda _: "{{isotime}}"),
    (re.compile(r"uuidv4\(\)"), lambda _: "{{uuid}}"),
    (re.compile(r'env\("([^"\\$]+)"\)'), lambda match: f"{{{{env `{match[1]}`}}}}"),
)
_LOOKUP = re.compile(rf"(var|local)\.{_NAME}")
_NUMBER = re.compile(r"-?\d+(?:\.\d+)?")
_MOST_DEPTH = 20

Lookup = Callable[[str, str, int], Any]
"""What `var` or `local` with a name is: JSON, or None when it cannot be computed; the depth goes along."""


class Values:
    """Turns what the parser serialized into plain JSON with Go templates in its texts."""

    def __init__(self, lookup: Lookup) -> None:
        self._lookup = lookup

    def value(self, raw: Any, *, name: str = "", depth: int = 0) -> Any:  # noqa: ANN401 - any JSON value
        """`raw` as JSON. `name` is what a value that cannot be computed is to be called."""
        if isinstance(raw, dict):
            return {
                self._key(key): self.value(item, name=name, depth=depth)
                for key, item in raw.items()
                if not key.startswith("__")
            }
        if isinstance(raw, list):
            return [self.value(item, name=name, depth=depth) for item in raw]
        if not isinstance(raw, str):
            return raw
        if raw.startswith('"'):
            return self._template(raw[1:-1], name, depth)
        expression = raw[2:-1] if raw.startswith("${") else raw
        return self._expression(expression.strip(), name, depth)

    def _key(self, key: str) -> str:
        return str(self._template(key[1:-1], "", 0)) if key.startswith('"') else key

    def _expression(self, text: str, name: str, depth: int) -> Any:  # noqa: ANN401 - any JSON value
        while text.startswith("(") and text.endswith(")") and _closing(text, 1, "()") == len(text) - 1:
            text = text[1:-1].strip()
        if _NUMBER.fullmatch(text):
            return float(text) if "." in text else int(text)
        if len(text) > 1 and text[0] == '"' and _end_of_text(text, 1) == len(text) - 1:
            return self._template(text[1:-1], name, depth)
        for pattern, make in _SIMPLE:
            if match := pattern.fullmatch(text):
                return make(match)
        match = _LOOKUP.fullmatch(text)
        if match and depth < _MOST_DEPTH:
            found = self._lookup(match[1], match[2], depth + 1)
            if found is not None:
                return found
            name = name or match[2]
        return _unknown(name, text)

    def _template(self, text: str, name: str, depth: int) -> str:
        """The inside of a quoted text: escapes, `${…}`, and `%{…}`, which nothing here computes."""
        out, position = [], 0
        while position < len(text):
            two = text[position : position + 2]
            if text[position] == "\\":
                piece, position = _escape(text, position)
            elif text.startswith(("$${", "%%{"), position):
                piece, position = text[position + 1 : position + 3], position + 3
            elif two == "%{":
                return _unknown(name, text)
            elif two == "${":
                end = _closing(text, position + 2, "{}")
                if end < 0:
                    return _unknown(name, text)
                inner = text[position + 2 : end].replace('\\"', '"').strip()
                piece, position = self._inside(inner, name, depth), end + 1
            else:
                piece, position = text[position], position + 1
            out.append(piece)
        return "".join(out)

    def _inside(self, expression: str, name: str, depth: int) -> str:
        found = self._expression(expression, "", depth)
        if isinstance(found, dict | list) or found is None:
            return _unknown(name, expression)
        return str(found).lower() if isinstance(found, bool) else str(found)


def _unknown(name: str, expression: str) -> str:
    """The action for what cannot be computed. A name says more than none when it has to be given."""
    text = expression.replace("`", "'").replace("\n", " ")
    return f"{{{{hcl `{name or 'packer_value'}` `{text}`}}}}"


def _escape(text: str, position: int) -> tuple[str, int]:
    char = text[position + 1 : position + 2]
    if char in _ESCAPES:
        return _ESCAPES[char], position + 2
    match = _UNICODE.match(text, position + 1)
    if match:
        code = int(match[1] or match[2], 16)
        if code <= 0x10FFFF and not 0xD800 <= code <= 0xDFFF:
            return chr(code), match.end()
    return text[position : position + 2], position + 2


def _end_of_text(text: str, position: int) -> int:
    """Where the quote that ends a text stands; -1 without one."""
    while position < len(text):
        if text[position] == "\\":
            position += 1
        elif text[position] == '"':
            return position
        elif text.startswith("${", position):
            position = _closing(text, position + 2, "{}")
            if position < 0:
                return -1
        position += 1
    return -1


def _closing(text: str, position: int, pair: str) -> int:
    """Where the bracket that is open at `position` closes; texts in between may hold others. -1: nowhere."""
    depth = 1
    while 0 <= position < len(text):
        char = text[position]
        if char == pair[0]:
            depth += 1
        elif char == pair[1]:
            depth -= 1
            if not depth:
                return position
        elif char == '"':
            position = _end_of_text(text, position + 1)
            if position < 0:
                return -1
        position += 1
    return -1
