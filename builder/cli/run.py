"""`build run` (and plain `build TEMPLATE`): build every template named."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from builder.errors import ExitCode, UsageError
from builder.settings import Home, Settings, load_settings

if TYPE_CHECKING:
    from builder.engine import BuildOptions
    from builder.jobs import Job

EPILOG = """
Examples:

  build template.json --output-dir out

  build template.json --var region=westeurope --var-file prod.json

  build template.json --from "install nginx"

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
    no_cache: Annotated[
        bool, typer.Option("--no-cache", help="ignore what is cached; what is made is stored")
    ] = False,
    from_step: Annotated[
        str | None,
        typer.Option("--from", metavar="STEP", help="run again from this customizer on, a number or a name"),
    ] = None,
    wait: Annotated[bool, typer.Option("--wait", help="wait while the same template is being built")] = False,
    output_dir: Annotated[Path, typer.Option(help="where a VHD without uri goes")] = Path(),
    events: Annotated[str | None, typer.Option(help="JSON lines to a file, or - for stdout")] = None,
    plain: Annotated[bool, typer.Option("--plain", help="lines instead of a live display")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="only errors and artifacts")] = False,
) -> None:
    """Build golden images: source, customize, generalize, validate, distribute."""
    from builder.cli.reading import read_documents
    from builder.jobs import jobs_of

    if on_error not in (None, "cleanup", "keep", "ask"):
        raise UsageError(f"--on-error {on_error}: choose cleanup, keep or ask.")
    if no_cache and from_step is not None:
        raise UsageError(
            "--no-cache and --from exclude each other.",
            hint="--from takes what is before the step from the cache; --no-cache takes nothing from it.",
        )
    home = Home()
    home.ensure()
    documents = read_documents(
        templates, home=home, var=var or [], var_file=var_file or [], parameters=parameters, strict=strict
    )
    jobs = jobs_of(documents)
    check_from(jobs, from_step)
    from builder.engine import BuildOptions

    options = BuildOptions(on_error, wait, no_cache, from_step)  # type: ignore[arg-type]
    settings = load_settings(home)
    faces = Faces(events=events, plain=plain, quiet=quiet)
    code = _one_after_the_other(home, settings, jobs, faces, output_dir, options)
    if code != ExitCode.OK:
        raise typer.Exit(int(code))


def check_from(jobs: Sequence[Job], step: str | None) -> None:
    """Raises UsageError, which lists the customizers, when a template has none of that number or name."""
    if step is None:
        return
    from builder.routing import step_number

    for job in jobs:
        step_number(job.template, step)


class Faces:
    """How a run is shown."""

    def __init__(self, *, events: str | None, plain: bool, quiet: bool) -> None:
        self.events = events
        self.plain = plain
        self.quiet = quiet


def _one_after_the_other(
    home: Home,
    settings: Settings,
    jobs: Sequence[Job],
    faces: Faces,
    output_dir: Path,
    options: BuildOptions,
) -> ExitCode:
    from builder.jobs import build_job, worst
    from builder.ui.choose import open_sinks

    codes: list[ExitCode] = []
    for job in jobs:
        # Before there is a run: a file that cannot be written is no failed build.
        with open_sinks(events=faces.events, plain=faces.plain, quiet=faces.quiet) as sinks:
            codes.append(build_job(home, settings, job, sinks, output_dir, options).exit_code)
        if codes[-1] == ExitCode.CANCELLED:
            break
    return worst(codes)
