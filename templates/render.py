"""Diagnostics for people: place, message, the line itself, a caret, a hint."""

from __future__ import annotations

from templates.diagnostics import Diagnostic

_WIDTH = 100


def format_diagnostic(diagnostic: Diagnostic, text: str | None) -> str:
    """`file:line:col: error Code: message`, then the source line with a caret and the hint.

    `text` is the whole file (None when there is none to show). Long lines are cut around the place.
    """
    where = diagnostic.location
    lines = [f"{where}: {diagnostic.severity} {diagnostic.code}: {diagnostic.message}"]
    source = _line(text, where.line) if text is not None else ""
    if source:
        lines.extend(_quote(source, where.column))
    if diagnostic.hint:
        lines.append(f"  hint: {diagnostic.hint}")
    return "\n".join(lines)


def _line(text: str, number: int) -> str:
    lines = text.removeprefix("\ufeff").split("\n")
    return lines[number - 1].rstrip("\r") if 0 < number <= len(lines) else ""


def _quote(source: str, column: int) -> list[str]:
    start = 0
    if len(source) > _WIDTH:
        start = max(0, min(column - 1 - _WIDTH // 2, len(source) - _WIDTH))
    shown = source[start : start + _WIDTH]
    # Control characters would move the cursor; one blank each keeps the caret where it belongs.
    shown = "".join(char if char.isprintable() else " " for char in shown)
    return ["  | " + shown, "  | " + " " * (column - 1 - start) + "^"]
