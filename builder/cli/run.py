"""`build run` (and plain `build TEMPLATE`): build every template named."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from builder.cli.offline import Offline, heed
from builder.errors import ExitCode, UsageError
from builder.settings import Home

if TYPE_CHECKING:
    from builder.cli.reading import Reading
    from builder.engine import BuildOptions
    from builder.jobs import Job
    from builder.settings import Settings
    from builder.ui.ci.reports import Reports
    from builder.ui.ci.service import Service

EPILOG = """
Examples:

  build template.json --output-dir out

  build template.json --var region=westeurope --var-file prod.json

  build template.json --from "install nginx"

  build template.json --offline

  build web.json db.json --jobs 2

  build template.json --on-error ask

  build template.json --events events.jsonl --plain

  build template.json --summary summary.md --outputs out.env --junit validators.xml
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
    offline: Offline = False,
    jobs: Annotated[
        int, typer.Option("--jobs", min=1, help="build so many templates at once, as far as this host can")
    ] = 1,
    wait: Annotated[bool, typer.Option("--wait", help="wait while the same template is being built")] = False,
    no_wait: Annotated[
        bool, typer.Option("--no-wait", help="end when a version is in its own region; the others follow")
    ] = False,
    output_dir: Annotated[Path, typer.Option(help="where a VHD without uri goes")] = Path(),
    events: Annotated[str | None, typer.Option(help="JSON lines to a file, or - for stdout")] = None,
    plain: Annotated[bool, typer.Option("--plain", help="lines instead of a live display")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="only errors and artifacts")] = False,
    ci: Annotated[
        str, typer.Option("--ci", help="groups and annotations for github, azure or gitlab; auto, none")
    ] = "auto",
    summary: Annotated[Path | None, typer.Option(help="a summary in Markdown")] = None,
    outputs: Annotated[Path | None, typer.Option(help="key=value lines of what was made")] = None,
    junit: Annotated[Path | None, typer.Option(help="the validators as JUnit XML")] = None,
) -> None:
    """Build golden images: source, customize, generalize, validate, distribute."""
    from builder.cli.reading import Reading
    from builder.jobs import check_places, jobs_of
    from builder.ui.ci.reports import Reports, Wanted
    from builder.ui.ci.service import CHOICES, chosen

    if ci not in CHOICES:
        raise UsageError(f"--ci {ci}: choose {', '.join(CHOICES[:-1])} or {CHOICES[-1]}.")
    if on_error not in (None, "cleanup", "keep", "ask"):
        raise UsageError(f"--on-error {on_error}: choose cleanup, keep or ask.")
    if no_cache and from_step is not None:
        raise UsageError(
            "--no-cache and --from exclude each other.",
            hint="--from takes what is before the step from the cache; --no-cache takes nothing from it.",
        )
    heed(offline)
    home = Home()
    home.ensure()
    reading = Reading.of(home, var or [], var_file or [], parameters, strict=strict)
    asked = jobs_of([reading.read(file) for file in templates])
    check_from(asked, from_step)
    check_places(asked, output_dir)
    several = jobs > 1 and len(asked) > 1
    if several and on_error == "ask":
        raise UsageError(
            "--on-error ask needs the terminal for one build at a time.",
            hint="Leave --jobs out, or say keep.",
        )
    from builder.engine import BuildOptions

    options = BuildOptions(on_error, wait, no_cache, from_step, not no_wait)  # type: ignore[arg-type]
    wanted = Wanted(summary, outputs, junit)
    wanted.check()
    service = chosen(ci)
    # Both streams are a service's log; with events on stdout nothing else may be there.
    log = sys.stderr if events == "-" else sys.stdout
    with Reports(wanted, service, stream=log) as reports:
        faces = Faces(events=events, plain=plain, quiet=quiet, service=service, reports=reports)
        if several:
            code = _at_once(reading, asked, faces, output_dir, options, jobs)
        else:
            code = _one_after_the_other(home, reading.settings, asked, faces, output_dir, options)
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

    def __init__(
        self, *, events: str | None, plain: bool, quiet: bool, service: Service | None, reports: Reports
    ) -> None:
        self.events = events
        self.plain = plain
        self.quiet = quiet
        self.service = service
        self.reports = reports


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
        with open_sinks(
            events=faces.events, plain=faces.plain, quiet=faces.quiet, service=faces.service
        ) as sinks:
            sinks.append(faces.reports.sink())
            codes.append(build_job(home, settings, job, sinks, output_dir, options).exit_code)
        if codes[-1] == ExitCode.CANCELLED:
            break
    return worst(codes)


def _at_once(
    reading: Reading, jobs: Sequence[Job], faces: Faces, output_dir: Path, options: BuildOptions, wanted: int
) -> ExitCode:
    from builder.jobs import worst
    from builder.together.capacity import capacity, sizes_of
    from builder.together.crew import Crew, builds_of
    from builder.ui.together import open_together

    settings = reading.settings
    room = capacity(wanted, sizes_of([job.template for job in jobs], settings))
    with open_together(
        total=len(jobs),
        events=faces.events,
        plain=faces.plain,
        quiet=faces.quiet,
        more=lambda _: faces.reports.sink(),
    ) as together:
        if room.reason:
            together.say(f"--jobs {wanted} is cut to {room.at_once}: {room.reason}.")
        crew = Crew(
            builds_of(reading, jobs, output_dir, options),
            room.at_once,
            together,
            stop_seconds=settings.cleanup_timeout,
        )
        return worst(crew.run())
