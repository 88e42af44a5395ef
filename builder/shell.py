"""A shell in a kept machine, or in a throw-away overlay of an image."""

from __future__ import annotations

import contextlib
import secrets
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

from builder.cancellation import Interrupted, cancel_on_signals, shielded
from builder.disk import qemu_img
from builder.errors import CancelledError, ConflictError
from builder.extensions import make_source
from builder.journal import Journal
from builder.lock import FileLock
from builder.runs import find
from builder.stages.keep import ssh_shell
from builder.vm import accelerator
from builder.vm.access import BuildAccess
from builder.vm.kept import KeptMachine, kept_lock
from builder.vm.machine import Machine, wait_for_ssh
from builder.vm.seed import write_seed
from builder.vm.sizes import resolve_size
from builder.vm.spec import MachineSpec
from builder.workspace import Places, clear
from templates.model import ManagedImageSource, SharedImageVersionSource

if TYPE_CHECKING:
    from pathlib import Path

    from builder.services import Services


def open_shell(what: str, services: Services) -> int:
    """Boot `what` (a run's id, or the ARM id of an image) and hand the terminal to ssh.

    Returns ssh's exit code. A kept machine keeps what is done in it, an image does not change.
    Raises CancelledError when a signal ends it, ConflictError when another shell is in the machine.
    """
    try:
        with cancel_on_signals(), ExitStack() as stack:
            scratch = stack.enter_context(_scratch(services))
            spec, access = _machine(what, services, scratch.directory, stack)
            Journal(scratch.journal).intent("process", spec.uuid, program="qemu-system-x86_64")
            machine = stack.enter_context(Machine(spec))
            timeout = services.settings.boot_timeout
            wait_for_ssh(machine, access, timeout=timeout, bus=services.bus).disconnect()
            return ssh_shell(machine.ssh_port, access, spec.directory)
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


def _machine(
    what: str, services: Services, directory: Path, stack: ExitStack
) -> tuple[MachineSpec, BuildAccess]:
    chosen = accelerator.choose(services.settings, services.home, services.bus)
    if what.startswith("/"):
        return _of_image(what, services, directory, chosen)
    run = find(services.home, what)
    kept = KeptMachine.load(run.kept)
    lock = kept_lock(run.kept)
    if not lock.try_acquire(by="shell"):
        raise ConflictError(
            f"The machine of run {run.run_id} is in use by another shell, or being removed.",
            hint="Leave the other shell first: two machines would spoil the disk.",
        )
    stack.callback(lock.release)
    return kept.spec(directory, chosen), kept.access


def _of_image(
    arm_id: str, services: Services, directory: Path, chosen: accelerator.Accelerator
) -> tuple[MachineSpec, BuildAccess]:
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
        seed=write_seed(directory / "seed.iso", access),
        os_type=resolved.os_type,
        name="goldsmith-shell",
    )
    return spec, access
