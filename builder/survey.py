"""The survey of one template: what a build would do if it began now. Data for `build plan`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from builder.changes import Change
from builder.events import Note
from builder.plan import PlannedStep
from templates.model import PlatformImageSource, SharedImageVersionSource

if TYPE_CHECKING:
    from builder.disk.data_disk import DataDiskSize
    from builder.errors import GoldsmithError
    from builder.events import Envelope
    from builder.settings import Settings
    from builder.sources.base import Generation, OsType, ResolvedSource
    from builder.submit import Submission
    from builder.usage.estimate import Estimate
    from builder.workspace import Workspace
    from templates import Document
    from templates.model import ImageTemplate, Source

_LATEST = "latest"


@dataclass(frozen=True, slots=True)
class Remark:
    """Something to know before building that does not stop the plan. `code` is stable."""

    code: str
    message: str
    hint: str = ""


@dataclass(frozen=True, slots=True)
class SurveyedSource:
    """The image to start from. `asked_for` is the version as the template names it, `exact_version`
    what that means now; `size` in bytes, 0 when not known yet; `means` says how it comes here.
    """

    type: str
    description: str
    asked_for: str
    exact_version: str
    os_type: OsType
    generation: Generation
    size: int
    cached: bool
    means: str


@dataclass(frozen=True, slots=True)
class SurveyedVm:
    """The build VM, bounded by this host. `disk_size` in bytes, 0 when not known yet; `data_disks` are what
    it and the image have beside the OS disk.
    """

    size: str
    cpus: int
    memory_mib: int
    disk_size: int
    data_disks: tuple[DataDiskSize, ...] = ()


@dataclass(frozen=True, slots=True)
class Timeouts:
    """The longest the whole build and each of its boots may take, in seconds."""

    build: float
    boot: float


@dataclass(frozen=True, slots=True)
class Survey:
    """Everything `build plan` says of one template. `estimates` are of the targets in galleries whose size
    something is known about.
    """

    template: str
    file: str
    workspace: str
    source: SurveyedSource
    vm: SurveyedVm
    timeouts: Timeouts
    steps: tuple[PlannedStep, ...]
    changes: tuple[Change, ...]
    remarks: tuple[Remark, ...]
    estimates: tuple[Estimate, ...] = ()


@dataclass
class Notes:
    """A sink that keeps what the bus notes, as remarks."""

    remarks: list[Remark] = field(default_factory=list)

    def __call__(self, envelope: Envelope) -> None:
        """Take a note; other events say nothing about a plan."""
        event = envelope.event
        if isinstance(event, Note):
            self.remarks.append(Remark(event.code or "Note", event.message))


def remark_of(error: GoldsmithError) -> Remark:
    """What would be an error of a build on this machine, as a remark."""
    text = "\n".join([error.message, *error.details])
    return Remark(error.code, text, error.hint or "")


def make_survey(
    document: Document,
    template: ImageTemplate,
    settings: Settings,
    found: Submission,
    changes: Sequence[Change],
    remarks: Sequence[Remark],
    workspace: Workspace,
    estimates: Sequence[Estimate] = (),
) -> Survey:
    """Put together what was found. `changes` are those of the targets and the declared galleries."""
    source, machine = found.source, found.machine
    checks = template.properties.validation
    if checks and checks.source_validation_only:
        changes = found.declared
    user = workspace.user()
    said = [
        *(
            Remark(item.code, f"{item.location}: {item.message}", item.hint or "")
            for item in document.diagnostics
        ),
        *(Remark("VmSize", note) for note in machine.notes),
        *remarks,
        *([Remark("InUse", f"{workspace.name} is in use now: {user} builds this template.")] if user else []),
    ]
    return Survey(
        template=template.name,
        file=document.file,
        workspace=workspace.name,
        source=_source(template.properties.source, source),
        vm=SurveyedVm(machine.name, machine.cpus, machine.memory_mib, found.disk_size, found.data_disks),
        timeouts=Timeouts(template.properties.build_timeout_minutes * 60, settings.boot_timeout),
        steps=_with_skips(found.plan.steps),
        changes=(*_of_the_source(source), *changes),
        remarks=tuple(dict.fromkeys(said)),
        estimates=tuple(estimates),
    )


def _source(model: Source, source: ResolvedSource) -> SurveyedSource:
    asked_for = ""
    if isinstance(model, PlatformImageSource):
        asked_for = model.version
    elif isinstance(model, SharedImageVersionSource):
        channel = model.extensions.channel
        asked_for = f"@{channel}" if channel else model.image_version_id.rsplit("/", 1)[-1]
    return SurveyedSource(
        type=model.type,
        description=source.description,
        asked_for=_LATEST if asked_for.casefold() == _LATEST else asked_for,
        exact_version=source.exact_version,
        os_type=source.os_type,
        generation=source.generation,
        size=source.size,
        cached=source.cached,
        means=source.means,
    )


def _with_skips(steps: Sequence[PlannedStep]) -> tuple[PlannedStep, ...]:
    """The steps, and a line for a stage that has none: what is not done is said as well."""
    if any(step.stage == "Validate" for step in steps):
        return tuple(steps)
    place = next((n for n, step in enumerate(steps) if step.stage == "Distribute"), len(steps))
    nothing = PlannedStep("Validate", 1, "Validate", "", "SKIP", "the template has no validations")
    return (*steps[:place], nothing, *steps[place:])


def _of_the_source(source: ResolvedSource) -> tuple[Change, ...]:
    return () if source.cached else (Change("create", "base", source.description, source.means),)
