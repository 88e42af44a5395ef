"""For people: the place, the line itself, a caret, what to do; at the end how much there was."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from builder.checked import CheckedFile, count
from builder.ui.text import inert
from templates.diagnostics import Diagnostic
from templates.files import UnreadableFile, read_text
from templates.render import diagnostic_lines, printable

_RED, _YELLOW, _BOLD, _DIM, _CYAN, _OFF = (
    "\x1b[31m",
    "\x1b[33m",
    "\x1b[1m",
    "\x1b[2m",
    "\x1b[36m",
    "\x1b[0m",
)


class Human:
    """Renders findings; with `colour` for a terminal that can show it."""

    def __init__(self, *, colour: bool) -> None:
        self._colour = colour
        self._texts: dict[str, str | None] = {}

    def render(self, files: Sequence[CheckedFile]) -> str:
        """Everything found, and one line that sums it up."""
        lines: list[str] = []
        for file in files:
            for problem in file.problems:
                lines += self.lines(problem)
            lines += [
                self._paint(f"{file.file}: {check.name}: {check.skipped}", _DIM)
                for check in file.checks
                if check.skipped
            ]
        lines.append(self._sum(files))
        return inert("\n".join(lines)) + "\n"

    def lines(self, problem: Diagnostic) -> Iterator[str]:
        """One problem with the line it stands in."""
        for kind, line in diagnostic_lines(problem, self._text(problem.location.file)):
            if kind == "head":
                yield self._head(problem, line)
            elif kind == "caret":
                yield self._paint(line, _BOLD, self._tone(problem))
            else:
                yield self._paint(line, _CYAN) if kind == "hint" else line

    def _head(self, problem: Diagnostic, line: str) -> str:
        where, label = printable(f"{problem.location}:"), f"{problem.severity} {problem.code}:"
        message = line[len(where) + len(label) + 2 :]
        return f"{self._paint(where, _BOLD)} {self._paint(label, _BOLD, self._tone(problem))} {message}"

    def _tone(self, problem: Diagnostic) -> str:
        return _RED if problem.severity == "error" else _YELLOW

    def _sum(self, files: Sequence[CheckedFile]) -> str:
        errors, warnings = count(files)
        text = ", ".join([_number(errors, "error"), _number(warnings, "warning")])
        tone = _RED if errors else _YELLOW if warnings else ""
        return f"{_number(len(files), 'file')}: {self._paint(text, tone)}"

    def _paint(self, text: str, *codes: str) -> str:
        return f"{''.join(codes)}{text}{_OFF}" if self._colour and any(codes) else text

    def _text(self, file: str) -> str | None:
        if file not in self._texts:
            try:
                self._texts[file] = read_text(Path(file))
            except UnreadableFile:  # its own message says so
                self._texts[file] = None
        return self._texts[file]


def _number(count_: int, noun: str) -> str:
    return f"{count_} {noun}" if count_ == 1 else f"{count_} {noun}s"
