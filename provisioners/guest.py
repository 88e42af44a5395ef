"""The one view a provisioner has of the machine it changes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

from templates.errors import ExitCode, GoldsmithError

Stream = Literal["stdout", "stderr"]
OnOutput = Callable[[Stream, str], None]


@dataclass(frozen=True, slots=True)
class CommandResult:
    """How a command in the guest ended. `tail` holds its last output lines, oldest first."""

    exit_code: int
    tail: tuple[str, ...] = ()
    stdout: str = ""


class GuestError(GoldsmithError):
    """The guest could not be talked to."""

    code = "GuestError"


class LinkLostError(GuestError):
    """The connection ended while a command ran; nobody knows its exit code.

    Whether the guest restarted or only the link dropped is told by comparing boot ids after
    `reconnect`.
    """

    code = "LinkLost"


class GuestTimeoutError(GuestError):
    """A command or a connection attempt took longer than it may."""

    code = "GuestTimeout"
    exit_code = ExitCode.TIMED_OUT


class Guest(Protocol):
    """A running machine. All timeouts are in seconds.

    Implemented over SSH by `builder.vm.ssh.SshGuest`; a sshd container and a real VM test it.
    """

    @property
    def os_type(self) -> Literal["Linux", "Windows"]:
        """The guest's operating system, as AIB spells it."""

    @property
    def user(self) -> str:
        """The account commands run as."""

    def run(
        self,
        argv: Sequence[str],
        *,
        timeout: float,
        stdin: bytes | None = None,
        on_output: OnOutput | None = None,
    ) -> CommandResult:
        """Run a program and wait for it; its output arrives line by line at `on_output`.

        A non-zero exit code is a result, not an exception. Raises LinkLostError when the
        connection ends first, GuestTimeoutError when `timeout` passes.
        """

    def put(self, content: bytes | Path, destination: str, *, timeout: float, mode: int = 0o644) -> None:
        """Write a file in the guest, as `user`. Raises GuestError when it cannot be written."""

    def get(self, path: str, *, timeout: float) -> bytes:
        """Read a file of the guest. Raises GuestError when it cannot be read."""

    def boot_id(self, *, timeout: float) -> str:
        """A value that changes with every boot (Linux: /proc/sys/kernel/random/boot_id)."""

    def reconnect(self, *, timeout: float) -> None:
        """Connect anew, waiting for the guest to answer. Raises GuestTimeoutError."""

    def disconnect(self) -> None:
        """Drop the connection; the guest goes on."""
