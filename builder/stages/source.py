"""Source: bring the disk here and lay a throw-away overlay over it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from builder.disk import qemu_img
from builder.disk.graph import BlockGraph
from builder.errors import PreflightError

if TYPE_CHECKING:
    from builder.sources.base import ImageSource, SourceDisk
    from builder.stages.context import BuildContext

MIB = 1024**2
GIB = 1024**3


def prepare(context: BuildContext, source: ImageSource) -> SourceDisk:
    """Fetch or open the source. Nothing ever writes to what this returns."""
    with (
        context.stage("Source"),
        context.step(
            "Source", 1, 1, context.source.description, context.template.properties.source.type
        ) as step,
    ):
        disk = source.prepare()
        step.detail = f"{context.source.exact_version}, {disk.size / GIB:.1f} GiB"
        return disk


def overlay(context: BuildContext, below: BlockGraph, size: int, name: str) -> BlockGraph:
    """A fresh overlay in the workspace, `size` bytes as the guest sees it."""
    path = context.workspace.file(f"{name}.qcow2")
    qemu_img.create_overlay(path, size)
    return below.over(path)


def disk_size(context: BuildContext, source_size: int) -> int:
    """Bytes of the build VM's disk: `osDiskSizeGB` or the source's size, a whole MiB.

    Azure only grows disks. Raises PreflightError when the template asks for less than the source has.
    """
    wanted = context.template.properties.vm_profile.os_disk_size_gb * GIB
    if wanted and wanted < source_size:
        raise PreflightError(
            f"osDiskSizeGB is {wanted // GIB}, but the source's disk has {source_size / GIB:.1f} GiB.",
            hint="A disk can only grow: raise vmProfile.osDiskSizeGB, or leave it out.",
        )
    return -(-max(wanted, source_size) // MIB) * MIB
