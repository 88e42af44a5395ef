"""A shell in a kept machine, or in a throw-away overlay of an image."""

from __future__ import annotations

import contextlib
import secrets
import uuid
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from builder.cancellation import Interrupted, cancel_on_signals, shielded
from builder.disk import qemu_img
from builder.errors import CancelledError, ConflictError, UsageError
from builder.extensions import make_source
from builder.journal import Journal
from builder.lock import FileLock
from builder.runs import find
from builder.sources.base import usual_devices
from builder.stages.keep import ssh_shell
from builder.vm import accelerator
from builder.vm.access import BuildAccess
from builder.vm.errors import MachineError
from builder.vm.identity import machine_key
from builder.vm.kept import KeptMachine, KeptMemory, kept_lock
from builder.vm.machine import Machine, wait_for_ssh
from builder.vm.ready import restored_guest
from builder.vm.seed import write_seed
from builder.vm.sizes import resolve_size
from builder.vm.spec import MachineSpec
from builder.workspace import Places, clear
from provisioners.guest import GuestError
from templates.model import ManagedImageSource, SharedImageVersionSource

if TYPE_CHECKING:
    from pathlib import Path

    from builder.services import Services


@dataclass(frozen=True, slots=True)
class _Found:
    """A machine to look into, and how to get in."""

    spec: MachineSpec
    access: BuildAccess
    memory: KeptMemory | None = None


def open_shell(what: str, services: Services) -> int:
    """Boot `what` (a run's id, or the ARM id of an image) and hand the terminal to ssh.

    Returns ssh's exit code. A kept machine keeps what is done in it, an image does not change.
    Raises CancelledError when a signal ends it, ConflictError when another shell is in the machine.
    """
    try:
        with cancel_on_signals(), ExitStack() as stack:
            scratch = stack.enter_context(_scratch(services))
            found = _machine(what, services, scratch.directory, stack)
            journal = Journal(scratch.journal)
            machine = _woken(found, services, journal, stack) or _booted(found, services, journal, stack)
            return ssh_shell(machine.ssh_port, found.access, found.spec.directory)
    except Interrupted as signal:
        raise CancelledError(f"Cancelled by {signal.signal_name}.") from signal


@contextmanager
def _scratch(services: Services) -> Iterator[Places]:
    """A private directory in the staging area with a lock and a journal, as a workspace has: what a
    SIGKILL leaves of it (a private key among it) is found by gc.
    """
    places = Places(services.home, f".shell-{secrets.token_hex(4)}")
    lock = FileLock(places.lock)
    lock.try_acquire(by="shell")
    try:
        places.journal.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        Journal(places.journal).intent("directory", f"workspace:{places.name}", path=str(places.directory))
        places.directory.mkdir(parents=True, mode=0o700)
        yield places
    finally:
        with shielded():
            with contextlib.suppress(OSError):
                clear(places, budget=services.settings.cleanup_timeout)
            lock.release()


def _booted(found: _Found, services: Services, journal: Journal, stack: ExitStack) -> Machine:
    journal.intent("process", found.spec.uuid, program="qemu-system-x86_64")
    machine = stack.enter_context(Machine(found.spec))
    timeout = services.settings.boot_timeout
    wait_for_ssh(machine, found.access, timeout=timeout, bus=services.bus).disconnect()
    return machine


def _woken(found: _Found, services: Services, journal: Journal, stack: ExitStack) -> Machine | None:
    """The kept guest as it was, processes and all; None when there is no memory of it, or it does not fit.

    It is used once: afterwards the disk has moved on.
    """
    memory, spec = found.memory, replace(found.spec, incoming=True, uuid=str(uuid.uuid4()))
    if memory is None or not memory.file.exists():
        return None
    once = spec.directory / "memory"
    memory.file.rename(once)
    key = machine_key(
        services.home, spec.accelerator, cpus=spec.cpus, memory_mib=spec.memory_mib,
        generation=spec.generation, os_type=spec.os_type, network=spec.network,
        devices=spec.devices or usual_devices(spec.os_type),
    )  # fmt: skip
    if key != memory.key:
        services.bus.note("The kept memory is another machine's; booting the disk.", code="RestoreFailed")
        return None
    attempt = ExitStack()
    try:
        journal.intent("process", spec.uuid, program="qemu-system-x86_64")
        machine = attempt.enter_context(Machine(spec))
        timeout = services.settings.boot_timeout
        guest = restored_guest(
            machine, found.access, once, sessions=memory.sessions, timeout=timeout, bus=services.bus
        )
    except (MachineError, GuestError) as error:
        attempt.close()
        services.bus.warn(f"The kept memory did not come to life: {error.message}", code="RestoreFailed")
        return None
    except BaseException:
        attempt.close()
        raise
    guest.disconnect()
    stack.push(attempt)
    return machine


def _machine(what: str, services: Services, directory: Path, stack: ExitStack) -> _Found:
    chosen = accelerator.choose(services.settings, services.home, services.bus)
    if what.startswith("/"):
        return _of_image(what, services, directory, chosen)
    run = find(services.home, what)
    kept = KeptMachine.load(run.kept)
    if kept.access.declared:
        raise UsageError(
            f"The machine of run {run.run_id} is entered by an account that its template declares; "
            "its key or password is not stored.",
            details=(f"its disk: {kept.disk.top.path}",),
            hint="Build with --on-error ask: the shell opens while the build is still there.",
        )
    lock = kept_lock(run.kept)
    if not lock.try_acquire(by="shell"):
        raise ConflictError(
            f"The machine of run {run.run_id} is in use by another shell, or being removed.",
            hint="Leave the other shell first: two machines would spoil the disk.",
        )
    stack.callback(lock.release)
    return _Found(kept.spec(directory, chosen), kept.access, kept.memory)


def _of_image(arm_id: str, services: Services, directory: Path, chosen: accelerator.Accelerator) -> _Found:
    if "/versions/" in arm_id.lower():
        source = make_source(
            SharedImageVersionSource(type="SharedImageVersion", image_version_id=arm_id), services
        )
    else:
        source = make_source(ManagedImageSource(type="ManagedImage", image_id=arm_id), services)
    resolved = source.resolve()
    disk = source.prepare()
    overlay = directory / "os.qcow2"
    qemu_img.create_overlay(overlay, disk.size)
    data_disks = []
    for one in disk.data_disks:
        above = directory / f"{one.node}.qcow2"
        qemu_img.create_overlay(above, one.size)
        data_disks.append(replace(one, graph=one.graph.over(above)))
    access = BuildAccess.generate()
    size = resolve_size("", services.settings)
    spec = MachineSpec(
        cpus=size.cpus,
        memory_mib=size.memory_mib,
        generation=resolved.generation,
        disk=disk.graph.over(overlay),
        directory=directory,
        serial_log=directory / "serial.log",
        accelerator=chosen,
        seed=write_seed(directory / "seed.iso", access, os_type=resolved.os_type),
        os_type=resolved.os_type,
        devices=resolved.devices,
        data_disks=tuple(data_disks),
        name="goldsmith-shell",
    )
    return _Found(spec, access)
