"""Generalize, inside the guest: AIB's deprovision script, then a scrub of our own, then power off.

Everything runs detached from SSH: the build user is deleted on the way, so nobody can come back
(aib-behaviour, section 5). The report arrives on the guest's second serial port.
"""

from __future__ import annotations

import contextlib
import re
from dataclasses import dataclass
from importlib import resources
from typing import Final, Literal

from provisioners import powershell_text
from provisioners.base import StepError
from provisioners.environment import posix_quote, powershell_quote
from provisioners.guest import Guest, GuestError, GuestTimeoutError, LinkLostError

LINUX_PATH: Final = "/tmp/DeprovisioningScript.sh"  # noqa: S108 - AIB's place; customizers replace it there
WINDOWS_PATH: Final = "C:/DeprovisioningScript.ps1"

SCRIPT_LIMIT: Final = 1200
"""Seconds the deprovision script may take; sysprep is the slow one."""
TOTAL_LIMIT: Final = SCRIPT_LIMIT + 300
"""Seconds after which a Linux guest gives up, says so and powers off by itself."""
LIMIT: Final = TOTAL_LIMIT + 120
"""Seconds after which nobody needs to wait for the report any more."""

DEPROVISION_MARK: Final = "GOLDSMITH-DEPROVISION exit="
SCRUB_MARK: Final = "GOLDSMITH-SCRUB exit="
REPORT_DEVICE: Final = "/dev/ttyS1"

_USER = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,31}", re.ASCII)
_ANSI = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")

# Quoted from AIB's documentation (linux/image-builder-json, "Default Linux deprovisioning script").
LINUX_DEFAULT: Final = """\
WAAGENT=/usr/sbin/waagent
waagent -version 1> /dev/null 2>&1
if [ $? -eq 0 ]; then
  WAAGENT=waagent
fi
$WAAGENT -force -deprovision+user && export HISTSIZE=0 && sync
"""

# What AIB's default does, with an end to each wait (AIB's own polls have none), and without
# waiting for Azure's agents where there are none.
WINDOWS_DEFAULT: Final = """\
foreach ($name in 'RdAgent', 'WindowsAzureTelemetryService', 'WindowsAzureGuestAgent') {
  $until = (Get-Date).AddMinutes(5)
  while ((Get-Service $name -ErrorAction SilentlyContinue) -and ((Get-Service $name).Status -ne 'Running')) {
    if ((Get-Date) -gt $until) { Write-Output "the service $name does not run"; break }
    Start-Sleep -Seconds 5
  }
}
Remove-Item -Force "$env:SystemRoot\\System32\\Sysprep\\unattend.xml" -ErrorAction SilentlyContinue
Remove-Item -Force "$env:SystemRoot\\Panther\\unattend.xml" -ErrorAction SilentlyContinue
$folder = "$env:SystemRoot\\System32\\Sysprep"
$arguments = '/oobe /generalize /quiet /quit'
$sysprep = Start-Process -FilePath "$folder\\Sysprep.exe" -ArgumentList $arguments -PassThru
$until = (Get-Date).AddMinutes(15)
$ended = $null
$why = ''
do {
  Start-Sleep -Seconds 5
  $state = (Get-ItemProperty 'HKLM:\\SOFTWARE\\Microsoft\\Windows\\CurrentVersion\\Setup\\State').ImageState
  Write-Output $state
  if ($sysprep.HasExited -and -not $ended) { $ended = Get-Date }
  if ($ended -and ((Get-Date) -gt $ended.AddMinutes(1))) { $why = 'sysprep ended without generalizing' }
  if ((Get-Date) -gt $until) { $why = 'sysprep did not finish' }
  if ($why -and ($state -ne 'IMAGE_STATE_GENERALIZE_RESEAL_TO_OOBE')) {
    Write-Output $why
    Get-Content "$folder\\Panther\\setuperr.log" -Tail 20 -ErrorAction SilentlyContinue
    exit 1
  }
} while ($state -ne 'IMAGE_STATE_GENERALIZE_RESEAL_TO_OOBE')
exit 0
"""

# Reads the runner from stdin into a place that is gone with the power, and has it start itself.
_LAUNCH = """
umask 077
[ -d /run ] || mkdir /run
cat >/run/goldsmith-deprovision.sh && . /run/goldsmith-deprovision.sh
"""
_MISSING = "GOLDSMITH-DEPROVISION script missing"


@dataclass(frozen=True, slots=True)
class DeprovisionReport:
    """What the guest said. An exit code is None when the guest went off before it told it.

    `scrub_exit` 124 means that the guest's own time limit ended it.
    """

    deprovision_exit: int | None
    scrub_exit: int | None
    log: tuple[str, ...]


def default_script(os_type: Literal["Linux", "Windows"]) -> tuple[str, str]:
    """Path and text of AIB's default; put there before the customizers, which may replace it."""
    return (WINDOWS_PATH, WINDOWS_DEFAULT) if os_type == "Windows" else (LINUX_PATH, LINUX_DEFAULT)


