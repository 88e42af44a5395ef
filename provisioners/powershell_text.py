"""PowerShell programs as text, and the command lines that run them. Pure.

Written against the documentation and Packer's behaviour; checked by a SSH double that looks at the
exact bytes, never yet by a real Windows (docs say so).
"""

from __future__ import annotations

import base64
from collections.abc import Sequence

from provisioners.environment import powershell_quote

_POLL_MILLISECONDS = 500
# Else Windows PowerShell writes in the machine's old code page. There may be no console to ask.
UTF8 = "try { [Console]::OutputEncoding = New-Object System.Text.UTF8Encoding $false } catch { }\n"


def command(text: str, *, program: str = "powershell.exe") -> list[str]:
    """argv that runs `text`. Base64 of UTF-16LE needs no quoting in any shell on the way."""
    encoded = base64.b64encode(text.encode("utf-16-le")).decode()
    policy = ["-ExecutionPolicy", "Bypass"] if program == "powershell.exe" else []
    return [program, "-NoProfile", "-NonInteractive", *policy, "-EncodedCommand", encoded]


def runner(script: str, *, environment: str | None = None) -> str:
    """Run the script file and hand on its exit code as Packer does: that of its last native program.

    There is no try/catch around the script on purpose: inside one, errors that only end a statement
    would end the script. An uncaught `throw` ends PowerShell with 1 by itself.
    """
    lines = ["$ProgressPreference = 'SilentlyContinue'"]
    if environment is not None:
        file = powershell_quote(environment)
        lines.append(UTF8.rstrip("\n"))
        lines += [f". {file}", f"Remove-Item -Force -LiteralPath {file}"]
    lines += [f"& {powershell_quote(script)}", "exit $LASTEXITCODE"]
    return "\n".join(lines) + "\n"


def scheduled_task(name: str, *, script: str, log: str, as_system: bool, limit: int) -> str:
    """Run a script file elevated: register a task, start it, copy its log as it grows, hand on its code.

    A SSH session's token may be filtered and cannot become SYSTEM; a task can. S4U needs no password.
    `limit` is in seconds. The result codes 0x41301, 0x41303 and 0x41325 mean running, not yet run, queued.
    """
    user = "'SYSTEM' -LogonType ServiceAccount" if as_system else "$env:USERNAME -LogonType S4U"
    inner = f'-NoProfile -NonInteractive -ExecutionPolicy Bypass -File "{script}"'
    argument = f'/d /s /c "powershell.exe {inner} > "{log}" 2>&1"'
    return f"""{UTF8}$ProgressPreference = 'SilentlyContinue'
$ErrorActionPreference = 'Stop'
$name = {powershell_quote(name)}
$log = {powershell_quote(log)}
$action = New-ScheduledTaskAction -Execute 'cmd.exe' -Argument {powershell_quote(argument)}
$principal = New-ScheduledTaskPrincipal -UserId {user} -RunLevel Highest
$limit = New-TimeSpan -Seconds {limit}
$settings = New-ScheduledTaskSettingsSet -ExecutionTimeLimit $limit -AllowStartIfOnBatteries
$task = New-ScheduledTask -Action $action -Principal $principal -Settings $settings
Register-ScheduledTask -TaskName $name -InputObject $task -Force | Out-Null
Start-ScheduledTask -TaskName $name
$seen = 0
$until = (Get-Date).AddSeconds({limit})
do {{
  Start-Sleep -Milliseconds {_POLL_MILLISECONDS}
  $code = (Get-ScheduledTaskInfo -TaskName $name).LastTaskResult
  $going = ($code -eq 267009) -or ($code -eq 267011) -or ($code -eq 267045)
  if (Test-Path -LiteralPath $log) {{
    $lines = @(Get-Content -Encoding UTF8 -LiteralPath $log)
    $upto = $lines.Count
    if ($going -and $upto -gt 0) {{ $upto = $upto - 1 }}
    while ($seen -lt $upto) {{ [Console]::Out.WriteLine($lines[$seen]); $seen++ }}
  }}
}} while ($going -and ((Get-Date) -lt $until))
Unregister-ScheduledTask -TaskName $name -Confirm:$false
Remove-Item -Force -LiteralPath $log -ErrorAction SilentlyContinue
if ($going) {{ [Console]::Error.WriteLine('the scheduled task did not end in time'); exit 1460 }}
exit $code
"""


def command_line(line: str) -> str:
    """Run a line of cmd.exe as it was written, quotes and all, and hand on its exit code."""
    argument = f'/d /s /c "{line}"'
    return (
        "$ProgressPreference = 'SilentlyContinue'\n"
        f"$p = Start-Process -FilePath $env:ComSpec -ArgumentList {powershell_quote(argument)} "
        "-NoNewWindow -Wait -PassThru\n"
        "exit $p.ExitCode\n"
    )


def delete(files: Sequence[str]) -> list[str]:
    """argv that deletes files in a Windows guest; missing ones do not matter."""
    return ["cmd.exe", "/c", "del", "/f", "/q", *(file.replace("/", "\\") for file in files)]
