"""One template to build, and building it in this process with a record of its own."""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from builder.errors import ExitCode, PreflightError, UsageError

if TYPE_CHECKING:
    from builder.engine import BuildOptions, BuildResult
    from builder.events import Sink
    from builder.redact import Redactor
    from builder.services import Services
    from builder.settings import Home, Settings
    from templates import Document
    from templates.model import ImageTemplate

# Of several builds the worst is the exit code of the command: who cancelled wants to know that first, and
# an image that is there in part is better than none.
_FROM_BAD_TO_GOOD = (
    ExitCode.CANCELLED,
    ExitCode.BUILD_FAILED,
    ExitCode.TIMED_OUT,
    ExitCode.ENVIRONMENT,
    ExitCode.BAD_TEMPLATE,
    ExitCode.PARTIALLY_DISTRIBUTED,
    ExitCode.OK,
)


@dataclass(frozen=True, slots=True)
class Job:
    """One template to build, and what must not be seen of it. `place` counts those of its file from 0."""

    document: Document
    template: ImageTemplate
    redactor: Redactor
    place: int = 0


def jobs_of(documents: Sequence[Document]) -> list[Job]:
    """All builds asked for. What can be wrong with any is said before the first begins: UsageError."""
    from builder.redact import Redactor, guard

    jobs: list[Job] = []
    for document in documents:
        redactor = Redactor()
        guard(redactor)
        hide_parameters(document, redactor)
        if not document.templates:
            raise UsageError(f"{document.file}: no image template in it.")
        for template in document.templates:
            hide_tokens(template, redactor)
        jobs += [
            Job(document, template, redactor, place) for place, template in enumerate(document.templates)
        ]
    return jobs


def check_places(jobs: Sequence[Job], output_dir: Path) -> None:
    """Raises UsageError when two templates would put a VHD in the same place: the second would replace the
    first. Two targets of one template are that template's problem.
    """
    from builder.blob.address import BlobAddress, is_blob_address
    from builder.distributors.vhd import place_of
    from templates.model.distribute import VhdDistributor

    taken: dict[str, Job] = {}
    for job in jobs:
        base = Path(job.document.file).absolute().parent
        for model in job.template.properties.distribute:
            if not isinstance(model, VhdDistributor):
                continue
            with suppress(PreflightError):  # a place that is none is said by the template's own checks
                if is_blob_address(model.uri):
                    place = BlobAddress.parse(model.uri, f"{model.run_output_name}.vhd", insecure=True).uri
                else:
                    place = os.path.realpath(place_of(model, base, output_dir))
                other = taken.setdefault(place, job)
                if other is not job:
                    raise UsageError(
                        f"'{other.template.name}' and '{job.template.name}' would both write {place}.",
                        hint="Give one of them another runOutputName or 'uri', or build them with "
                        "different --output-dir.",
                    )


def build_job(
    home: Home,
    settings: Settings,
    job: Job,
    sinks: Sequence[Sink],
    output_dir: Path,
    options: BuildOptions,
    run_id: str | None = None,
) -> BuildResult:
    """Build one template; it is recorded (as `run_id`), and `sinks` see it. Raises EnvironmentProblem when
    the home cannot be used; how the build itself ends is its result.
    """
    from builder.engine import build
    from builder.events import PhaseFinished
    from builder.phase_table import START_UP, startup_seconds
    from builder.runs import RecordSink, RunDirectory
    from builder.ui.report import write_report

    document, template = job.document, job.template
    begun = startup_seconds()
    with ExitStack() as stack:
        try:
            run = RunDirectory.create(home, template=template, document=document, run_id=run_id)
            record = stack.enter_context(RecordSink(run))
        except OSError as error:
            raise home.unusable(error) from error
        services = services_of(home, settings, job, output_dir, run_id=run.run_id, options=options)
        bus = services.bus
        bus.add_sink(record)
        for sink in sinks:
            bus.add_sink(sink)
        bus.emit(PhaseFinished(name=START_UP, seconds=round(begun, 3), where="engine", stage=""))
        for diagnostic in document.diagnostics:
            bus.warn(f"{diagnostic.location}: {diagnostic.message}", code=diagnostic.code)
        result = build(document, template, services, run, options)
        if record.problem is not None:
            bus.warn(f"The run's record in {run.path} is incomplete: {record.problem}", code="Record")
    with suppress(OSError):  # a full disk does not undo a build
        write_report(run.path)
    return result


def services_of(
    home: Home,
    settings: Settings,
    job: Job,
    output_dir: Path | None = None,
    *,
    run_id: str = "",
    read_only: bool = False,
    options: BuildOptions | None = None,
) -> Services:
    """What building `job` needs, or asking what that would do: its folder, its secrets, its time limit, which
    begins now. `output_dir`: by default the current folder.
    """
    from builder.deadline import Deadline
    from builder.services import Services

    services = Services.of(
        home,
        settings,
        Deadline(job.template.properties.build_timeout_minutes * 60),
        redactor=job.redactor,
        base_dir=Path(job.document.file).absolute().parent,
        output_dir=output_dir,
        run_id=run_id,
        read_only=read_only,
        keep_unfinished=options is not None and options.on_error == "keep",
    )
    return services if options is None else replace(services, wait_for_replicas=options.wait_for_replicas)


def worst(codes: Sequence[ExitCode]) -> ExitCode:
    """The exit code that stands for all of `codes`."""
    return min(codes, key=_FROM_BAD_TO_GOOD.index, default=ExitCode.OK)


def hide_tokens(template: ImageTemplate, redactor: Redactor) -> None:
    """Hide the SAS tokens in the addresses of VHDs, also where nothing is built."""
    from builder.blob.address import signatures

    for model in template.properties.distribute:
        for secret in signatures(str(getattr(model, "uri", "") or "")):
            redactor.add(secret)


def hide_parameters(document: Document, redactor: Redactor) -> None:
    """Hide the values of secure parameters. Raises UsageError for one too short to be hidden."""
    for secret in document.secrets:
        try:
            redactor.add(secret)
        except ValueError as error:
            raise UsageError(
                f"{document.file}: a secure parameter is empty or too short to be hidden: {error}.",
                hint="Use a longer value, or make the parameter a plain string.",
            ) from None
