"""What happens when a step fails: the bundle, and the choice between cleaning up, keeping, trying again."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Literal

from builder.errors import BuildTimeoutError, CancelledError
from builder.stages import keep
from provisioners.base import StepError
from provisioners.guest import GuestTimeoutError
from templates.errors import ExitCode, GoldsmithError

if TYPE_CHECKING:
    from builder.stages.context import BuildContext, OnError
    from builder.stages.session import Session
    from builder.vm.machine import Machine

Answer = Literal["cleanup", "keep", "retry"]


class StepFailedError(StepError):
    """A customizer or validator failed; message, details and hint say all a person needs."""

    code = "StepFailed"


class StepTimeoutError(StepFailedError):
    """A customizer or validator took longer than it may."""

    code = "StepTimeout"
    exit_code = ExitCode.TIMED_OUT


def collect(context: BuildContext, machine: Machine, what: str, error: GoldsmithError) -> None:
    """Write the failure bundle and note it on `error`. A full disk costs the bundle, not the error."""
    from builder.vm.failure import write_bundle

    try:
        error.bundle = str(
            write_bundle(
                context.run.path / "failure",
                machine=machine,
                guest=machine.guest,
                step=what,
                tail=error.tail if isinstance(error, StepError) else (),
                error=error,
                redactor=context.services.redactor,
            )
        )
    except OSError as problem:
        context.bus.warn(f"The failure bundle could not be written: {problem}", code="NoBundle")


def describe(context: BuildContext, session: Session, where: str, error: GoldsmithError) -> GoldsmithError:
    """The error a person sees: which step, its exit code, its last lines, the bundle's path.

    When the whole build ran out of time, it stays that error and says what was running.
    """
    described: GoldsmithError
    if isinstance(error, BuildTimeoutError):
        described = error
        described.details = (f"{where} was running.", *error.details)
    else:
        kind = StepTimeoutError if isinstance(error, GuestTimeoutError) else StepFailedError
        described = kind(
            f"{where} failed: {error.message}",
            exit_code_of_step=error.exit_code_of_step if isinstance(error, StepError) else None,
            tail=error.tail if isinstance(error, StepError) else (),
            details=error.details,
            hint=error.hint,
        )
    collect(context, session.machine, where, described)
    return described


@contextmanager
def collected(context: BuildContext, session: Session, stage: str) -> Iterator[None]:
    """A stage that works on a session: a failure leaves its bundle, and the machine when asked to."""
    try:
        yield
    except CancelledError:
        raise
    except GoldsmithError as error:
        if not error.bundle:
            collect(context, session.machine, stage, error)
            handle_failure(context, session, stage, error)
        raise


def handle_failure(context: BuildContext, session: Session, stage: str, error: GoldsmithError) -> Answer:
    """Do what `--on-error` or the template's errorHandling says. The command line wins."""
    choice: OnError = context.on_error or _from_template(context, stage)
    if choice == "ask" and (isinstance(error, BuildTimeoutError) or not session.machine.alive):
        choice = "keep"  # nothing left to ask: there is no time, or no machine to look into
    if choice == "ask" and not sys.stdin.isatty():
        context.bus.warn("--on-error ask needs a terminal; cleaning up instead.", code="NoTerminal")
        choice = "cleanup"
    answer: Answer = _ask(session, context, error) if choice == "ask" else choice
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


def _ask(session: Session, context: BuildContext, error: GoldsmithError) -> Answer:
    from builder.ui.ask import ask_on_error

    while True:
        with context.deadline.pause():  # a person's time is none of the build's
            answer = ask_on_error(error, context.services.redactor)
            if answer != "shell":
                return answer
            keep.open_shell(session)
