"""What the tools that look at scripts say, before it has a place."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from builder.lint.script import Script
from builder.process import Completed
from templates.diagnostics import Diagnostic, Severity

# `builder.process.run`; tests put recorded answers in its place.
Run = Callable[..., Completed]
# Far more than any of them takes for a script of a sane size.
LIMIT_SECONDS = 30.0
# Larger ones are archives that unpack themselves, and a tool may take minutes for them.
MAX_BYTES = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Finding:
    """One remark about a script; line and column count from 1."""

    severity: Severity
    code: str
    message: str
    line: int = 1
    column: int = 1
    hint: str | None = None

    def at(self, script: Script) -> Diagnostic:
        """The same at its place."""
        message = self.message if script.told_apart else f"line {self.line}: {self.message}"
        return Diagnostic(self.severity, self.code, message, script.locate(self.line, self.column), self.hint)
