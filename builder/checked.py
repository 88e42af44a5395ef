"""What `build validate` found, as data: files, the checks that were made, the problems of each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from templates.diagnostics import Diagnostic


@dataclass(frozen=True, slots=True)
class Check:
    """One kind of check of a file. `skipped` says why it was not made, or not for everything."""

    name: str
    problems: tuple[Diagnostic, ...] = ()
    skipped: str = ""


@dataclass(frozen=True, slots=True)
class CheckedFile:
    """A file with everything found about it; a problem may stand in a script that the file names."""

    file: str
    checks: tuple[Check, ...]

    @property
    def problems(self) -> tuple[Diagnostic, ...]:
        """Those of all checks."""
        return tuple(problem for check in self.checks for problem in check.problems)


def count(files: Sequence[CheckedFile]) -> tuple[int, int]:
    """How many errors and warnings there are."""
    found = [problem.severity for file in files for problem in file.problems]
    return found.count("error"), found.count("warning")
