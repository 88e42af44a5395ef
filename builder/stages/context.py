"""What the stages of one build share."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from builder.cancellation import Interrupted
from builder.errors import BuildTimeoutError, CancelledError
from builder.events import Outcome, StageFinished, StageStarted, StepFinished, StepOutput, StepStarted
from builder.plan import step_name
from provisioners.base import Provisioner, StepContext
from provisioners.guest import GuestTimeoutError, OnOutput, Stream
from templates.durations import parse_duration
from templates.model import ImageTemplate, Step

if TYPE_CHECKING:
    from builder.deadline import Deadline
    from builder.disk.data_disk import DataDiskSize
    from builder.distributors.base import Distributor
    from builder.events import EventBus
    from builder.layers.cache import Cache
    from builder.layers.route import Route
    from builder.runs import RunDirectory
    from builder.services import Services
    from builder.sources.base import ResolvedSource
    from builder.vm.access import BuildAccess
    from builder.workspace import Workspace

OnError = Literal["cleanup", "keep", "ask"]


@dataclass(frozen=True, slots=True)
class PreparedStep:
    """A customizer or validator with everything it needs: frozen bytes, resolved secrets."""

    model: Step
    provisioner: Provisioner
    env: Mapping[str, str] = field(default_factory=dict)
    secrets: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class BuildContext:
    """One build under way. Frozen: what a stage produces is its return value."""

    template: ImageTemplate
    services: Services
    workspace: Workspace
    run: RunDirectory
    source: ResolvedSource
    customizers: tuple[PreparedStep, ...]
    validators: tuple[PreparedStep, ...]
    distributors: tuple[Distributor, ...]
    route: Route
    cache: Cache
    machine_key: str = ""
    """Which memory snapshots fit the build VM (vm/identity.py)."""
    validation_id: str = ""
    """Identifies the validations; "" when they run in every build."""
    on_error: OnError | None = None
    access: BuildAccess | None = None
    """The account that the template declares to enter the source by; None: one is made."""
    data_disks: tuple[DataDiskSize, ...] = ()
    """What the image will have beside its OS disk: the source's, and after them the template's."""
    lineage: Mapping[str, Any] = field(default_factory=dict)
    """What is recorded with every image (builder/lineage.py)."""

    @property
    def bus(self) -> EventBus:
        """Where events go."""
        return self.services.bus

    @property
    def deadline(self) -> Deadline:
        """The build's deadline."""
        return self.services.deadline

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """See `stage`."""
        with stage(self.services, name):
            yield

    @contextmanager
    def step(self, stage: str, index: int, total: int, name: str, kind: str) -> Iterator[StepReport]:
        """Announce a step and time it; `report.detail` becomes its short result."""
        start = time.monotonic()
        self.bus.emit(StepStarted(stage=stage, index=index, total=total, name=name, type=kind))
        report = StepReport(on_output=self._output_of(stage, index))
        outcome: Outcome = "failed"
        try:
            with timeouts_of(self.deadline):
                yield report
            outcome = "succeeded"
        except BaseException as error:
            outcome = outcome_of(error)
            report.detail = report.detail or (str(error).splitlines() or [type(error).__name__])[0]
            raise
        finally:
            self.bus.emit(
                StepFinished(
                    stage=stage,
                    index=index,
                    name=name,
                    outcome=outcome,
                    seconds=round(time.monotonic() - start, 3),
                    detail=report.detail,
                )
            )

    def cached_step(self, stage: str, index: int, total: int, name: str, kind: str, why: str) -> None:
        """Announce a step that need not be done: what it would leave is there."""
        self.bus.emit(StepStarted(stage=stage, index=index, total=total, name=name, type=kind))
        done = StepFinished(stage=stage, index=index, name=name, outcome="cached", seconds=0.0, detail=why)
        self.bus.emit(done)

    def step_context(self, prepared: PreparedStep, index: int, on_output: OnOutput) -> StepContext:
        """What a provisioner is handed; its time is the step's own limit or what the build has left."""
        own = prepared.model.extensions.timeout
        return StepContext(
            index=index,
            name=step_name(prepared.model, index),
            timeout=self.deadline.remaining(parse_duration(own) if own else None),
            on_output=on_output,
            env=prepared.env,
            secrets=prepared.secrets,
        )

    def _output_of(self, stage: str, index: int) -> OnOutput:
        def on_output(stream: Stream, line: str) -> None:
            self.bus.emit(StepOutput(stage=stage, index=index, stream=stream, line=line))

        return on_output


@dataclass(slots=True)
class StepReport:
    """Filled by a running step."""

    on_output: OnOutput
    detail: str = ""


@contextmanager
def stage(services: Services, name: str) -> Iterator[None]:
    """Announce a stage, time it, and turn an expired deadline into its own error."""
    start = time.monotonic()
    services.bus.emit(StageStarted(stage=name))
    outcome: Outcome = "failed"
    try:
        with timeouts_of(services.deadline):
            yield
        outcome = "succeeded"
    except BaseException as error:
        outcome = outcome_of(error)
        raise
    finally:
        seconds = round(time.monotonic() - start, 3)
        services.bus.emit(StageFinished(stage=name, outcome=outcome, seconds=seconds))


@contextmanager
def timeouts_of(deadline: Deadline) -> Iterator[None]:
    """Whatever ran out of time because the build did is reported as the build's timeout."""
    try:
        yield
    except BuildTimeoutError:
        raise
    except Exception as error:
        if deadline.expired and not isinstance(error, CancelledError):
            raise deadline.error() from error
        raise


def outcome_of(error: BaseException) -> Outcome:
    """The outcome an error stands for."""
    if isinstance(error, CancelledError | Interrupted | KeyboardInterrupt):
        return "cancelled"
    if isinstance(error, BuildTimeoutError | GuestTimeoutError):
        return "timedout"
    return "failed"
