"""What every provisioner is: inputs that identify its work, and the work."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar, Protocol

from provisioners.guest import Guest, GuestTimeoutError, OnOutput
from templates.errors import ExitCode, GoldsmithError


@dataclass(frozen=True, slots=True)
class FrozenContent:
    """The bytes of a script or file as they were when the template was resolved.

    AIB downloads at submit and never looks at the URL again (aib-behaviour, section 1), so neither
    does a provisioner.
    """

    origin: str
    data: bytes
    sha256: str


@dataclass(frozen=True, slots=True)
class StepContext:
    """What the engine hands to a step. `timeout` is what the step may take, in seconds."""

    index: int
    name: str
    timeout: float
    on_output: OnOutput
    build_name: str = "goldsmith"
    builder_type: str = "qemu"
    env: Mapping[str, str] = field(default_factory=dict)
    secrets: Mapping[str, str] = field(default_factory=dict)


class StepError(GoldsmithError):
    """A customizer or validator that did not succeed."""

    code = "StepFailed"

    def __init__(
        self,
        message: str,
        *,
        exit_code_of_step: int | None = None,
        tail: tuple[str, ...] = (),
        details: tuple[str, ...] = (),
        hint: str | None = None,
    ) -> None:
        super().__init__(message, details=details, hint=hint)
        self.exit_code_of_step = exit_code_of_step
        self.tail = tail


class BadStepError(StepError):
    """A step that no guest could run, said when its provisioner is made: before anything boots."""

    code = "BadStep"
    exit_code = ExitCode.BAD_TEMPLATE


class RestartedError(StepError):
    """The guest restarted in the middle of a step that does not announce a restart."""

    code = "GuestRestarted"


class ConnectionLostError(StepError):
    """The link to the guest dropped in the middle of a step although it did not restart."""

    code = "ConnectionLost"


class StepTimeoutError(StepError, GuestTimeoutError):
    """A step took longer than it may. Also a GuestTimeoutError: its exit code says "timed out"."""

    code = "StepTimeout"


class Provisioner(Protocol):
    """A customizer or validator at work. Registered by type name (entry point group
    `goldsmith.provisioners`); constructed as `cls(step_model, content)`.
    """

    epoch: ClassVar[int]
    """Raised when the behaviour changes, so that cached layers of the old one are not used."""

    def inputs(self) -> Mapping[str, str]:
        """Everything that decides the outcome, as name -> text or sha256; never names or times."""

    def apply(self, guest: Guest, context: StepContext) -> None:
        """Do it. Raises StepError (or a subclass) when it does not succeed."""
