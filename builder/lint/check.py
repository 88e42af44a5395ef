"""All scripts of a file, each looked at by the tools of its language that this machine has."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from builder import process
from builder.lint.findings import MAX_BYTES, Finding, Run
from builder.lint.powershell import check_powershell
from builder.lint.script import Script
from builder.lint.shell import check_shell
from builder.process import ProcessError
from templates.diagnostics import Diagnostic

_AT_A_TIME = 2


def check_scripts(scripts: Sequence[Script], run: Run = process.run) -> list[Diagnostic]:
    """What is wrong with them, in their order. Nothing is executed; a tool that is missing is no error."""
    with ThreadPoolExecutor(max_workers=_AT_A_TIME, thread_name_prefix="lint") as pool:
        results = list(pool.map(lambda script: _check(script, run), scripts))
    return [finding.at(script) for script, found in zip(scripts, results, strict=True) for finding in found]


def _check(script: Script, run: Run) -> list[Finding]:
    if len(script.data) > MAX_BYTES:
        return []
    check = check_powershell if script.dialect == "powershell" else check_shell
    found: list[Finding] = []
    try:
        found.extend(check(script, run))
    except ProcessError as error:
        found.append(Finding("warning", "LintFailed", f"the script was not looked at: {error.message}"))
    return found
