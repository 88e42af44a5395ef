"""From a started machine to a guest that can be worked in."""

from __future__ import annotations

import re
import time
from dataclasses import replace
from typing import TYPE_CHECKING

from builder.events import EventBus, Wait
from builder.phases import phase
from builder.vm import snapshot
from builder.vm.access import BuildAccess
from builder.vm.cloud_init import await_cloud_init
from builder.vm.errors import AcceleratorError, MachineError
from builder.vm.ssh import SshGuest
from builder.vm.windows_ready import await_windows
from provisioners import care

if TYPE_CHECKING:
    from pathlib import Path

    from builder.vm.machine import Machine

STALL_SECONDS = 60.0
"""An unproven KVM under which nothing moves for so long is not working (lab-notes: it can hang silently)."""
MOST_RESETS = 12  # one restart can be two resets: the guest's and the firmware's own
_PROGRESS_SECONDS = 5.0
_CHECK_SECONDS = 1.0

_FATAL = {
    b"Kernel panic - not syncing": "The guest's kernel panicked while booting.",
    b"You are in emergency mode": "The guest stopped in emergency mode while booting.",
    b"Gave up waiting for root": "The guest found no disk to start from: has its kernel a driver for it?",
    b"grub rescue>": "The guest's boot loader found no system to boot.",
}
# QEMU before 8.1 translates guest code without locking its pages: when two emulated CPUs race while the
# kernel patches its own text, both may run a stale breakpoint for ever, or one runs it when the kernel has
# no use for it any more, and oopses. Only a reset gets out of it.
_STALE_BREAKPOINT = re.compile(rb"\bint3: 0000 \[#\d+\]")
_LOCKED_UP = re.compile(rb"watchdog: BUG: soft lockup - CPU#\d+ stuck for (\d+)s")
LOCKED_UP_SECONDS = 40
"""A CPU stuck for less may be an overloaded host's doing."""
MOST_LOCK_UPS = 3


def wait_for_ssh(machine: Machine, access: BuildAccess, *, timeout: float, bus: EventBus) -> SshGuest:
    """Wait until the guest lets us in and cloud-init has set it up; at most `timeout` seconds.

    Raises GuestTimeoutError, HostKeyMismatchError, AuthenticationFailedError; MachineError at once
    when QEMU ends, the kernel panics or the guest restarts over and over; AcceleratorError when KVM
    gives up or makes no progress: boot again with `accelerator.condemn(...)`.
    """
    end = time.monotonic() + timeout
    watch = BootWatch(machine, bus)
    endpoint = replace(machine.endpoint, check=lambda: watch.check(connected=guest.connected))
    guest = SshGuest(endpoint, access, os_type=machine.spec.os_type)
    machine.guest = guest
    try:
        with Wait(bus, "Booting the VM"):
            guest.connect(timeout=timeout)
        watch.connected()
        if machine.spec.os_type == "Linux":
            with Wait(bus, "Waiting for cloud-init"):
                await_cloud_init(guest, max(1.0, end - time.monotonic()), bus)
        else:
            with Wait(bus, "Waiting for Windows Setup"):
                await_windows(guest, max(1.0, end - time.monotonic()), bus)
    except BaseException:
        guest.disconnect()
        raise
    return guest


def restored_guest(
    machine: Machine,
    access: BuildAccess,
    memory: Path,
    *,
    sessions: tuple[int, ...],
    timeout: float,
    bus: EventBus,
) -> SshGuest:
    """Go on from a memory snapshot; `machine` was started with `incoming`. Its host key is still required.

    The guest is awake when this returns: its clock is right and its random numbers are its own. Raises
    MachineError, GuestError when it does not come to life within `timeout` seconds.
    """
    end = time.monotonic() + timeout
    guest = SshGuest(machine.endpoint, access, os_type=machine.spec.os_type)
    machine.guest = guest
    try:
        with Wait(bus, "Restoring the VM"):
            with phase(bus, "Restore", where="engine", stage="Boot"):
                snapshot.restore(machine, memory, timeout=timeout)
            with phase(bus, "Wake", where="guest", stage="Boot"):
                guest.connect(timeout=max(1.0, end - time.monotonic()))
                guest.remember_boot_id(care.wake(guest, sessions))
    except BaseException:
        guest.disconnect()
        raise
    return guest


class BootWatch:
    """Sees during a boot, or a restart, what the machine alone does not call wrong."""

    def __init__(self, machine: Machine, bus: EventBus) -> None:
        self._machine = machine
        self._bus = bus
        self._lock_ups = 0
        self._booting = True
        self._checked = 0.0
        self._offset = machine.serial_offset
        self._seen: tuple[int, ...] = ()
        self._moved = self._asked = time.monotonic()

    def connected(self) -> None:
        """The guest let us in: from now on only the machine itself is watched."""
        self._booting = False

    def check(self, *, connected: bool = False) -> None:
        """Raise MachineError or AcceleratorError when this boot leads nowhere.

        A guest whose kernel locked up on the way to SSH is reset and boots again.
        """
        now = time.monotonic()
        if now - self._checked < _CHECK_SECONDS:
            return
        self._checked = now
        text = self._console()
        # Before the machine is asked: one that stands still since its kernel panicked can be reset, too.
        if not connected and self._reset_locked_up(text):
            return
        self._machine.check()
        if self._booting:
            self._check_console(text)
            if self._machine.resets() > MOST_RESETS:
                raise MachineError(
                    "The guest restarts over and over while booting.", hint="See the serial log."
                )
            self._check_progress(now)

    def _console(self) -> bytes:
        """What the guest wrote to its console since the last look, and a little before."""
        try:
            with self._machine.spec.serial_log.open("rb") as log:
                log.seek(self._offset)
                text = log.read()
        except OSError:
            return b""
        # A sign may arrive in two parts: look at the end of this piece again.
        self._offset += max(0, len(text) - 128)
        return text

    def _check_console(self, text: bytes) -> None:
        for sign, message in _FATAL.items():
            if sign in text:
                lines = text.decode(errors="replace").splitlines()[-10:]
                raise MachineError(message, details=tuple(lines), hint="See the serial log.")

    def _reset_locked_up(self, text: bytes) -> bool:
        """Reset a guest of whose emulation nothing is to be expected any more. Returns whether it was."""
        emulated = self._machine.spec.accelerator.name == "tcg"
        stuck = any(int(seconds) >= LOCKED_UP_SECONDS for seconds in _LOCKED_UP.findall(text))
        if not stuck and not (emulated and _STALE_BREAKPOINT.search(text)):
            return False
        self._lock_ups += 1
        if self._lock_ups > MOST_LOCK_UPS:
            raise MachineError("The guest's kernel locks up on every boot.", hint="See the serial log.")
        self._bus.warn("The guest's kernel locked up while booting; it is reset.", code="LockedUp")
        self._machine.reset()
        self._offset = self._machine.spec.serial_log.stat().st_size
        return True

    def _check_progress(self, now: float) -> None:
        accelerator = self._machine.spec.accelerator
        if accelerator.proven or now - self._asked < _PROGRESS_SECONDS:
            return
        self._asked = now
        seen = self._machine.progress()
        if seen != self._seen:
            self._seen, self._moved = seen, now
        elif now - self._moved > STALL_SECONDS:
            raise AcceleratorError(
                f"The guest makes no progress under {accelerator.name.upper()} "
                f"(nothing on its console or disk for {STALL_SECONDS:.0f} s)."
            )
