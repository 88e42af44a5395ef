"""A booted machine with a connection into it, for as long as a stage needs one."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING, Literal

from builder.disk import qemu_img
from builder.disk.extents import link_or_copy
from builder.disk.partitions import PartitionTableError, room_after_last
from builder.errors import CancelledError
from builder.phases import phase
from builder.stages.failure import collect
from builder.vm import accelerator as accelerators
from builder.vm import memory_file
from builder.vm.access import BuildAccess
from builder.vm.errors import AcceleratorError, MachineError, MachineTimeoutError
from builder.vm.machine import Machine, wait_for_ssh
from builder.vm.ready import restored_guest
from builder.vm.seed import write_seed
from builder.vm.sizes import resolve_size
from builder.vm.spec import MachineSpec
from provisioners.guest import GuestError
from templates.errors import GoldsmithError

if TYPE_CHECKING:
    from builder.disk.data_disk import DataDisk
    from builder.disk.graph import BlockGraph
    from builder.stages.context import BuildContext
    from builder.vm.accelerator import Accelerator
    from builder.vm.ssh import SshGuest

Purpose = Literal["build", "validation"]
RESTORE_SECONDS = 180.0
"""A restored guest answers within seconds, or it never will."""
POLL_SECONDS = 0.05
_UNUSED = 2 << 20
"""Bytes behind the last partition that mean nothing: the backup of the table, a rounding."""


class RestoreError(MachineError):
    """A memory snapshot did not come to life; its disk may still boot."""

    code = "RestoreFailed"


@dataclass(frozen=True, slots=True)
class Start:
    """What a machine starts from. Without `access` and `seed` new ones are made: a first boot.

    `memory` is gone on from instead of booting; `sessions` are the processes of the connection it holds.
    """

    disk: BlockGraph
    access: BuildAccess | None = None
    seed: Path | None = None
    uefi_vars: Path | None = None
    memory: Path | None = None
    sessions: tuple[int, ...] = ()
    data_disks: tuple[DataDisk, ...] = ()


@dataclass(frozen=True, slots=True)
class Session:
    """The machine, the guest in it, and how to get in."""

    machine: Machine
    guest: SshGuest
    access: BuildAccess
    second_serial: Path

    @property
    def disk(self) -> BlockGraph:
        """What it writes to."""
        return self.machine.spec.disk

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
            self.machine.wait_ended(POLL_SECONDS)


@contextmanager
def boot(context: BuildContext, start: Start, *, purpose: Purpose) -> Iterator[Session]:
    """Start a machine; everything is gone when the block ends.

    When KVM turns out not to run this guest, it is booted once more under TCG, which is said. Raises
    RestoreError when there is a memory and it does not come to life.
    """
    accelerator = accelerators.choose(context.services.settings, context.services.home)
    with ExitStack() as stack:
        try:
            session = stack.enter_context(_started(context, start, purpose, accelerator))
        except AcceleratorError as error:
            stack.close()
            if accelerator.name == "tcg":
                raise
            accelerator = accelerators.condemn(context.services.home, error.message, context.bus)
            if start.memory is not None:
                raise RestoreError("The memory snapshot is of a guest under KVM.") from error
            for graph in (start.disk, *(disk.graph for disk in start.data_disks)):
                size = qemu_img.info(graph.top.path, graph.top.format).virtual_size
                qemu_img.create_overlay(graph.top.path, size)
            session = stack.enter_context(_started(context, start, purpose, accelerator))
        yield session


@contextmanager
def _started(
    context: BuildContext, start: Start, purpose: Purpose, accelerator: Accelerator
) -> Iterator[Session]:
    directory = context.workspace.new_directory(purpose)
    access = start.access or context.access or BuildAccess.generate()
    for secret in access.secrets():
        context.services.redactor.add(secret)
    spec = _spec(context, start, purpose, directory, accelerator, access)
    if start.memory is not None:
        memory_file.prefetch(start.memory)
    # It takes a fifth of a second, in which QEMU works.
    Thread(target=import_module, args=("paramiko",), name="import", daemon=True).start()
    journal = context.workspace.journal
    journal.intent("process", spec.uuid, program="qemu-system-x86_64")
    try:
        with Machine(spec) as machine:
            journal.created(spec.uuid, pid=machine.pid)
            connect = _restore if start.memory is not None else _connect
            guest = connect(context, machine, access, start)
            accelerators.confirm(accelerator, context.services.home)
            try:
                second = spec.second_serial_log
                assert second is not None  # noqa: S101 - _spec sets it
                yield Session(machine, guest, access, second)
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


def _connect(context: BuildContext, machine: Machine, access: BuildAccess, start: Start) -> SshGuest:
    """Wait for the guest; a boot that leads nowhere leaves a failure bundle like any failed step."""
    del start  # a boot asks nothing of it
    timeout = context.deadline.remaining(context.services.settings.boot_timeout)
    try:
        with phase(context.bus, "Boot", where="guest", stage="Boot"):
            return wait_for_ssh(machine, access, timeout=timeout, bus=context.bus)
    except (AcceleratorError, CancelledError):
        raise
    except GoldsmithError as error:
        collect(context, machine, "Booting the VM", error)
        raise


def _restore(context: BuildContext, machine: Machine, access: BuildAccess, start: Start) -> SshGuest:
    """Load the memory and enter; whatever goes wrong, there is still the disk to boot."""
    assert start.memory is not None  # noqa: S101 - only called with one
    timeout = context.deadline.remaining(RESTORE_SECONDS)
    try:
        return restored_guest(
            machine, access, start.memory, sessions=start.sessions, timeout=timeout, bus=context.bus
        )
    except (AcceleratorError, CancelledError):
        raise
    except (MachineError, GuestError) as error:
        if context.deadline.expired:
            raise
        raise RestoreError(error.message, details=error.details) from error


def _spec(
    context: BuildContext,
    start: Start,
    purpose: Purpose,
    directory: Path,
    accelerator: Accelerator,
    access: BuildAccess,
) -> MachineSpec:
    properties = context.template.properties
    size = resolve_size(properties.vm_profile.vm_size, context.services.settings)
    serial = context.run.serial_log
    seed = directory / "seed.iso"
    if start.seed is not None:
        link_or_copy(start.seed, seed)
    else:
        for note in size.notes:
            context.bus.note(note, code="VmSize")
        # A validation meets the network as the image will find it: by DHCP.
        write_seed(
            seed,
            access,
            grow=_may_grow(start.disk),
            dhcp=purpose == "validation",
            os_type=context.source.os_type,
        )
    spec = MachineSpec(
        cpus=size.cpus,
        memory_mib=size.memory_mib,
        generation=context.source.generation,
        disk=start.disk,
        directory=directory,
        serial_log=serial if purpose == "build" else serial.with_name("validation-serial.log"),
        accelerator=accelerator,
        seed=seed,
        second_serial_log=directory / "ttyS1.log",
        network=properties.extensions.network,
        os_type=context.source.os_type,
        devices=context.source.devices,
        name=context.template.name,
        incoming=start.memory is not None,
        data_disks=start.data_disks,
    )
    if start.uefi_vars is not None:
        shutil.copyfile(start.uefi_vars, spec.vars_file)  # not a link: the machine writes to it
        spec.vars_file.chmod(0o600)
    return spec


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
