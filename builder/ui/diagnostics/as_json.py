"""For programs: an array of problems, each with its file, place, code and hint."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from builder.checked import CheckedFile
from templates.diagnostics import Diagnostic


def render(files: Sequence[CheckedFile]) -> str:
    """A JSON array; `file` is the template, `location.file` where the problem stands (a script, too)."""
    rows = [{"file": file.file, **_fields(problem)} for file in files for problem in file.problems]
    return json.dumps(rows, indent=2) + "\n"


def _fields(problem: Diagnostic) -> dict[str, Any]:
    """What a program is told of a problem; whether its line may be shown is for people's output."""
    return {name: value for name, value in asdict(problem).items() if name != "is_quotable"}
