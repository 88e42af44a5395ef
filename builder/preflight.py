"""What this machine must offer before a build may start; nothing here boots a guest of the build."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from typing import TYPE_CHECKING

from builder import doctor
from builder.disk import data_disk
from builder.distributors.files import existing_parent
from builder.errors import EnvironmentProblem, PreflightError
from builder.vm import accelerator
from builder.vm.firmware import choose_firmware

if TYPE_CHECKING:
    from builder.disk.data_disk import DataDiskSize
    from builder.services import Services
    from builder.sources.base import Generation, ResolvedSource
    from templates.model import DataDisk

MIB = 1024**2
GIB = 1024**3
SPACE_FOR_A_BUILD = 2 * GIB
"""Bytes a small build needs beside its source: an overlay and the flattened result."""
SPACE_FOR_A_BASE = 2 * GIB
"""Bytes more when the source is not here yet: its tar, its tree and its disk (doctor asks for the sum)."""
_FILLED = 16
"""Of a large disk at least one part in so many is in use: a 127 GiB Windows disk holds 8 GiB or more."""


def check_tools(services: Services) -> None:
    """Raises EnvironmentProblem, with the install command, when QEMU (7.2 or later) or a disk tool is
    missing. Says which accelerator builds will use, except to one who only asks: trying it out boots a
    guest, and the verdict is written down.
    """
    _demand(doctor.check_for_build())
    if not services.read_only:
        accelerator.choose(services.settings, services.home, services.bus)


def check_source_tools(source: ResolvedSource) -> None:
    """Raises EnvironmentProblem when the source must be made from packages and this machine cannot."""
    if source.bootstrapped and not source.cached:
        _demand(doctor.check_for_bootstrap())


def _demand(results: Sequence[doctor.Result]) -> None:
    missing = [result for result in results if result.status == "fail"]
    if not missing:
        return
    command = doctor.install_command(missing)
    raise EnvironmentProblem(
        f"This machine cannot build that: {', '.join(result.name for result in missing)}.",
        details=tuple(f"{one.name}: {one.found}. {one.advice}".rstrip() for one in missing),
        hint=f"Install it: {command}" if command else "'build doctor' checks all of this machine.",
    )


def check_firmware(generation: Generation) -> None:
    """Raises EnvironmentProblem when a Gen2 image cannot boot for want of UEFI firmware."""
    choose_firmware(generation)


def check_space(services: Services, source: ResolvedSource | None = None) -> None:
    """Raises EnvironmentProblem when the home's file system cannot hold a build, of `source` if known."""
    needed = SPACE_FOR_A_BUILD
    if source is not None:
        whole = source.size + sum(disk.size for disk in source.data_disks)
        needed = max(needed, whole // _FILLED) + (0 if source.cached else SPACE_FOR_A_BASE)
    if not services.read_only:
        services.home.ensure()
    free = shutil.disk_usage(existing_parent(services.home.root)).free
    if free < needed:
        raise EnvironmentProblem(
            f"Only {free / GIB:.1f} GiB are free in {services.home.root}; "
            f"this build needs at least {needed / GIB:.1f} GiB.",
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


def expected_data_disks(added: Sequence[DataDisk], source: ResolvedSource) -> tuple[DataDiskSize, ...]:
    """The data disks of the image: the source's keep their luns, the template's come after the highest.

    Raises PreflightError for more than this machine attaches.
    """
    found = data_disk.numbered(source.data_disks, [disk.size_gb * GIB for disk in added])
    if len(found) > data_disk.MOST:
        mine = f"{len(source.data_disks)} of the source, {len(added)} of additionalDataDisks"
        raise PreflightError(
            f"The image would have {len(found)} data disks; {data_disk.MOST} can be attached here.",
            details=(mine,),
        )
    return found
