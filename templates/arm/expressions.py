"""The ARM template expression language: `[concat('a', parameters('b').c[0])]`.

Rules after "Syntax and expressions in ARM templates": a string that starts with `[` and ends with
`]` is an expression, `[[` at the start of such a string stands for a literal `[`; strings are in
single quotes, `''` is a quote; names of functions and of properties are compared without case.
"""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass
from typing import Any, Protocol

Json = Any  # any JSON value; what expressions work on

MAX_NESTING = 60

_TOKEN = re.compile(
    r"(?P<space>\s+)|(?P<string>'(?:[^']|'')*')|(?P<int>-?\d+(?![\w.]))"
    r"|(?P<name>[A-Za-z_]\w*)|(?P<sign>[()\[\],.])",
    re.ASCII,
)


class ExpressionError(Exception):
    """Something wrong in an expression, `offset` characters into the string that holds it.

    `pointer` is set by whoever knows the string's place; the reader turns this into a Diagnostic.
    """

    def __init__(self, code: str, message: str, *, offset: int = 0, hint: str | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.offset = offset
        self.hint = hint
        self.pointer: str | None = None


class Context(Protocol):
    """What functions can ask of the deployment around them."""

    def parameter(self, name: str) -> Json:
        """The value of a parameter. Raises ExpressionError."""

    def variable(self, name: str) -> Json:
        """The value of a variable. Raises ExpressionError."""

    def subscription(self) -> dict[str, Json]:
        """The answer of subscription()."""

    def resource_group(self) -> dict[str, Json]:
        """The answer of resourceGroup()."""

    def call(self, name: str, arguments: list[Json]) -> Json:
        """Call a function. Raises ExpressionError."""


@dataclass(frozen=True, slots=True)
class Literal:
    """A string or an integer."""

    value: str | int


@dataclass(frozen=True, slots=True)
class Call:
    """A function call."""

    name: str
    arguments: tuple[Node, ...]
    offset: int


@dataclass(frozen=True, slots=True)
class Access:
    """`target.name` or `target[key]`."""

    target: Node
    key: Node
    offset: int


Node = Literal | Call | Access


@dataclass(frozen=True, slots=True)
class _Token:
    kind: str
    text: str
    offset: int


def is_expression(text: str) -> bool:
    """Whether ARM would evaluate `text`."""
    return len(text) > 1 and text[0] == "[" and text[-1] == "]" and text[1] != "["


def unescape(text: str) -> str:
    """A string that is no expression, with the `[[` escape taken off (only where ARM does)."""
    return text[1:] if text.startswith("[[") and text.endswith("]") else text


def evaluate(text: str, context: Context) -> Json:
    """The value of an expression string (brackets included). Raises ExpressionError."""
    return _value(parse(text), context)


def parse(text: str) -> Node:
    """The tree of an expression string (brackets included). Raises ExpressionError."""
    return _Parser(_tokens(text)).expression()


def get_property(target: Json, key: Json, offset: int = 0) -> Json:
    """`target.key`, names compared without case. Raises ExpressionError naming what there is."""
    if isinstance(target, dict) and isinstance(key, str):
        for name, value in target.items():
            if name.casefold() == key.casefold():
                return value
        close = difflib.get_close_matches(key, target, n=1)
        hint = f"did you mean '{close[0]}'?" if close else f"there are: {', '.join(target) or 'none'}"
        raise ExpressionError("UnknownProperty", f"there is no property '{key}'", offset=offset, hint=hint)
    if isinstance(target, list) and isinstance(key, int) and not isinstance(key, bool):
        if 0 <= key < len(target):
            return target[key]
        message = f"the index {key} is outside of an array of {len(target)}"
        raise ExpressionError("BadIndex", message, offset=offset)
    wanted = f"property '{key}'" if isinstance(key, str) else f"index {key}"
    raise ExpressionError("BadIndex", f"{kind_of(target)} has no {wanted}", offset=offset)


def kind_of(value: Json) -> str:
    """The JSON type of `value` for a message."""
    names: list[tuple[type, str]] = [
        (bool, "a bool"),
        (int, "an int"),
        (float, "a number"),
        (str, "a string"),
        (list, "an array"),
        (dict, "an object"),
    ]
    return next((name for kind, name in names if isinstance(value, kind)), "null")


def _value(node: Node, context: Context) -> Json:
    match node:
        case Literal(value):
            return value
        case Access(target, key, offset):
            return get_property(_value(target, context), _value(key, context), offset)
        case Call(name, arguments, offset):
            values = [_value(argument, context) for argument in arguments]
            try:
                return context.call(name, values)
            except ExpressionError as error:
                if not error.offset and error.pointer is None:
                    error.offset = offset
                raise


def _tokens(text: str) -> list[_Token]:
    """Tokens between the outer brackets."""
    result: list[_Token] = []
    position, end = 1, len(text) - 1
    while position < end:
        match = _TOKEN.match(text, position, end)
        if match is None:
            if text[position] == "'":
                message, hint = "the string is not closed", "a quote inside a string is written ''"
            elif text[position] == '"':
                message, hint = "strings in expressions stand in single quotes", None
            else:
                message, hint = f"'{text[position]}' has no meaning in an expression", None
            hint = hint or "write [[ at the start when the text is no expression"
            raise ExpressionError("BadExpression", message, offset=position, hint=hint)
        if match.lastgroup != "space":
            result.append(_Token(match.lastgroup or "", match.group(), position))
        position = match.end()
    result.append(_Token("end", "", end))
    return result


class _Parser:
    def __init__(self, tokens: list[_Token]) -> None:
        self.tokens = tokens
        self.position = 0
        self.depth = 0

    def expression(self) -> Node:
        node = self._operand()
        if self._now.kind != "end":
            raise self._expected("the end of the expression")
        return node

    @property
    def _now(self) -> _Token:
        return self.tokens[self.position]

    def _next(self) -> _Token:
        token = self._now
        self.position += 1
        return token

    def _take(self, text: str) -> bool:
        if self._now.kind == "sign" and self._now.text == text:
            self.position += 1
            return True
        return False

    def _operand(self) -> Node:
        self.depth += 1
        if self.depth > MAX_NESTING:
            message = f"nested more than {MAX_NESTING} levels deep"
            raise ExpressionError("BadExpression", message, offset=self._now.offset)
        node = self._primary()
        while True:
            offset = self._now.offset
            if self._take("."):
                if self._now.kind != "name":
                    raise self._expected("the name of a property")
                node = Access(node, Literal(self._next().text), offset)
            elif self._take("["):
                key = self._operand()
                if not self._take("]"):
                    raise self._expected("']'")
                node = Access(node, key, offset)
            else:
                self.depth -= 1
                return node

    def _primary(self) -> Node:
        token = self._now
        if token.kind == "string":
            self.position += 1
            return Literal(token.text[1:-1].replace("''", "'"))
        if token.kind == "int":
            if len(token.text) > 20:  # ARM integers have 64 bits
                raise ExpressionError("BadExpression", "the number is too large", offset=token.offset)
            self.position += 1
            return Literal(int(token.text))
        if token.kind != "name":
            raise self._expected("a function, a string or a number")
        self.position += 1
        if not self._take("("):
            hint = f"a text is written '{token.text}'; write [[ at the start when this is no expression"
            raise self._expected(f"'(' after '{token.text}'", hint=hint)
        return Call(token.text, self._arguments(), token.offset)

    def _arguments(self) -> tuple[Node, ...]:
        result: list[Node] = []
        if self._take(")"):
            return ()
        while True:
            result.append(self._operand())
            if self._take(")"):
                return tuple(result)
            if not self._take(","):
                raise self._expected("',' or ')'")

    def _expected(self, what: str, *, hint: str | None = None) -> ExpressionError:
        found = f"'{self._now.text}'" if self._now.text else "the end"
        message = f"expected {what}, found {found}"
        return ExpressionError("BadExpression", message, offset=self._now.offset, hint=hint)
