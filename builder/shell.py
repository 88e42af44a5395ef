"""A shell in a kept machine, or in a throw-away overlay of an image."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from builder.disk import qemu_img
from builder.extensions import make_source
from builder.runs import find
from builder.stages.keep import ssh_shell
from builder.vm import accelerator
from builder.vm.access import BuildAccess
from builder.vm.kept import KeptMachine
from builder.vm.machine import Machine, wait_for_ssh
from builder.vm.seed import write_seed
from builder.vm.sizes import resolve_size
from builder.vm.spec import MachineSpec
from templates.model import ManagedImageSource, SharedImageVersionSource

if TYPE_CHECKING:
    from builder.services import Services


def open_shell(what: str, services: Services) -> int:
    """Boot `what` (a run's id, or the ARM id of an image) and hand the terminal to ssh.

    Returns ssh's exit code. A kept machine keeps what is done in it, an image does not change.
    """
    with _machine(what, services) as (spec, access), Machine(spec) as machine:
        timeout = services.settings.boot_timeout
        wait_for_ssh(machine, access, timeout=timeout, bus=services.bus).disconnect()
        return ssh_shell(machine.ssh_port, access, spec.directory)


@contextmanager
def _machine(what: str, services: Services) -> Iterator[tuple[MachineSpec, BuildAccess]]:
    chosen = accelerator.choose(services.settings, services.home, services.bus)
    with tempfile.TemporaryDirectory(prefix="goldsmith-shell-") as scratch:
        directory = Path(scratch)
        if what.startswith("/"):
            yield _of_image(what, services, directory, chosen)
        else:
            kept = KeptMachine.load(find(services.home, what).kept)
            yield kept.spec(directory, chosen), kept.access


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
