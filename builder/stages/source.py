"""Source: bring the disk here and lay a throw-away overlay over it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from builder.disk import qemu_img
from builder.disk.graph import BlockGraph

if TYPE_CHECKING:
    from builder.sources.base import ImageSource, SourceDisk
    from builder.stages.context import BuildContext

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
