"""A running QEMU: started, watched, talked to over QMP, and ended."""

from __future__ import annotations

import contextlib
import re
import shlex
import socket
import subprocess
import time
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

from builder import process
from builder.cancellation import shielded
from builder.vm.accelerator import QEMU_PACKAGE, QEMU_PROGRAM
from builder.vm.errors import AcceleratorError, MachineError, MachineTimeoutError
from builder.vm.firmware import choose_firmware
from builder.vm.qmp import QmpClient, QmpError
from builder.vm.ready import wait_for_ssh
from builder.vm.spec import DISK_NODE, MachineSpec, machine_argv
from builder.vm.ssh_link import Endpoint

if TYPE_CHECKING:
    from builder.vm.ssh import SshGuest

__all__ = ["Machine", "wait_for_ssh"]

START_SECONDS = 60.0
QUIT_SECONDS = 10.0
_STDERR_LINES = 15
_LOOPBACK = "127.0.0.1"
# `info usernet`:  TCP[HOST_FORWARD]  14  127.0.0.1 40123  10.0.2.15 22  0 0
_FORWARD = re.compile(r"TCP\[HOST_FORWARD\]\s+\d+\s+\S+\s+(\d+)\s+\S+\s+22\s")
_FLOW = re.compile(r"TCP\[([A-Z0-9_]+)\]\s+\d+\s+\S+\s+\d+\s+\S+\s+(\d+)\s")


