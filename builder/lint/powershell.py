"""PowerShell scripts: its own parser reads them; nothing runs. Only where pwsh is installed."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from builder.lint.findings import LIMIT_SECONDS, Finding, Run
from builder.lint.script import Script

_PARSE = """
$tokens = $null
$errors = $null
$file = $env:GOLDSMITH_SCRIPT
[void][System.Management.Automation.Language.Parser]::ParseFile($file, [ref]$tokens, [ref]$errors)
$found = @($errors | ForEach-Object {
  @{ line = $_.Extent.StartLineNumber; column = $_.Extent.StartColumnNumber; message = $_.Message }
})
ConvertTo-Json -Compress -InputObject $found
"""


def check_powershell(script: Script, run: Run) -> Iterator[Finding]:
    """Errors of syntax. Raises ProcessError when pwsh takes too long."""
    if shutil.which("pwsh") is None:
        return
    with tempfile.TemporaryDirectory(prefix="goldsmith-lint-") as folder:
        file = Path(folder) / "script.ps1"
        file.write_bytes(script.data)
        argv = ["pwsh", "-NoLogo", "-NoProfile", "-NonInteractive", "-Command", _PARSE]
        done = run(argv, env={"GOLDSMITH_SCRIPT": str(file)}, timeout=LIMIT_SECONDS, ok=range(256))
    try:
        for item in json.loads(done.stdout):
            place = int(item["line"]), int(item["column"])
            yield Finding("error", "PowerShellSyntax", str(item["message"]), *place)
    except (ValueError, TypeError, KeyError):
        words = (done.stderr.strip().splitlines() or [f"exit code {done.exit_code}"])[0]
        yield Finding("warning", "LintFailed", f"pwsh did not look at the script: {words}")
