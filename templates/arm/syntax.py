"""The grammar of ARM template expressions: `[concat('a', parameters('b').c[0])]` becomes a tree.

Rules after "Syntax and expressions in ARM templates": a string that starts with `[` and ends with
`]` is an expression, `[[` at the start of such a string stands for a literal `[`; strings are in
single quotes, `''` is a quote; whitespace and newlines between the parts mean nothing.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

Json = Any  # any JSON value; what expressions work on

MAX_NESTING = 60
MAX_LENGTH = 24_576  # characters; ARM's limit of a template expression
MIN_INT, MAX_INT = -(2**63), 2**63 - 1  # ARM integers have 64 bits

_TOKEN = re.compile(
    r"(?P<space>\s+)|(?P<string>'(?:[^']|'')*')|(?P<int>-?\d+(?![\w.]))"
    r"|(?P<name>[A-Za-z_]\w*)|(?P<sign>\.\?|\[\?|[()\[\],.])",
    re.ASCII,
)
_CONSTANTS = ("true", "false", "null")  # functions here, as everything that is no text or number


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


@dataclass(frozen=True, slots=True)
class Literal:
    """A string or an integer."""

    value: str | int


@dataclass(frozen=True, slots=True)
class Call:
    """A function call; `namespace` is that of a function the template defines, else empty."""

    name: str
    arguments: tuple[Node, ...]
    offset: int
    namespace: str = ""


@dataclass(frozen=True, slots=True)
class Access:
    """`target.name` or `target[key]`; `safe` when written `.?name` or `[?key]`."""

    target: Node
    key: Node
    offset: int
    safe: bool = False


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


def parse(text: str) -> Node:
    """The tree of an expression string (brackets included). Raises ExpressionError."""
    if len(text) > MAX_LENGTH:
        message = f"the expression has {len(text)} characters, more than ARM's limit of {MAX_LENGTH}"
        raise ExpressionError("BadExpression", message, hint="split it into variables")
    return _Parser(_tokens(text)).expression()


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

    def _take(self, *texts: str) -> str:
        """The sign that stands here, stepping over it, when it is one of `texts`; else nothing."""
        if self._now.kind == "sign" and self._now.text in texts:
            return self._next().text
        return ""

    def _operand(self) -> Node:
        self.depth += 1
        if self.depth > MAX_NESTING:
            message = f"nested more than {MAX_NESTING} levels deep"
            raise ExpressionError("BadExpression", message, offset=self._now.offset)
        node = self._primary()
        chained = 0
        while True:
            offset = self._now.offset
            sign = self._take(".", ".?", "[", "[?")
            if not sign:
                self.depth -= 1
                return node
            chained += 1
            if self.depth + chained > MAX_NESTING:  # a tree of its own is a deep one too
                message = f"more than {MAX_NESTING} properties in a row"
                raise ExpressionError("BadExpression", message, offset=offset)
            node = Access(node, self._key(sign), offset, sign.endswith("?"))

    def _key(self, sign: str) -> Node:
        if sign.startswith("."):
            if self._now.kind != "name":
                raise self._expected("the name of a property")
            return Literal(self._next().text)
        key = self._operand()
        if not self._take("]"):
            raise self._expected("']'")
        return key

    def _primary(self) -> Node:
        token = self._now
        if token.kind == "string":
            self.position += 1
            return Literal(token.text[1:-1].replace("''", "'"))
        if token.kind == "int":
            self.position += 1
            return Literal(_int(token))
        if token.kind != "name":
            raise self._expected("a function, a string or a number")
        self.position += 1
        namespace, name = "", token.text
        if self._is_user_function():
            self.position += 1
            namespace, name = name, self._next().text
        if not self._take("("):
            hint = f"a text is written '{name}'; write [[ at the start when this is no expression"
            if name.casefold() in _CONSTANTS:
                hint = f"write {name.casefold()}(), or '{name}' for the text"
            raise self._expected(f"'(' after '{name}'", hint=hint)
        return Call(name, self._arguments(), token.offset, namespace)

    def _is_user_function(self) -> bool:
        """Whether `.name(` follows: the name before it is that of a namespace."""
        ahead = self.tokens[self.position : self.position + 3]
        return [token.text if token.kind == "sign" else token.kind for token in ahead] == [".", "name", "("]

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


def _int(token: _Token) -> int:
    # int() of a text of thousands of digits is slow, so the length is looked at first.
    value = int(token.text) if len(token.text) <= 20 else MAX_INT + 1
    if not MIN_INT <= value <= MAX_INT:
        raise ExpressionError(
            "BadExpression", "the number is too large: ints have 64 bits", offset=token.offset
        )
    return value
