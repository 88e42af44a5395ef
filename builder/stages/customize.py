"""Customize: run the customizers in order; the first failure ends the build."""

from __future__ import annotations

from contextlib import nullcontext
from typing import TYPE_CHECKING, Literal, Protocol

from builder.errors import BuildTimeoutError, CancelledError
from builder.phases import phase
from builder.plan import step_name
from builder.stages import generalize
from builder.stages.failure import describe, handle_failure
from templates.errors import GoldsmithError

if TYPE_CHECKING:
    from builder.stages.context import BuildContext, PreparedStep
    from builder.stages.session import Session

StageName = Literal["Customize", "Validate"]
NOUN = {"Customize": "Customizer", "Validate": "Validator"}


class Work(Protocol):
    """What steps work on: a Workpiece, or a machine that is only looked at (`workpiece.Fixed`)."""

    @property
    def session(self) -> Session:
        """The machine as it is now."""

    @property
    def steps_done(self) -> int:
        """How many steps are in it already."""

    def step_begins(self, prepared: PreparedStep) -> None:
        """A step is about to run."""

    def step_done(self, step: int, prepared: PreparedStep) -> None:
        """Step number `step` (from 1) succeeded."""

    def go_back(self) -> bool:
        """Undo what the step did; False when that cannot be."""


def run(context: BuildContext, work: Work) -> None:
    """Run every customizer that is not in `work` yet. Raises StepError naming the one that failed and the
    failure bundle.
    """
    run_steps(context, work, "Customize", context.customizers)


def run_steps(context: BuildContext, work: Work, stage: StageName, steps: tuple[PreparedStep, ...]) -> None:
    """Run customizers or validators one after the other, as AIB does."""
    done = work.steps_done
    for index, prepared in enumerate(steps, start=1):
        if index <= done:
            why = context.route.reasons[context.route.of_step(index)]
            name, kind = step_name(prepared.model, index), _kind(prepared)
            context.cached_step(stage, index, len(steps), name, kind, why)
        else:
            _run_step(context, work, stage, index, prepared)


def _run_step(
    context: BuildContext, work: Work, stage: StageName, index: int, prepared: PreparedStep
) -> None:
    """One step, as often as it may be tried; each time from the layer before it."""
    tries_left = prepared.model.extensions.retry
    while True:
        try:
            work.step_begins(prepared)
            _apply(context, work.session, stage, index, prepared)
            work.step_done(index, prepared)
            return
        except CancelledError:
            raise
        except GoldsmithError as error:
            total = len(context.customizers if stage == "Customize" else context.validators)
            where = f"{NOUN[stage]} {index} of {total} '{step_name(prepared.model, index)}'"
            described = describe(context, work.session, where, error)
            if tries_left > 0 and not isinstance(error, BuildTimeoutError):
                context.bus.warn(f"{described.message} Trying again ({tries_left} left).", code="Retry")
                tries_left -= 1
            elif handle_failure(context, work.session, stage, described) != "retry":
                raise described from error
            _start_over(context, work, stage)


def _start_over(context: BuildContext, work: Work, stage: StageName) -> None:
    if stage == "Customize" and not work.go_back():
        context.bus.warn(
            "There is no layer to go back to; the step is tried again on the guest as it is.", code="NoLayer"
        )


def _apply(
    context: BuildContext, session: Session, stage: StageName, index: int, prepared: PreparedStep
) -> None:
    total = len(context.customizers if stage == "Customize" else context.validators)
    kind = _kind(prepared)
    with (
        context.step(stage, index, total, step_name(prepared.model, index), kind) as report,
        phase(context.bus, step_name(prepared.model, index), where="guest", stage=stage, index=index),
    ):
        step = context.step_context(prepared, index, report.on_output)
        try:
            with generalize.script_kept(session) if kind == "x-LinuxRestart" else nullcontext():
                prepared.provisioner.apply(session.guest, step)
        except GoldsmithError:
            # A machine that died explains a lost link better than the link does.
            session.machine.check()
            raise


def _kind(prepared: PreparedStep) -> str:
    return str(getattr(prepared.model, "type", ""))
