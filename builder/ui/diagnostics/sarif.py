"""SARIF 2.1.0 (an OASIS standard), which code scanning services and editors take."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from importlib.metadata import version
from typing import Any

from builder.checked import CheckedFile
from builder.ui.diagnostics.places import as_uri
from templates.diagnostics import Diagnostic

_SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"


def render(files: Sequence[CheckedFile]) -> str:
    """One log with one run."""
    problems = [problem for file in files for problem in file.problems]
    rules = _rules(problems)
    index = {rule["id"]: number for number, rule in enumerate(rules)}
    driver = {"name": "goldsmith", "semanticVersion": version("goldsmith"), "rules": rules}
    run = {
        "tool": {"driver": driver},
        "columnKind": "unicodeCodePoints",
        "results": [_result(problem, index[problem.code]) for problem in problems],
    }
    return json.dumps({"$schema": _SCHEMA, "version": "2.1.0", "runs": [run]}, indent=2) + "\n"


def _rules(problems: Iterable[Diagnostic]) -> list[dict[str, Any]]:
    """A rule for each code that occurs; what it says is what its first problem says."""
    first: dict[str, Diagnostic] = {}
    for problem in problems:
        first.setdefault(problem.code, problem)
    return [
        {
            "id": code,
            "shortDescription": {"text": _words(code)},
            "help": {"text": problem.hint or problem.message},
            "defaultConfiguration": {"level": problem.severity},
        }
        for code, problem in sorted(first.items())
    ]


def _result(problem: Diagnostic, rule: int) -> dict[str, Any]:
    where = problem.location
    place: dict[str, Any] = {
        "physicalLocation": {
            "artifactLocation": {"uri": as_uri(where.file)},
            "region": {"startLine": where.line, "startColumn": where.column},
        }
    }
    if where.pointer:
        place["logicalLocations"] = [{"fullyQualifiedName": where.pointer}]
    text = problem.message + (f"\nhint: {problem.hint}" if problem.hint else "")
    return {
        "ruleId": problem.code,
        "ruleIndex": rule,
        "level": problem.severity,
        "message": {"text": text},
        "locations": [place],
    }


def _words(code: str) -> str:
    """A code as words: `MissingField` is "Missing field"."""
    if code.startswith("SC") and code[2:].isdigit():
        return f"shellcheck's {code}"
    return "".join(f" {c.lower()}" if c.isupper() and n else c for n, c in enumerate(code))
