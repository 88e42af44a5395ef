"""What the reader has to say about a template: located errors and warnings."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from templates.errors import ExitCode, GoldsmithError

Severity = Literal["error", "warning"]


@dataclass(frozen=True, slots=True)
class Location:
    """A place in a file. `line` and `column` count from 1; `pointer` is an RFC 6901 JSON pointer."""

    file: str
    line: int
    column: int
    pointer: str = ""

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}"


@dataclass(frozen=True, slots=True)
class Diagnostic:
    """One problem at one place. `code` is stable (CamelCase); `hint` says what to do about it.

    `is_quotable`: whether its line of the file may be shown; one that holds a secret may not.
    """

    severity: Severity
    code: str
    message: str
    location: Location
    hint: str | None = None
    is_quotable: bool = True


class TemplateError(GoldsmithError):
    """A template that cannot be built; carries every problem found, not only the first."""

    code = "BadTemplate"
    exit_code = ExitCode.BAD_TEMPLATE

    def __init__(self, diagnostics: Iterable[Diagnostic]) -> None:
        self.diagnostics = tuple(diagnostics)
        errors = [d for d in self.diagnostics if d.severity == "error"]
        noun = "problem" if len(errors) == 1 else "problems"
        file = errors[0].location.file if errors else "template"
        super().__init__(f"{file}: {len(errors)} {noun} in the template")
