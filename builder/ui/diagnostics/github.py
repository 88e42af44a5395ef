"""GitHub's workflow commands: each problem becomes an annotation of its line.

Source of the form and the escapes: GitHub's page "Workflow commands for GitHub Actions" and the
runner's own escaping of data and properties.
"""

from __future__ import annotations

from collections.abc import Sequence

from builder.checked import CheckedFile
from builder.ui.diagnostics.places import below_here
from templates.diagnostics import Diagnostic


def render(files: Sequence[CheckedFile]) -> str:
    """A line per problem."""
    return "".join(f"{_command(problem)}\n" for file in files for problem in file.problems)


def _command(problem: Diagnostic) -> str:
    where = problem.location
    facts = {
        "file": below_here(where.file),
        "line": str(where.line),
        "col": str(where.column),
        "title": problem.code,
    }
    text = problem.message + (f"\nhint: {problem.hint}" if problem.hint else "")
    listed = ",".join(f"{name}={_property(value)}" for name, value in facts.items())
    return f"::{problem.severity} {listed}::{_data(text)}"


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