def start(guest: Guest, *, user: str, timeout: float, remove_user: bool = True) -> bool:
    """Start generalizing, detached, and return at once: the guest powers off by itself.

    `remove_user` False leaves the account there (Windows): it was the image's own. Returns whether a
    customizer had removed the script, so that AIB's default took its place. The caller disconnects and
    follows the second serial port. Raises StepError when it cannot start.
    """
    missing = guest.os_type == "Windows" and _replace_missing(guest, timeout)
    try:
        if guest.os_type == "Windows":
            path = "C:/Windows/Temp/goldsmith-deprovision.ps1"
            runner = windows_runner(user, remove_user=remove_user)
            guest.put(runner.encode(), path, timeout=timeout, mode=0o600)
            result = guest.run(powershell_text.command(_windows_task(path)), timeout=timeout)
        else:
            # Without -E: what the script starts must not know the build user's environment.
            sudo = [] if guest.user == "root" else ["sudo", "-n"]
            command = [*sudo, "sh", "-c", _LAUNCH, "sh", "launch"]
            result = guest.run(command, timeout=timeout, stdin=linux_runner(user).encode())
            missing = _MISSING in result.stdout
    except LinkLostError:
        return missing  # quicker than its own answer; the report tells how it went
    if result.exit_code != 0:
        raise StepError(
            f"Generalizing could not be started (exit code {result.exit_code}).",
            exit_code_of_step=result.exit_code,
            tail=result.tail,
            hint="It needs the rights of an administrator; did a customizer take them away?"
            if guest.os_type == "Windows"
            else "It needs the build user's passwordless sudo; did a customizer take it away?",
        )
    return missing


def _replace_missing(guest: Guest, timeout: float) -> bool:
    try:
        guest.get(WINDOWS_PATH, timeout=timeout)
    except (GuestTimeoutError, LinkLostError):
        raise  # that tells nothing about the file
    except GuestError:
        guest.put(WINDOWS_DEFAULT.encode(), WINDOWS_PATH, timeout=timeout)
        return True
    return False


def linux_runner(user: str, *, power_off: bool = True, report_device: str = REPORT_DEVICE) -> str:
    """The detached script: deprovision, scrub, report, power off. Raises ValueError for an odd user name.

    Without `power_off` it ends after the report, which is how a container can test it.
    """
    _require_user(user)
    settings = {
        "build_user": user,
        "user_re": re.escape(user).replace(r"\-", "-"),
        "script": LINUX_PATH,
        "default": LINUX_DEFAULT,
        "missing": _MISSING,
        "script_limit": str(SCRIPT_LIMIT),
        "total_limit": str(TOTAL_LIMIT),
        "report_device": report_device,
        "power_off": "yes" if power_off else "no",
    }
    header = "".join(f"{name}={posix_quote(value)}\n" for name, value in settings.items())
    return header + _data("deprovision_scrub.sh") + _data("deprovision_linux.sh")


def windows_runner(user: str, *, remove_user: bool = True) -> str:
    """The task's script: deprovision, scrub, report, power off. Raises ValueError for an odd user name."""
    _require_user(user)
    header = (
        f"$buildUser = {powershell_quote(user)}\n"
        f"$removeUser = ${'true' if remove_user else 'false'}\n"
        f"$script = {powershell_quote(WINDOWS_PATH.replace('/', chr(92)))}\n"
        f"$scriptLimit = {SCRIPT_LIMIT}\n"
    )
    return header + _data("deprovision_windows.ps1")


def parse_report(text: str) -> DeprovisionReport:
    """Read what arrived on the serial port; boot noise before it does no harm."""
    lines = tuple(_ANSI.sub("", line).rstrip("\r") for line in text.replace("\r\n", "\n").split("\n"))
    return DeprovisionReport(
        deprovision_exit=_last_code(lines, DEPROVISION_MARK),
        scrub_exit=_last_code(lines, SCRUB_MARK),
        log=tuple(line for line in lines if line.strip()),
    )


def _last_code(lines: tuple[str, ...], mark: str) -> int | None:
    for line in reversed(lines):
        _, found, code = line.partition(mark)
        if found:
            with contextlib.suppress(ValueError):
                return int(code.strip())
    return None


def _windows_task(path: str) -> str:
    argument = powershell_quote(f'-NoProfile -NonInteractive -ExecutionPolicy Bypass -File "{path}"')
    return (
        "$ErrorActionPreference = 'Stop'\n"
        f"$action = New-ScheduledTaskAction -Execute 'powershell.exe' -Argument {argument}\n"
        "$user = New-ScheduledTaskPrincipal -UserId 'SYSTEM' -LogonType ServiceAccount -RunLevel Highest\n"
        "Register-ScheduledTask -TaskName 'goldsmith-deprovision' -Action $action -Principal $user "
        "-Force | Out-Null\n"
        "Start-ScheduledTask -TaskName 'goldsmith-deprovision'\nexit 0\n"
    )


def _require_user(user: str) -> None:
    if not _USER.fullmatch(user) or user == "root":
        raise ValueError(f"'{user}' cannot be a build user that is deleted")


def _data(name: str) -> str:
    return resources.files("provisioners").joinpath(name).read_text(encoding="utf-8")
