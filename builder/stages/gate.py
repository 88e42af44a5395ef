"""The VHD gate in a build: before anything leaves this machine, or whenever it is asked for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final, NamedTuple

from builder.distributors.base import leaves
from builder.events import Wait
from builder.phases import phase
from builder.plan import Action, PlannedStep

if TYPE_CHECKING:
    from builder.distributors.base import Distributor, FinishedImage
    from builder.gate.gate import Report
    from builder.settings import Settings
    from builder.stages.context import BuildContext
    from templates.model import ImageTemplate

STAGE: Final = "Gate"
NAME = "VHD gate"


class Decision(NamedTuple):
    """Whether the gate runs, and why; without a `why` there is nothing to say about it."""

    runs: bool
    why: str = ""


def decide(template: ImageTemplate, settings: Settings, distributors: Sequence[Distributor]) -> Decision:
    """The template says, else the setting: always, never, or (remote) when a target leaves this machine."""
    extensions = template.properties.extensions
    mode = extensions.gate or settings.gate
    going = [
        model.run_output_name
        for model, one in zip(template.properties.distribute, distributors, strict=False)
        if leaves(one)
    ]
    waived = f"; waived: {', '.join(extensions.waive)}" if extensions.waive else ""
    if mode == "off":
        return Decision(runs=False, why=f"switched off, though {', '.join(going)} leaves" if going else "")
    if going:
        return Decision(runs=True, why=f"{', '.join(going)} leaves this machine{waived}")
    if mode == "always":
        return Decision(runs=True, why=f"asked for in every build{waived}")
    return Decision(runs=False)


def planned(
    template: ImageTemplate, settings: Settings, distributors: Sequence[Distributor]
) -> PlannedStep | None:
    """The gate as a step of the plan; None when there is nothing to say about it."""
    decision = decide(template, settings, distributors)
    action: Action = "RUN" if decision.runs else "SKIP"
    return PlannedStep(STAGE, 1, NAME, "offline", action, decision.why) if decision.why else None


def run(context: BuildContext, image: FinishedImage) -> None:
    """Ask the rules of the finished image, when it is to be. Raises GateError with every finding."""
    services = context.services
    decision = decide(context.template, services.settings, context.distributors)
    if not decision.runs:
        if decision.why:
            context.bus.warn(f"The VHD gate is {decision.why}.", code=STAGE)
        return
    from builder.gate import gate

    with (
        context.stage(STAGE),
        context.step(STAGE, 1, 1, NAME, "offline") as step,
        phase(context.bus, NAME, where="engine", stage=STAGE, index=1),
    ):
        with Wait(context.bus, "Asking the VHD gate"):
            report = gate.check(
                image.vhd,
                os_type=image.os_type,
                generation=image.generation,
                waived=context.template.properties.extensions.waive,
                data_disks={disk.lun: disk.vhd for disk in image.data_disks},
            )
        _tell(context, report)
        step.detail = report.summary
        gate.require(report)


def _tell(context: BuildContext, report: Report) -> None:
    """What does not stop the image is said all the same."""
    for result in report.of("warning", "unknown", "waived"):
        how = {"warning": "", "unknown": "not known: ", "waived": "waived: "}[result.outcome]
        context.bus.warn(f"{result.rule}: {how}{result.said}", code=STAGE)
