"""A booted machine with a connection into it, for as long as a stage needs one."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from builder.disk import qemu_img
from builder.disk.partitions import PartitionTableError, room_after_last
from builder.errors import CancelledError
from builder.stages.failure import collect
from builder.vm import accelerator as accelerators
from builder.vm.access import BuildAccess
from builder.vm.errors import AcceleratorError, MachineTimeoutError
from builder.vm.machine import Machine, wait_for_ssh
from builder.vm.seed import write_seed
from builder.vm.sizes import resolve_size
from builder.vm.spec import MachineSpec
from templates.errors import GoldsmithError

if TYPE_CHECKING:
    from builder.disk.graph import BlockGraph
    from builder.stages.context import BuildContext
    from builder.vm.accelerator import Accelerator
    from builder.vm.ssh import SshGuest

Purpose = Literal["build", "validation"]
POLL_SECONDS = 0.2
_UNUSED = 2 << 20
"""Bytes behind the last partition that mean nothing: the backup of the table, a rounding."""


@dataclass(frozen=True, slots=True)
class Session:
    """The machine, the guest in it, and how to get in. `disk` is what it writes to."""

    machine: Machine
    guest: SshGuest
    access: BuildAccess
    disk: BlockGraph
    second_serial: Path

    def follow_second_serial(self, on_line: Callable[[str], None], *, timeout: float) -> None:
        """Hand over the lines of ttyS1 until the machine is off.

        Raises MachineTimeoutError when it is still on after `timeout` seconds, MachineError when
        QEMU or the guest broke down.
        """
        self.machine.expect_power_off()
        end = time.monotonic() + timeout
        done = 0
        while True:
            running = self.machine.alive
            text = self.second_serial.read_text(errors="replace") if self.second_serial.exists() else ""
            complete = text if not running else text[: text.rfind("\n") + 1]
            for line in complete[done:].splitlines():
                on_line(line)
            done = max(done, len(complete))
            if not running:
                return
            self.machine.check()
            if time.monotonic() > end:
                raise MachineTimeoutError(f"The guest did not power off within {timeout:.0f} s.")
            time.sleep(POLL_SECONDS)


@contextmanager
def boot(context: BuildContext, disk: BlockGraph, *, purpose: Purpose) -> Iterator[Session]:
    """Boot `disk` with a new user from a new seed; everything is gone when the block ends.

    When KVM turns out not to run this guest, it is booted once more under TCG, which is said.
    """
    accelerator = accelerators.choose(context.services.settings, context.services.home)
    with ExitStack() as stack:
        try:
            session = stack.enter_context(_booted(context, disk, purpose, accelerator))
        except AcceleratorError as error:
            stack.close()
            if accelerator.name == "tcg":
                raise
            accelerator = accelerators.condemn(context.services.home, error.message, context.bus)
            size = qemu_img.info(disk.top.path, disk.top.format).virtual_size
            qemu_img.create_overlay(disk.top.path, size)
            session = stack.enter_context(_booted(context, disk, purpose, accelerator))
        yield session


@contextmanager
def _booted(
    context: BuildContext, disk: BlockGraph, purpose: Purpose, accelerator: Accelerator
) -> Iterator[Session]:
    directory = context.workspace.file(purpose)
    directory.mkdir(exist_ok=True, mode=0o700)
    access = BuildAccess.generate()
    for secret in access.secrets():
        context.services.redactor.add(secret)
    spec = _spec(context, disk, purpose, directory, accelerator, access)
    journal = context.workspace.journal
    journal.intent("process", spec.uuid, program="qemu-system-x86_64")
    try:
        with Machine(spec) as machine:
            journal.created(spec.uuid, pid=machine.pid)
            guest = _connect(context, machine, access)
            accelerators.confirm(accelerator, context.services.home)
            try:
                second = spec.second_serial_log
                assert second is not None  # noqa: S101 - _spec sets it
                yield Session(machine, guest, access, disk, second)
            finally:
                guest.disconnect()
    finally:
        with suppress(OSError):  # a full disk must not hide why we are here
            journal.gone(spec.uuid)  # leaving the block ended QEMU, however it was left
        _scrub_serial(context, spec.serial_log)


def _scrub_serial(context: BuildContext, log: Path) -> None:
    """QEMU wrote this log itself, past the redactor; a script may have written to the console."""
    if log.exists():
        data = log.read_bytes()
        clean = context.services.redactor.scrub_bytes(data)
        if clean != data:
            log.write_bytes(clean)


def _connect(context: BuildContext, machine: Machine, access: BuildAccess) -> SshGuest:
    """Wait for the guest; a boot that leads nowhere leaves a failure bundle like any failed step."""
    timeout = context.deadline.remaining(context.services.settings.boot_timeout)
    try:
        return wait_for_ssh(machine, access, timeout=timeout, bus=context.bus)
    except (AcceleratorError, CancelledError):
        raise
    except GoldsmithError as error:
        collect(context, machine, "Booting the VM", error)
        raise


def _spec(
    context: BuildContext,
    disk: BlockGraph,
    purpose: Purpose,
    directory: Path,
    accelerator: Accelerator,
    access: BuildAccess,
) -> MachineSpec:
    properties = context.template.properties
    size = resolve_size(properties.vm_profile.vm_size, context.services.settings)
    for note in size.notes:
        context.bus.note(note, code="VmSize")
    serial = context.run.serial_log
    return MachineSpec(
        cpus=size.cpus,
        memory_mib=size.memory_mib,
        generation=context.source.generation,
        disk=disk,
        directory=directory,
        serial_log=serial if purpose == "build" else serial.with_name("validation-serial.log"),
        accelerator=accelerator,
        # A validation meets the network as the image will find it: by DHCP.
        seed=write_seed(directory / "seed.iso", access, grow=_may_grow(disk), dhcp=purpose == "validation"),
        second_serial_log=directory / "ttyS1.log",
        network=properties.extensions.network,
        os_type=context.source.os_type,
        name=context.template.name,
    )


def _may_grow(disk: BlockGraph) -> bool:
    """Whether the guest's root has room to grow into; looking for it in the guest takes a second or two.

    Only a raw disk's partitions can be read from outside; any other may have some.
    """
    bottom = disk.layers[0]
    if bottom.format != "raw":
        return True
    try:
        size = qemu_img.info(disk.top.path, disk.top.format).virtual_size
        return room_after_last(bottom.path, size) > _UNUSED
    except PartitionTableError:
        return True
