"""Diagnostics for people: place, message, the line itself, a caret, a hint."""

from __future__ import annotations

import unicodedata
from functools import lru_cache
from typing import Literal

from templates.diagnostics import Diagnostic

_WIDTH = 100

Kind = Literal["head", "source", "caret", "hint"]


def format_diagnostic(diagnostic: Diagnostic, text: str | None) -> str:
    """`file:line:col: error Code: message`, then the source line with a caret and the hint.

    `text` is the whole file (None when there is none to show). Long lines are cut around the place.
    """
    return "\n".join(line for _, line in diagnostic_lines(diagnostic, text))


def diagnostic_lines(diagnostic: Diagnostic, text: str | None) -> list[tuple[Kind, str]]:
    """The lines of `format_diagnostic` with what each is, for a face that has colours."""
    where = diagnostic.location
    head = f"{where}: {diagnostic.severity} {diagnostic.code}: {diagnostic.message}"
    lines: list[tuple[Kind, str]] = [("head", printable(head))]
    source = _line(text, where.line) if text is not None and diagnostic.is_quotable else ""
    if source:
        lines.extend(_quote(source, where.column))
    if diagnostic.hint:
        lines.append(("hint", f"  hint: {printable(diagnostic.hint)}"))
    return lines


def printable(text: str) -> str:
    r"""`text` with what would move the cursor or hide in it written out (`\x1b`); line breaks stay.

    Messages repeat what stands in the file, and a file may come from anywhere.
    """
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() or c == "\n" else ascii(c)[1:-1] for c in text)


@lru_cache(maxsize=4)  # a file with a thousand problems is taken apart once
def _lines(text: str) -> list[str]:
    return text.removeprefix("\ufeff").split("\n")


def _line(text: str, number: int) -> str:
    lines = _lines(text)
    return lines[number - 1].rstrip("\r") if 0 < number <= len(lines) else ""


def _quote(source: str, column: int) -> list[tuple[Kind, str]]:
    start = 0
    if len(source) > _WIDTH:
        start = max(0, min(column - 1 - _WIDTH // 2, len(source) - _WIDTH))
    # Control characters would move the cursor; one blank each keeps the caret where it belongs.
    shown = "".join(char if char.isprintable() else " " for char in source[start : start + _WIDTH])
    blanks = sum(_cells(char) for char in shown[: column - 1 - start])
    return [("source", "  | " + shown), ("caret", "  | " + " " * blanks + "^")]


def _cells(char: str) -> int:
    """How many columns of a terminal a character takes."""
    if unicodedata.combining(char):
        return 0
    return 2 if unicodedata.east_asian_width(char) in ("W", "F") else 1
