"""The offline proof: what must be gone is looked for on the finished disk itself."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from builder.disk import ext4, filesystem, foresight, mounted, vhd, xfs_repair
from builder.disk.partitions import PartitionTableError
from builder.disk.view import UnsupportedFilesystem
from builder.errors import BuildError
from builder.events import Wait
from builder.vm import accelerator, replay
from provisioners import generalized

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from builder.disk.partitions import Partition
    from builder.stages.context import BuildContext


class NotGeneralizedError(BuildError):
    """The finished disk still carries something of the build machine."""

    code = "NotGeneralized"


def settle(context: BuildContext, image: Path) -> None:
    """Bring the image's ext and XFS file systems to rest and check them; the last time it is written.

    Raises BuildError when one is damaged.
    """
    with Wait(context.bus, "Checking the file systems"):
        systems = filesystem.file_systems(image)
        for system in systems:
            part, remaining = system.partition, context.deadline.remaining
            if system.kind == "ext4":
                ext4.preen(image, part.start, part.size, timeout=remaining())
                ext4.fsck(image, part.start, timeout=remaining())
        xfs = [system.partition for system in systems if system.kind == "xfs"]
        waiting = [part for part in xfs if not _settle_xfs(context, image, part)]
        if waiting:
            _replay(context, image, waiting)
        for part in waiting:
            xfs_repair.settle(image, part.start, part.size, timeout=context.deadline.remaining())


def settle_data_disk(context: BuildContext, image: Path, lun: int) -> None:
    """The same for a data disk, in partitions or without; what nothing here can check is said.

    Raises BuildError when a file system is damaged.
    """
    try:
        found = filesystem.on_data_disk(image, lun)
    except PartitionTableError as error:
        context.bus.warn(f"Data disk {lun} was not checked: {error.message}", code="Unchecked")
        return
    for system in found:
        part, remaining = system.partition, context.deadline.remaining
        what = f"partition {part.number} of data disk {lun}" if part.number else f"data disk {lun}"
        if system.kind == "ext4":
            ext4.preen(image, part.start, part.size, timeout=remaining())
            ext4.fsck(image, part.start, timeout=remaining())
        elif system.kind == "xfs":
            if not _settle_xfs(context, image, part):
                context.bus.warn(f"Not checked: {what} (xfs); its log waits for a mount.", code="Unchecked")
        elif system.kind not in ("", "swap"):
            context.bus.warn(f"Not checked: {what} ({system.kind}).", code="Unchecked")


def _settle_xfs(context: BuildContext, image: Path, part: Partition) -> bool:
    """False when its log must be replayed first."""
    try:
        xfs_repair.settle(image, part.start, part.size, timeout=context.deadline.remaining())
    except xfs_repair.LogWaits:
        return False
    except UnsupportedFilesystem as error:
        context.bus.warn(f"Not checked: {error.message}", code="Unchecked")
    return True


def _replay(context: BuildContext, image: Path, parts: Sequence[Partition]) -> None:
    files, _ = mounted.join(image, *filesystem.find_root(image))
    replay.replay(
        image,
        vhd.check_fixed_vhd(image).virtual_size,
        files,
        [part.number for part in parts],
        accelerator.choose(context.services.settings, context.services.home),
        timeout=context.deadline.remaining(),
    )


def prove(context: BuildContext, image: Path, user: str, data_disks: Mapping[int, Path] | None = None) -> str:
    """Look for what must be gone in the file systems of `image`, joined as its fstab does, after
    `settle`. Returns a one-line result. Of the data disks (by lun) it sees what the fstab mounts.

    Raises NotGeneralizedError listing every finding. A file system nothing here can read (Windows,
    btrfs, LVM) cannot be proved; that is said as a warning, never passed over.
    """
    try:
        with Wait(context.bus, "Proving that the image is generalized"):
            disks = _readable(data_disks or {})
            files, unproved = mounted.join(image, *filesystem.find_root(image), disks)
            findings, remarks = foresight.ask(
                files, lambda looks: (generalized.findings(looks, user), generalized.remarks(looks, user))
            )
            for remark in remarks:
                context.bus.warn(f"{remark}: a customizer put it there, so it stays.", code="Access")
    except UnsupportedFilesystem as error:
        context.bus.warn(f"The image could not be proved offline: {error.message}", code="Unproved")
        return "not proved"
    if findings:
        raise NotGeneralizedError(
            "The image is not generalized: " + findings[0].split(":")[0] + ".",
            details=tuple(findings),
            hint="A customizer or your own deprovision script put it there, or kept it from being removed.",
        )
    for what in unproved:
        context.bus.warn(f"Not proved: {what}; nothing here can look into it offline.", code="Unproved")
    passed = f"{len(generalized.CHECKS)} checks passed"
    return f"{passed}, not proved: {', '.join(unproved)}" if unproved else passed


def _readable(data_disks: Mapping[int, Path]) -> dict[int, Path]:
    """Without those whose partition table cannot be read; `settle_data_disk` has said so."""
    found = {}
    for lun, path in data_disks.items():
        with contextlib.suppress(PartitionTableError):
            filesystem.on_data_disk(path, lun)
            found[lun] = path
    return found
