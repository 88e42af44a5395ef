"""`build run` (and plain `build TEMPLATE`): build every template named."""

from __future__ import annotations

from contextlib import ExitStack, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from builder.errors import ExitCode, UsageError
from builder.settings import Home, load_settings

if TYPE_CHECKING:
    from builder.engine import BuildResult
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
    documents = read_documents(
        templates, home=home, var=var or [], var_file=var_file or [], parameters=parameters, strict=strict
    )
    results = []
    for document in documents:
        if not document.templates:
            raise UsageError(f"{document.file}: no image template in it.")
        for template in document.templates:
            faces = Faces(events=events, plain=plain, quiet=quiet)
            result = _build_one(home, document, template, faces, output_dir, on_error, wait=wait)
            results.append(result)
            if result.exit_code == ExitCode.CANCELLED:
                raise typer.Exit(int(ExitCode.CANCELLED))
    worst = next((r.exit_code for r in results if r.exit_code != ExitCode.OK), ExitCode.OK)
    if worst != ExitCode.OK:
        raise typer.Exit(int(worst))


class Faces:
    """How a run is shown."""

    def __init__(self, *, events: str | None, plain: bool, quiet: bool) -> None:
        self.events = events
        self.plain = plain
        self.quiet = quiet


def _build_one(
    home: Home,
    document: Document,
    template: ImageTemplate,
    faces: Faces,
    output_dir: Path,
    on_error: str | None,
    *,
    wait: bool,
) -> BuildResult:
    from builder.deadline import Deadline
    from builder.engine import BuildOptions, build
    from builder.events import EventBus
    from builder.redact import Redactor
    from builder.runs import RecordSink, RunDirectory
    from builder.services import Services
    from builder.ui.choose import open_sinks
    from builder.ui.report import write_report

    redactor = Redactor()
    hide_parameters(document, redactor)
    run = RunDirectory.create(home, template=template, document=document)
    bus = EventBus(redactor)
    services = Services(
        home=home,
        settings=load_settings(home),
        bus=bus,
        redactor=redactor,
        deadline=Deadline(template.properties.build_timeout_minutes * 60),
        base_dir=Path(document.file).absolute().parent,
        output_dir=output_dir.absolute(),
    )
    with ExitStack() as stack:
        record = stack.enter_context(RecordSink(run))
        bus.add_sink(record)
        for sink in stack.enter_context(
            open_sinks(events=faces.events, plain=faces.plain, quiet=faces.quiet)
        ):
            bus.add_sink(sink)
        for diagnostic in document.diagnostics:
            bus.warn(f"{diagnostic.location}: {diagnostic.message}", code=diagnostic.code)
        result = build(document, template, services, run, BuildOptions(on_error, wait))  # type: ignore[arg-type]
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
