"""Customize: run the customizers in order; the first failure ends the build."""

from __future__ import annotations

from contextlib import nullcontext
from typing import TYPE_CHECKING, Literal

from builder.errors import CancelledError
from builder.plan import step_name
from builder.stages import generalize
from builder.stages.failure import describe, handle_failure
from templates.errors import GoldsmithError

if TYPE_CHECKING:
    from builder.stages.context import BuildContext, PreparedStep
    from builder.stages.session import Session

StageName = Literal["Customize", "Validate"]
NOUN = {"Customize": "Customizer", "Validate": "Validator"}


def run(context: BuildContext, session: Session) -> None:
    """Run every customizer. Raises StepError naming the one that failed and the failure bundle."""
    run_steps(context, session, "Customize", context.customizers)


def run_steps(
    context: BuildContext, session: Session, stage: StageName, steps: tuple[PreparedStep, ...]
) -> None:
    """Run customizers or validators one after the other, as AIB does."""
    for index, prepared in enumerate(steps, start=1):
        while True:
            try:
                _apply(context, session, stage, index, prepared)
                break
            except CancelledError:
                raise
            except GoldsmithError as error:
                where = f"{NOUN[stage]} {index} of {len(steps)} '{step_name(prepared.model, index)}'"
                described = describe(context, session, where, error)
                if handle_failure(context, session, stage, described) != "retry":
                    raise described from error


def _apply(
    context: BuildContext, session: Session, stage: StageName, index: int, prepared: PreparedStep
) -> None:
    total = len(context.customizers if stage == "Customize" else context.validators)
    kind = str(getattr(prepared.model, "type", ""))
    with context.step(stage, index, total, step_name(prepared.model, index), kind) as report:
        step = context.step_context(prepared, index, report.on_output)
        try:
            with generalize.script_kept(session) if kind == "x-LinuxRestart" else nullcontext():
                prepared.provisioner.apply(session.guest, step)
        except GoldsmithError:
            # A machine that died explains a lost link better than the link does.
            session.machine.check()
            raise
