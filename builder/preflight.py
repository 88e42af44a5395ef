"""What this machine must offer before a build may start; nothing here boots a guest of the build."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

from builder import process
from builder.errors import EnvironmentProblem, PreflightError
from builder.vm import accelerator
from builder.vm.firmware import choose_firmware

if TYPE_CHECKING:
    from builder.services import Services
    from builder.sources.base import Generation

MIB = 1024**2
GIB = 1024**3
SPACE_FOR_A_BUILD = 2 * GIB
"""Bytes a small build needs beside its source: an overlay and the flattened result."""


def check_tools(services: Services) -> None:
    """Raises EnvironmentProblem, with the install command, when QEMU or a disk tool is missing.

    Says which accelerator builds will use.
    """
    accelerator.choose(services.settings, services.home, services.bus)
    process.require("qemu-img", "qemu-utils")
    process.require("debugfs", "e2fsprogs")


def check_firmware(generation: Generation) -> None:
    """Raises EnvironmentProblem when a Gen2 image cannot boot for want of UEFI firmware."""
    choose_firmware(generation)


def check_space(services: Services) -> None:
    """Raises EnvironmentProblem when the home's file system cannot hold a build."""
    services.home.root.mkdir(parents=True, exist_ok=True)
    free = shutil.disk_usage(services.home.root).free
    if free < SPACE_FOR_A_BUILD:
        raise EnvironmentProblem(
            f"Only {free / GIB:.1f} GiB are free in {services.home.root}; "
            f"a build needs at least {SPACE_FOR_A_BUILD / GIB:.0f} GiB.",
            hint="Free some space ('build gc', 'build images delete'), "
            "or set GOLDSMITH_HOME to a larger disk.",
        )


def check_disk_size(os_disk_size_gb: int, source_size: int) -> int:
    """Bytes of the build VM's disk: `osDiskSizeGB` or the source's size, a whole MiB.

    Azure only grows disks. Raises PreflightError when the template asks for less than the source has.
    """
    wanted = os_disk_size_gb * GIB
    if wanted and wanted < source_size:
        raise PreflightError(
            f"osDiskSizeGB is {os_disk_size_gb}, but the source's disk has {source_size / GIB:.1f} GiB.",
            hint="A disk can only grow: raise vmProfile.osDiskSizeGB, or leave it out.",
        )
    return -(-max(wanted, source_size) // MIB) * MIB