class Machine:
    """Context manager around one QEMU process, which ends with it, at the latest with us.

    Enter it from a thread that outlives it (builder.process). Raises MachineError when QEMU does
    not start, AcceleratorError when that is KVM's fault, EnvironmentProblem when QEMU or the
    firmware is missing.
    """

    def __init__(self, spec: MachineSpec) -> None:
        self.spec = spec
        self.top_node = DISK_NODE
        """The block node that takes the guest's writes; `snapshot.freeze` puts new ones on top."""
        self.argv: tuple[str, ...] = ()
        self.guest: SshGuest | None = None
        """The guest as `wait_for_ssh` last knew it, also when it failed: for the failure bundle."""
        self.serial_offset = 0
        """Where this run's part of the serial log begins, in bytes."""
        self._stack = ExitStack()
        self._child: subprocess.Popen[bytes] | None = None
        self._qmp: QmpClient | None = None
        self._port: int | None = None
        self._expected_end = False
        self._expects_power_off = False

    def __enter__(self) -> Machine:
        try:
            self._start()
        except BaseException:
            self._stack.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with shielded():
            self.kill()

    @property
    def qmp(self) -> QmpClient:
        """The monitor. Raises MachineError when the machine was not started."""
        if self._qmp is None:
            raise MachineError("The VM is not running.")
        return self._qmp

    @property
    def pid(self) -> int:
        """QEMU's process id."""
        return self._process.pid

    @property
    def ssh_port(self) -> int:
        """The port of 127.0.0.1 that leads to the guest's port 22."""
        if self._port is None:
            found = _FORWARD.search(self.qmp.human("info usernet"))
            if found is None:
                raise MachineError("QEMU forwards no port to the guest's SSH.")
            self._port = int(found.group(1))
        return self._port

    @property
    def endpoint(self) -> Endpoint:
        """Where SSH finds the guest, watching this machine meanwhile."""
        return Endpoint(_LOOPBACK, self.ssh_port, self.check, self._guest_accepted, self.resets)

    @property
    def alive(self) -> bool:
        """Whether QEMU runs."""
        return self._child is not None and self._child.poll() is None

    def check(self) -> None:
        """Raise MachineError when QEMU ended or the guest crashed, AcceleratorError when KVM gave up.

        After `expect_power_off` a clean end is no error.
        """
        if not self.alive:
            if self._expects_power_off and self._process.returncode == 0:
                return
            raise self._ended()
        try:
            status = self.qmp.status()
        except QmpError:
            if not self.wait_ended(1.0):
                raise
            return self.check()
        if status == "internal-error":
            message = f"{self.spec.accelerator.name.upper()} gave up on the guest (internal error)."
            kind = AcceleratorError if self.spec.accelerator.name == "kvm" else MachineError
            raise kind(message, details=self.stderr_tail())
        if status == "guest-panicked":
            raise MachineError("The guest's kernel panicked.", hint="See the serial log and the screenshot.")
        if status == "io-error":
            raise MachineError("The VM's disk could not be written; is the file system full?")

    def expect_power_off(self) -> None:
        """The guest is about to power itself off: its end is no longer a surprise to `check`."""
        self._expects_power_off = True

    def resets(self) -> int:
        """How often the guest restarted since the machine was started."""
        return len(self.qmp.events("RESET"))

    def reset(self) -> None:
        """Press the reset button: the guest starts again, without a chance to say goodbye, also one that
        stands still since its kernel panicked.
        """
        self.qmp.command("system_reset")
        if self.qmp.status() != "running":
            self.qmp.command("cont")

    def progress(self) -> tuple[int, ...]:
        """Numbers that move while the guest gets somewhere: bytes on its console, disk operations."""
        log = self.spec.serial_log
        console = log.stat().st_size if log.exists() else 0
        numbers = [console]
        for device in self.qmp.command("query-blockstats"):
            numbers += [device["stats"]["rd_operations"], device["stats"]["wr_operations"]]
        return tuple(numbers)

    def screenshot(self, path: Path) -> Path:
        """Save the screen as PNG. Raises MachineError."""
        self.qmp.screendump(path)
        return path

    @property
    def disk_size(self) -> int:
        """The disk's size as the guest sees it now, in bytes."""
        for node in self.qmp.command("query-named-block-nodes", flat=True):
            if node.get("node-name") == self.top_node:
                return int(node["image"]["virtual-size"])
        raise MachineError("QEMU does not know its own disk.")

    def resize_disk(self, size: int) -> None:
        """Make the disk `size` bytes long while the guest runs."""
        self.qmp.block_resize(self.top_node, size)

    def wait_ended(self, timeout: float) -> bool:
        """Whether QEMU ended within `timeout` seconds, as it does after the guest's power-off."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(timeout=timeout)
            return True
        return False

    def wait_stopped(self, timeout: float) -> None:
        """Wait for the guest to power itself off.

        Raises MachineTimeoutError when it does not, MachineError when it crashes instead.
        """
        self.expect_power_off()
        end = time.monotonic() + timeout
        while not self.wait_ended(min(1.0, max(0.05, end - time.monotonic()))):
            if time.monotonic() >= end:
                raise MachineTimeoutError(f"The guest did not power off within {timeout:.0f} s.")
            self.check()
        self.check()

    def powerdown(self, timeout: float) -> bool:
        """Press the power button, wait, then quit QEMU, then kill it. True when the guest obeyed."""
        if not self.alive:
            return True
        self._expected_end = True
        with contextlib.suppress(MachineError):
            self.qmp.command("system_powerdown")
            if self.wait_ended(timeout):
                return True
        self.quit()
        return False

    def quit(self) -> None:
        """End QEMU without asking the guest, its disk files flushed; kill it when it does not end."""
        self._expected_end = True
        if self.alive:
            with contextlib.suppress(MachineError):
                self.qmp.command("quit", timeout=QUIT_SECONDS)
            if not self.wait_ended(QUIT_SECONDS):
                process.kill_group(self._process)

    def kill(self) -> None:
        """End QEMU and let go of everything. Safe to call twice."""
        self._expected_end = True
        self._stack.close()

    def command_text(self) -> str:
        """The command line as text, for people. It cannot simply be run: the monitor is a descriptor."""
        return shlex.join(self.argv)

    def stderr_tail(self) -> tuple[str, ...]:
        """The last lines QEMU itself wrote."""
        try:
            text = self.spec.stderr_file.read_text(errors="replace")
        except OSError:
            return ()
        return tuple(text.rstrip().splitlines()[-_STDERR_LINES:])

    @property
    def _process(self) -> subprocess.Popen[bytes]:
        if self._child is None:
            raise MachineError("The VM is not running.")
        return self._child

    def _start(self) -> None:
        spec = self.spec
        qemu = process.require(QEMU_PROGRAM, QEMU_PACKAGE)
        firmware = choose_firmware(spec.generation)
        spec.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.serial_offset = spec.serial_log.stat().st_size if spec.serial_log.exists() else 0
        if firmware is not None:
            firmware.private_vars(spec.vars_file)
        ours, theirs = socket.socketpair()
        self._stack.callback(ours.close)
        with theirs:
            descriptor = theirs.fileno()
            self.argv = tuple(machine_argv(spec, qemu=qemu, firmware=firmware, qmp_fd=descriptor))
            stderr = self._stack.enter_context(spec.stderr_file.open("wb"))
            self._child = self._stack.enter_context(
                process.spawn(self.argv, stderr=stderr, pass_fds=(descriptor,))
            )
        self._qmp = QmpClient(ours)
        self._stack.callback(self._qmp.close)
        try:
            self._qmp.connect(START_SECONDS)
        except QmpError:
            if not self.wait_ended(1.0):
                raise
            raise self._ended() from None

    def _ended(self) -> MachineError:
        if self._expected_end:
            return MachineError("The VM has been stopped.")
        code = self._process.returncode
        tail = self.stderr_tail()
        if self.spec.accelerator.name == "kvm" and any("kvm" in line.lower() for line in tail):
            return AcceleratorError("QEMU could not use KVM.", details=tail)
        if code == 0:
            return MachineError("The guest powered off unexpectedly.", hint="See the serial log.")
        how = f"was killed by signal {-code}" if code < 0 else f"ended with exit code {code}"
        hint = "Out of memory? See the kernel log of this machine (dmesg)." if code == -9 else None
        return MachineError(f"QEMU {how}.", details=(*tail, f"$ {self.command_text()}"), hint=hint)

    def _guest_accepted(self, local_port: int) -> bool | None:
        """Whether the guest itself answered the connection that comes from our `local_port`.

        slirp accepts on the guest's behalf before it knows; its table of flows tells them apart.
        """
        try:
            table = self.qmp.human("info usernet")
        except MachineError:
            return None
        states = [found.group(1) for found in _FLOW.finditer(table)]
        return "ESTABLISHED" in states if states else None
