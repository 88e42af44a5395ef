"""What happens when a step fails: the bundle, and the choice between cleaning up, keeping, trying again."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Literal

from builder.stages import keep
from provisioners.base import StepError
from provisioners.guest import GuestTimeoutError
from templates.errors import ExitCode, GoldsmithError

if TYPE_CHECKING:
    from pathlib import Path

    from builder.stages.context import BuildContext, OnError
    from builder.stages.session import Session

Answer = Literal["cleanup", "keep", "retry"]


class StepFailedError(StepError):
    """A customizer or validator failed; message, details and hint say all a person needs."""

    code = "StepFailed"
    bundle: Path | None = None
    """Where the failure bundle is."""


class StepTimeoutError(StepFailedError):
    """A customizer or validator took longer than it may."""

    code = "StepTimeout"
    exit_code = ExitCode.TIMED_OUT


def describe(
    context: BuildContext, session: Session, stage: str, where: str, error: GoldsmithError
) -> StepFailedError:
    """The error a person sees: which step, its exit code, its last lines, the bundle's path."""
    from builder.vm.failure import write_bundle

    tail = error.tail if isinstance(error, StepError) else ()
    bundle = write_bundle(
        context.run.path / "failure",
        machine=session.machine,
        guest=session.guest,
        step=where,
        tail=tail,
        error=error,
        redactor=context.services.redactor,
    )
    kind = StepTimeoutError if isinstance(error, GuestTimeoutError) else StepFailedError
    described = kind(
        f"{where} failed: {error.message}",
        exit_code_of_step=error.exit_code_of_step if isinstance(error, StepError) else None,
        tail=tail,
        details=error.details,
        hint=error.hint,
    )
    described.bundle = bundle
    return described


def handle_failure(context: BuildContext, session: Session, stage: str, error: StepFailedError) -> Answer:
    """Do what `--on-error` or the template's errorHandling says. The command line wins."""
    choice: OnError = context.on_error or _from_template(context, stage)
    if choice == "ask" and not sys.stdin.isatty():
        context.bus.warn("--on-error ask needs a terminal; cleaning up instead.", code="NoTerminal")
        choice = "cleanup"
    answer: Answer = _ask(context, session, error) if choice == "ask" else choice
    if answer == "keep":
        kept = keep.keep(context, session)
        context.bus.note(
            f"The VM's disk was kept in {kept}; look inside with: build shell {context.run.run_id}"
        )
    return answer


def _from_template(context: BuildContext, stage: str) -> OnError:
    handling = context.template.properties.error_handling
    value = handling.on_validation_error if stage == "Validate" else handling.on_customizer_error
    return "keep" if value == "abort" else "cleanup"


def _ask(context: BuildContext, session: Session, error: StepFailedError) -> Answer:
    from builder.ui.ask import ask_on_error

    while True:
        answer = ask_on_error(error, context.services.redactor)
        if answer != "shell":
            return answer
        keep.open_shell(session)
