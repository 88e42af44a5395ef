"""`build run` (and plain `build TEMPLATE`): build every template named."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from builder.errors import ExitCode, UsageError
from builder.settings import Home, Settings, load_settings

if TYPE_CHECKING:
    from builder.engine import BuildOptions, BuildResult
    from builder.redact import Redactor
    from templates import Document
    from templates.model import ImageTemplate

EPILOG = """
Examples:

  build template.json --output-dir out

  build template.json --var region=westeurope --var-file prod.json

  build template.json --on-error ask

  build template.json --events events.jsonl --plain
"""


def run(
    templates: Annotated[
        list[Path], typer.Argument(help="AIB template files: bare resources or ARM deployments")
    ],
    var: Annotated[list[str] | None, typer.Option("--var", help="K=V for {{ K }} in string values")] = None,
    var_file: Annotated[list[Path] | None, typer.Option(help="JSON file of variables; --var wins")] = None,
    parameters: Annotated[Path | None, typer.Option(help="ARM parameter file")] = None,
    *,
    strict: Annotated[
        bool,
        typer.Option("--strict/--lenient", help="judge as Azure does, or accept what real templates contain"),
    ] = False,
    on_error: Annotated[
        str | None, typer.Option(help="cleanup, keep or ask; default: the template's errorHandling")
    ] = None,
    wait: Annotated[bool, typer.Option("--wait", help="wait while the same template is being built")] = False,
    output_dir: Annotated[Path, typer.Option(help="where a VHD without uri goes")] = Path(),
    events: Annotated[str | None, typer.Option(help="JSON lines to a file, or - for stdout")] = None,
    plain: Annotated[bool, typer.Option("--plain", help="lines instead of a live display")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="only errors and artifacts")] = False,
) -> None:
    """Build golden images: source, customize, generalize, validate, distribute."""
    from builder.cli.reading import read_documents

    if on_error not in (None, "cleanup", "keep", "ask"):
        raise UsageError(f"--on-error {on_error}: choose cleanup, keep or ask.")
    home = Home()
    home.ensure()
    documents = read_documents(
        templates, home=home, var=var or [], var_file=var_file or [], parameters=parameters, strict=strict
    )
    jobs = jobs_of(documents)
    from builder.engine import BuildOptions

    options = BuildOptions(on_error, wait)  # type: ignore[arg-type]
    settings = load_settings(home)
    worst = ExitCode.OK
    for job in jobs:
        faces = Faces(events=events, plain=plain, quiet=quiet)
        result = _build_one(home, settings, job, faces, output_dir, options)
        if result.exit_code == ExitCode.CANCELLED:
            raise typer.Exit(int(ExitCode.CANCELLED))
        worst = worst or result.exit_code
    if worst != ExitCode.OK:
        raise typer.Exit(int(worst))


@dataclass(frozen=True, slots=True)
class Job:
    """One template to build, and what must not be seen of it."""

    document: Document
    template: ImageTemplate
    redactor: Redactor


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
        jobs += [Job(document, template, redactor) for template in document.templates]
    return jobs


class Faces:
    """How a run is shown."""

    def __init__(self, *, events: str | None, plain: bool, quiet: bool) -> None:
        self.events = events
        self.plain = plain
        self.quiet = quiet


def _build_one(
    home: Home, settings: Settings, job: Job, faces: Faces, output_dir: Path, options: BuildOptions
) -> BuildResult:
    from builder.deadline import Deadline
    from builder.engine import build
    from builder.events import EventBus
    from builder.runs import RecordSink, RunDirectory
    from builder.services import Services
    from builder.ui.choose import open_sinks
    from builder.ui.report import write_report

    document, template = job.document, job.template
    bus = EventBus(job.redactor)
    with ExitStack() as stack:
        # Before there is a run: a file that cannot be written is no failed build.
        sinks = stack.enter_context(open_sinks(events=faces.events, plain=faces.plain, quiet=faces.quiet))
        try:
            run = RunDirectory.create(home, template=template, document=document)
            record = stack.enter_context(RecordSink(run))
        except OSError as error:
            raise home.unusable(error) from error
        bus.add_sink(record)
        for sink in sinks:
            bus.add_sink(sink)
        services = Services(
            home=home,
            settings=settings,
            bus=bus,
            redactor=job.redactor,
            deadline=Deadline(template.properties.build_timeout_minutes * 60),
            base_dir=Path(document.file).absolute().parent,
            output_dir=output_dir.absolute(),
            run_id=run.run_id,
        )
        for diagnostic in document.diagnostics:
            bus.warn(f"{diagnostic.location}: {diagnostic.message}", code=diagnostic.code)
        result = build(document, template, services, run, options)
        if record.problem is not None:
            bus.warn(f"The run's record in {run.path} is incomplete: {record.problem}", code="Record")
    with suppress(OSError):  # a full disk does not undo a build
        write_report(run.path)
    return result


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
