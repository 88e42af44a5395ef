"""Source: bring the disk here and lay a throw-away overlay over it."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING

from builder import process
from builder.disk import qemu_img, xfs_repair
from builder.disk.data_disk import DataDisk, node_of
from builder.disk.filesystem import file_systems
from builder.disk.graph import BlockGraph, DiskLayer
from builder.disk.partitions import PartitionTableError
from builder.errors import PreflightError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from builder.sources.base import ImageSource, SourceDisk
    from builder.stages.context import BuildContext
    from templates.model import ImageTemplate

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
        check_seeded(context.template, seeded=disk.seeded)
        check_tools(disk.graph)
        return disk


def check_seeded(template: ImageTemplate, *, seeded: bool) -> None:
    """Raises PreflightError when the finished image shall be validated and nobody could enter it."""
    checks = template.properties.validation
    if seeded or not checks or not checks.in_vm_validations or checks.source_validation_only:
        return
    raise PreflightError(
        "The finished image cannot be validated: without cloud-init in it, nobody gets into it any more.",
        hint="Install cloud-init in the source (x-goldsmith.repositories, or a subscription), "
        "or leave the validations out.",
    )


def check_tools(disk: BlockGraph) -> None:
    """Raises EnvironmentProblem when what the finished image is checked with is missing.

    Said before the work instead of after it. Only a raw disk shows its file systems from outside; with any
    other the check at the end says the same.
    """
    bottom = disk.layers[0]
    if bottom.format != "raw":
        return
    with suppress(PartitionTableError):
        if any(system.kind == "xfs" for system in file_systems(bottom.path)):
            process.require("xfs_repair", xfs_repair.PACKAGE)


def overlay(context: BuildContext, below: BlockGraph, size: int, name: str) -> BlockGraph:
    """A fresh overlay in the workspace, `size` bytes as the guest sees it."""
    return below.over(_empty(context, size, name))


def data_overlays(context: BuildContext, disks: Sequence[DataDisk], name: str) -> tuple[DataDisk, ...]:
    """The data disks with a fresh overlay each."""
    return tuple(
        replace(disk, graph=overlay(context, disk.graph, disk.size, f"{name}-{disk.node}")) for disk in disks
    )


def attached(context: BuildContext, disk: SourceDisk) -> tuple[DataDisk, ...]:
    """The build VM's data disks: overlays of the source's, and blank ones for those the template adds."""
    found = list(data_overlays(context, disk.data_disks, "data"))
    have = {one.lun for one in found}
    for new in context.data_disks:
        if new.lun not in have:
            path = _empty(context, new.size, f"data-{node_of(new.lun)}")
            found.append(DataDisk(new.lun, new.size, BlockGraph((DiskLayer(path, "qcow2"),))))
    return tuple(found)


def _empty(context: BuildContext, size: int, name: str) -> Path:
    path = context.workspace.file(f"{name}.qcow2")
    qemu_img.create_overlay(path, size)
    return path
