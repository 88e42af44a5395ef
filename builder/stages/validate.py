"""Validate: check a fresh VM booted from an overlay of the result, under its real firmware."""

from __future__ import annotations

from typing import TYPE_CHECKING

from builder.stages import customize
from builder.stages.failure import StepFailedError
from builder.stages.session import Start, boot
from builder.stages.source import data_overlays, overlay
from builder.stages.workpiece import Fixed
from builder.vm.errors import MachineError
from provisioners.guest import GuestError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from builder.disk.data_disk import DataDisk
    from builder.disk.graph import BlockGraph
    from builder.stages.context import BuildContext
    from builder.vm.access import BuildAccess
    from templates.errors import GoldsmithError


def run(
    context: BuildContext,
    image: BlockGraph,
    size: int,
    access: BuildAccess | None = None,
    data_disks: Sequence[DataDisk] = (),
) -> GoldsmithError | None:
    """Run the validators; the VM and whatever they changed are thrown away. `access` is how a source is
    entered that knows the build user already; a finished image knows nobody, and takes a seed.

    A failed validation, a VM that does not boot among them, is returned, not raised: the engine
    decides whether to distribute (`continueDistributeOnFailure`); the run is Failed either way
    (aib-behaviour section 6).
    """
    if not context.validators:
        return None
    try:
        with context.stage("Validate"):
            disk = overlay(context, image, size, "validation")
            start = Start(disk, access, data_disks=data_overlays(context, data_disks, "validation"))
            with boot(context, start, purpose="validation") as session:
                customize.run_steps(context, Fixed(session), "Validate", context.validators)
    except (StepFailedError, MachineError, GuestError) as error:
        context.bus.warn(f"Validation failed: {error.message}", code="ValidationFailed")
        return error
    return None
