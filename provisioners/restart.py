"""Restarts that are announced: WindowsRestart and our own x-LinuxRestart."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import ClassVar

from provisioners import powershell_text
from provisioners.base import FrozenContent, StepContext, StepError, StepTimeoutError
from provisioners.guest import CommandResult, Guest, GuestError, GuestTimeoutError, LinkLostError
from provisioners.shell import elevated, require_sudo
from provisioners.step_run import SHORT_SECONDS, StepRun
from templates.durations import parse_duration
from templates.model import LinuxRestartStep, WindowsRestartStep

POLL_SECONDS = 1.0
SHUTDOWN_ASKED = 30.0
"""How long the command that asks for the restart may take itself, in seconds."""

# ERROR_SHUTDOWN_IN_PROGRESS and ERROR_SHUTDOWN_IS_SCHEDULED: it restarts already (Packer, aib-behaviour 4).
WINDOWS_ACCEPTED = (0, 1115, 1190)

_LINUX_RESTART = """
if command -v systemctl >/dev/null 2>&1 && [ -d /run/systemd/system ]; then exec systemctl reboot; fi
if command -v shutdown >/dev/null 2>&1; then exec shutdown -r now; fi
exec reboot
"""


class Restarting:
    """Asks for a restart, then waits for a new boot id."""

    def _ask(self, step: StepRun, argv: list[str]) -> CommandResult | None:
        """None when the guest was gone before it could tell the exit code, which is fine here."""
        try:
            return step.guest.run(
                argv, timeout=step.remaining(SHUTDOWN_ASKED), on_output=step.context.on_output
            )
        except (LinkLostError, GuestTimeoutError):
            return None

    def _wait(self, step: StepRun, before: str, until: float) -> None:
        while True:
            left = _left(until)
            # Dropped first: a guest going down may keep an old connection open for minutes.
            step.guest.disconnect()
            try:
                step.guest.reconnect(timeout=left)
                if step.guest.boot_id(timeout=min(SHORT_SECONDS, _left(until))) != before:
                    return
            except GuestTimeoutError as error:
                if time.monotonic() >= until:
                    raise _expired() from error
            except GuestError:
                pass  # refused, or dropped again, while it goes down or comes up
            time.sleep(min(POLL_SECONDS, _left(until)))


class LinuxRestartProvisioner(Restarting):
    """`x-LinuxRestart`: AIB has no restart for Linux (Azure/azvmimagebuilder#62)."""

    epoch: ClassVar[int] = 1

    def __init__(self, step: LinuxRestartStep, content: FrozenContent | None) -> None:
        self._timeout = parse_duration(step.restart_timeout)

    def inputs(self) -> Mapping[str, str]:
        """Nothing: every restart is the same."""
        return {}

    def apply(self, guest: Guest, context: StepContext) -> None:
        """Restart. Raises StepError when the guest refuses or is not back in time."""
        if guest.os_type != "Linux":
            raise StepError("x-LinuxRestart needs a Linux guest.", hint="Use WindowsRestart.")
        step = StepRun(guest, context)
        step.begin()
        before = guest.boot_id(timeout=step.remaining(SHORT_SECONDS))
        until = time.monotonic() + step.remaining(self._timeout)
        result = self._ask(step, elevated(guest, ["sh", "-c", _LINUX_RESTART]))
        # A signal (128 and above, or none told) is how a session ends when its machine goes down.
        if result is not None and 0 < result.exit_code < 128:
            require_sudo(step)
            raise StepError(
                f"The guest refused to restart (exit code {result.exit_code}).",
                exit_code_of_step=result.exit_code,
                tail=result.tail,
            )
        self._wait(step, before, until)


class WindowsRestartProvisioner(Restarting):
    """`WindowsRestart`, after Packer's windows-restart."""

    epoch: ClassVar[int] = 1

    def __init__(self, step: WindowsRestartStep, content: FrozenContent | None) -> None:
        self._timeout = parse_duration(step.restart_timeout)
        self._command = step.restart_command
        self._check = step.restart_check_command

    def inputs(self) -> Mapping[str, str]:
        """The two commands."""
        return {"restartCommand": self._command, "restartCheckCommand": self._check}

    def apply(self, guest: Guest, context: StepContext) -> None:
        """Restart and check. Raises StepError when the guest refuses or is not back in time."""
        if guest.os_type != "Windows":
            raise StepError("WindowsRestart needs a Windows guest.", hint="Use x-LinuxRestart on Linux.")
        step = StepRun(guest, context)
        step.begin()
        before = guest.boot_id(timeout=step.remaining(SHORT_SECONDS))
        until = time.monotonic() + step.remaining(self._timeout)
        argv = powershell_text.command(powershell_text.command_line(self._command))
        result = self._ask(step, argv)
        if result is not None and result.exit_code >= 0 and result.exit_code not in WINDOWS_ACCEPTED:
            raise StepError(
                f"The restart command ended with exit code {result.exit_code}.",
                exit_code_of_step=result.exit_code,
                tail=result.tail,
            )
        self._wait(step, before, until)
        if self._check:
            self._until_checked(step, until)

    def _until_checked(self, step: StepRun, until: float) -> None:
        """Repeat restartCheckCommand until it succeeds; services start after sshd does."""
        argv = powershell_text.command(powershell_text.command_line(self._check))
        while True:
            try:
                result = step.guest.run(argv, timeout=_left(until), on_output=step.context.on_output)
                if result.exit_code == 0:
                    return
            except LinkLostError:
                step.guest.reconnect(timeout=_left(until))
            except GuestTimeoutError as error:
                raise _expired() from error
            time.sleep(min(POLL_SECONDS, _left(until)))


def _left(until: float) -> float:
    left = until - time.monotonic()
    if left <= 0:
        raise _expired()
    return left


def _expired() -> StepTimeoutError:
    # AIB's words (aib-behaviour, section 4).
    return StepTimeoutError(
        "Timeout waiting for machine to restart.",
        hint="Raise restartTimeout (default 5m), or look at the serial log for what keeps the guest.",
    )
