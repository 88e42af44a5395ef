"""The offline proof: what must be gone is looked for on the finished disk itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

from builder.disk import ext4, filesystem, foresight, mounted, xfs_repair
from builder.disk.view import UnsupportedFilesystem
from builder.errors import BuildError
from builder.events import Wait
from provisioners import generalized

if TYPE_CHECKING:
    from pathlib import Path

    from builder.stages.context import BuildContext


class NotGeneralizedError(BuildError):
    """The finished disk still carries something of the build machine."""

    code = "NotGeneralized"


def settle(context: BuildContext, image: Path) -> None:
    """Bring the image's ext and XFS file systems to rest and check them; the last time it is written.

    Raises BuildError when one is damaged.
    """
    with Wait(context.bus, "Checking the file systems"):
        for system in filesystem.file_systems(image):
            part, remaining = system.partition, context.deadline.remaining
            if system.kind == "ext4":
                ext4.preen(image, part.start, part.size, timeout=remaining())
                ext4.fsck(image, part.start, timeout=remaining())
            elif system.kind == "xfs":
                try:
                    xfs_repair.settle(image, part.start, part.size, timeout=remaining())
                except UnsupportedFilesystem as error:
                    context.bus.warn(f"Not checked: {error.message}", code="Unchecked")


def prove(context: BuildContext, image: Path, user: str) -> str:
    """Look for what must be gone in the file systems of `image`, joined as its fstab does, after
    `settle`. Returns a one-line result.

    Raises NotGeneralizedError listing every finding. A file system nothing here can read (Windows,
    btrfs, LVM) cannot be proved; that is said as a warning, never passed over.
    """
    try:
        with Wait(context.bus, "Proving that the image is generalized"):
            files, unproved = mounted.join(image, *filesystem.find_root(image))
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
