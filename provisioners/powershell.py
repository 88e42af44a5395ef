"""PowerShell: run a script by `powershell.exe` on Windows or by `pwsh` on Linux."""

from __future__ import annotations

import contextlib
import secrets
from collections.abc import Mapping
from typing import ClassVar

from provisioners import powershell_text
from provisioners.base import BadStepError, FrozenContent, StepContext, StepError
from provisioners.environment import inputs_of, posix_exports, powershell_assignments, variables
from provisioners.guest import Guest, GuestError
from provisioners.shell import elevated, require_sudo
from provisioners.step_run import StepRun
from templates.model import PowerShellStep

WINDOWS_DIRECTORY = "C:/Windows/Temp"
# Windows PowerShell 5 takes a file without a byte order mark for the machine's old code page.
_BOM = b"\xef\xbb\xbf"

_LINUX_WRAPPER = """{
script=$1
shift
"$@" </dev/null
code=$?
rm -f "$script"
exit $code
}
"""


class PowerShellProvisioner:
    """Exit codes outside `validExitCodes` (default 0) fail the step (aib-template, section 3)."""

    epoch: ClassVar[int] = 1

    def __init__(self, step: PowerShellStep, content: FrozenContent | None) -> None:
        if step.run_as_system and not step.run_elevated:
            raise BadStepError("runAsSystem can be true only when runElevated is true.")
        self._step = step
        self._content = content if step.inline is None else None
        self._script = self._content.data if self._content else _inline(step.inline or [])

    def inputs(self) -> Mapping[str, str]:
        """The script, how it runs, which exit codes are right, and the step's variables."""
        step = self._step
        script = {"script": self._content.sha256} if self._content else {"inline": self._script.decode()}
        return {
            **script,
            "runElevated": str(step.run_elevated),
            "runAsSystem": str(step.run_as_system),
            "validExitCodes": ",".join(map(str, sorted(step.valid_exit_codes))),
            **inputs_of(step),
        }

    def apply(self, guest: Guest, context: StepContext) -> None:
        """Upload the script, run it, delete it. Raises StepError unless its exit code is valid."""
        step = StepRun(guest, context)
        values = variables(context)
        step.begin()
        run = self._on_windows if guest.os_type == "Windows" else self._on_linux
        code = run(step, values)
        if code not in (self._step.valid_exit_codes or [0]):
            raise step.failed(code, hint=_hint(step.tail))

    def _on_linux(self, step: StepRun, values: Mapping[str, str]) -> int:
        path = f"/tmp/script-{secrets.token_hex(4)}.ps1"  # noqa: S108 - beside the Shell step's
        step.put(self._script, path, mode=0o600)
        command = powershell_text.command(powershell_text.runner(path), program="pwsh")
        argv = ["sh", "-s", "--", path, *command]
        if self._step.run_elevated:
            argv = elevated(step.guest, argv)
        result = step.run(argv, stdin=(posix_exports(values) + _LINUX_WRAPPER).encode())
        if result.exit_code == 127 and step.look(["sh", "-c", "command -v pwsh"]).exit_code != 0:
            raise StepError(
                "PowerShell (pwsh) is not installed in the guest.",
                tail=step.tail,
                hint="Install it with a Shell step first, or write the step as Shell.",
            )
        if result.exit_code != 0 and self._step.run_elevated and "sudo" in "\n".join(step.tail):
            require_sudo(step)
        return result.exit_code

    def _on_windows(self, step: StepRun, values: Mapping[str, str]) -> int:
        stem = f"{WINDOWS_DIRECTORY}/goldsmith-{secrets.token_hex(4)}"
        script, environment, outer = f"{stem}.ps1", f"{stem}-env.ps1", f"{stem}-run.ps1"
        files = [script, environment]
        runner = powershell_text.runner(script, environment=environment)
        try:
            step.put(_marked(self._script, own=self._content is None), script, mode=0o600)
            step.put(_BOM + powershell_assignments(values).encode(), environment, mode=0o600)
            if self._step.run_elevated:
                files.append(outer)
                step.put(_BOM + runner.encode(), outer, mode=0o600)
                runner = powershell_text.scheduled_task(
                    stem.rsplit("/", 1)[1],
                    script=outer.replace("/", "\\"),
                    log=f"{stem}.log".replace("/", "\\"),
                    as_system=self._step.run_as_system,
                    limit=int(step.remaining()),
                )
            return step.run(powershell_text.command(runner)).exit_code
        finally:
            # Tidying up must not hide how the step itself ended.
            with contextlib.suppress(GuestError, StepError):
                step.look(powershell_text.delete(files))


def _inline(lines: list[str]) -> bytes:
    return ("\n".join(lines) + "\n").encode()


def _marked(script: bytes, *, own: bool) -> bytes:
    """Our own text gets a byte order mark; a file of the user's stays as it is."""
    return _BOM + script if own and not script.isascii() else script


def _hint(tail: tuple[str, ...]) -> str | None:
    output = "\n".join(tail)
    if "Access is denied" in output or "PermissionDenied" in output or "UnauthorizedAccess" in output:
        return "The script lacks rights: set runElevated to true."
    return "More exit codes can be accepted by validExitCodes." if not output.strip() else None
