"""Generalize: deprovision in the guest, flatten the disk once, prove on the result that it is clean."""

from __future__ import annotations

from typing import TYPE_CHECKING

from builder.disk import extents, qemu_img, vhd
from builder.disk.graph import BlockGraph, DiskLayer
from builder.distributors.base import FinishedImage
from builder.errors import BuildError
from builder.events import Wait
from builder.stages import proof
from provisioners import deprovision

if TYPE_CHECKING:
    from builder.stages.context import BuildContext, StepReport
    from builder.stages.session import Session

STEPS = 3


def place_default_script(session: Session) -> None:
    """Lay AIB's default deprovision script where customizers may replace it (aib-behaviour section 5)."""
    path, text = deprovision.default_script(session.guest.os_type)
    session.guest.put(text.encode(), path, timeout=60, mode=0o755)


def run(context: BuildContext, session: Session, graph: BlockGraph, size: int) -> FinishedImage:
    """Deprovision, flatten, prove. Raises BuildError; the machine is off afterwards."""
    with context.step("Generalize", 1, STEPS, "Deprovision", context.source.os_type) as step:
        _deprovision(context, session, step)
    with context.step("Generalize", 2, STEPS, "Flatten", "VHD") as step:
        image = _flatten(context, graph, size)
        step.detail = f"{extents.allocated_size(image.vhd) / 1024**2:.0f} MiB on disk"
    with context.step("Generalize", 3, STEPS, "Prove", "offline") as step:
        step.detail = proof.prove(context, image.vhd, session.access.user)
    return image


def graph_of(image: FinishedImage) -> BlockGraph:
    """The finished VHD as a disk: raw, cut at the size its footer gives."""
    return BlockGraph((DiskLayer(image.vhd, "raw", image.virtual_size),))


def _deprovision(context: BuildContext, session: Session, step: StepReport) -> None:
    deprovision.start(session.guest, user=session.access.user, timeout=context.deadline.remaining(120))
    session.guest.disconnect()
    with Wait(context.bus, "Deprovisioning; the VM powers off by itself"):
        session.follow_second_serial(
            lambda line: step.on_output("stdout", line), timeout=context.deadline.remaining(deprovision.LIMIT)
        )
    report = deprovision.parse_report(session.second_serial.read_text(errors="replace"))
    step.detail = f"exit {report.deprovision_exit}"
    if report.deprovision_exit != 0:
        raise BuildError(
            f"The deprovision script failed with exit code {report.deprovision_exit}.",
            details=tuple(report.log[-15:]),
            hint=f"It is {deprovision.LINUX_PATH} in the guest; a customizer may replace it.",
        )
    if report.scrub_exit != 0:
        raise BuildError(
            f"The final scrub of the guest failed with exit code {report.scrub_exit}.",
            details=tuple(report.log[-15:]),
        )


def _flatten(context: BuildContext, graph: BlockGraph, size: int) -> FinishedImage:
    path = context.workspace.file("os.vhd")
    with Wait(context.bus, "Flattening the disk"):
        qemu_img.flatten_to_vhd(graph, path, size=size, timeout=context.deadline.remaining())
    info = vhd.check_fixed_vhd(path)
    return FinishedImage(
        vhd=path,
        virtual_size=info.virtual_size,
        os_type=context.source.os_type,
        generation=context.source.generation,
        digest=extents.content_digest(path, info.virtual_size),
        source=context.source.exact_version,
        template=context.template.name,
        run_id=context.run.run_id,
        source_version=context.source.version_number,
    )
