"""Shell scripts: `bash -n` and `sh -n` read a script without running it; shellcheck knows the traps."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator

from builder.lint.findings import LIMIT_SECONDS, Finding, Run
from builder.lint.script import Dialect, Script

# A shell that only reads still obeys BASH_ENV and ENV, which name a file to run first.
_ENV = {"LC_ALL": "C.UTF-8", "BASH_ENV": "", "ENV": ""}
_SAID = re.compile(r"^[^:\n]*: (?:line )?(\d+): (.*)$", re.MULTILINE)
_ANY_CODE = range(256)
# "Couldn't parse this ...": what the shell said already.
_ONLY_REPEATED = ("SC1072", "SC1073")
# Below it are mistakes of syntax, which no comment makes good.
_FIRST_HABIT = 2000


def check_shell(script: Script, run: Run) -> Iterator[Finding]:
    """Everything found. Raises ProcessError when a tool takes too long."""
    # Of other languages we know nothing; behind a NUL lies an archive, and nobody can tell where it begins.
    if not script.dialect or b"\0" in script.data:
        return
    if b"\r\n" in script.data:
        yield _windows_line_ends(script.data)
        return  # all that follows would only be about them
    found = list(_syntax(script, run))
    refused = any(finding.severity == "error" for finding in found)
    yield from found
    for finding in _shellcheck(script, run):
        if not (refused and finding.code in _ONLY_REPEATED):
            yield finding


def _windows_line_ends(data: bytes) -> Finding:
    hint = "save it with LF (dos2unix, or .gitattributes: *.sh text eol=lf)"
    first = data.split(b"\n", 1)[0]
    if first.startswith(b"#!") and first.endswith(b"\r"):
        message = "the script has Windows line endings (CRLF): no interpreter has the name on its first line"
        return Finding("error", "WindowsLineEndings", message, hint=hint)
    message = "the script has Windows line endings (CRLF): every last word of a line ends in \\r"
    return Finding("warning", "WindowsLineEndings", message, hint=hint)


def _syntax(script: Script, run: Run) -> Iterator[Finding]:
    """`sh` is dash on Debian and bash on others: what only one of them refuses is a warning."""
    own = _read(script, script.dialect, run)
    errors = [finding for finding in own if finding.severity == "error"]
    ask_another = script.dialect == "sh" and errors and shutil.which("bash")
    if not ask_another or any(finding.severity == "error" for finding in _read(script, "bash", run)):
        yield from own
        return
    for finding in errors:
        message = f"sh refuses this here, though bash takes it: {finding.message}"
        hint = "begin the script with #!/bin/bash if it is meant for bash"
        yield Finding("warning", "ShellDialect", message, finding.line, hint=hint)


def _read(script: Script, shell: Dialect, run: Run) -> list[Finding]:
    """What a shell says when it reads the script; the first error, and all warnings."""
    if not shell or shutil.which(shell) is None:
        return []
    # By this name, and not as its input: only then bash says the line.
    argv = [shell, "-n", "/dev/stdin"]
    done = run(argv, stdin=script.data, env=_ENV, timeout=LIMIT_SECONDS, ok=_ANY_CODE)
    found: list[Finding] = []
    failed = False
    for match in _SAID.finditer(done.stderr):
        line, message = int(match[1]), match[2].strip()
        if message.startswith("warning: "):
            found.append(Finding("warning", "ShellSyntax", message.removeprefix("warning: "), line))
        elif not failed and done.exit_code != 0:  # the rest repeats the line
            failed = True
            found.append(Finding("error", "ShellSyntax", message, line))
    if done.exit_code != 0 and not failed:
        words = (done.stderr.strip().splitlines() or [f"exit code {done.exit_code}"])[0]
        found.append(Finding("error", "ShellSyntax", f"{shell} cannot read the script: {words}"))
    return found


def _shellcheck(script: Script, run: Run) -> Iterator[Finding]:
    if shutil.which("shellcheck") is None:
        return
    argv = ["shellcheck", "--format=json1", "--severity=info", f"--shell={script.dialect}", "-"]
    done = run(argv, stdin=script.data, env=_ENV, timeout=LIMIT_SECONDS, ok=_ANY_CODE)
    try:
        comments = json.loads(done.stdout)["comments"]
        for item in comments:
            number = int(item["code"])
            code = f"SC{number}"
            hint = f"if it is meant so: a line '# shellcheck disable={code}' above"
            place = int(item["line"]), int(item["column"])
            yield Finding(
                "warning", code, str(item["message"]), *place, hint if number >= _FIRST_HABIT else None
            )
    except (ValueError, TypeError, KeyError):  # not text, or a version that writes otherwise
        words = (done.stderr.strip().splitlines() or [f"exit code {done.exit_code}"])[0]
        yield Finding("warning", "LintFailed", f"shellcheck did not look at the script: {words}")
