"""`build plan`: what a build would do, step by step and with reasons; nothing is changed."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from builder.cli.offline import Offline, heed
from builder.settings import Home, load_settings

if TYPE_CHECKING:
    from builder.jobs import Job
    from builder.survey import Survey

EPILOG = """
Examples:

  build plan template.json

  build plan template.json --var version=1.4 --output-dir out --json
"""


def plan(
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
    output_dir: Annotated[Path, typer.Option(help="where a VHD without uri would go")] = Path(),
    offline: Offline = False,
    as_json: Annotated[bool, typer.Option("--json", help="machine-readable")] = False,
) -> None:
    """Show what a build would do now: every step with its reason, what it makes, replaces and deletes.

    Scripts are fetched and targets checked as for a build, but nothing is made, reserved or booted.
    """
    from builder.cli.reading import read_documents
    from builder.jobs import jobs_of, services_of
    from builder.submit import survey
    from templates.diagnostics import Diagnostic, TemplateError

    heed(offline)
    home = Home()
    home.check()
    documents = read_documents(
        templates, home=home, var=var or [], var_file=var_file or [], parameters=parameters, strict=strict
    )
    settings = load_settings(home)
    surveys: list[tuple[Job, Survey]] = []
    problems: list[Diagnostic] = []
    for job in jobs_of(documents):
        try:
            services = services_of(home, settings, job, output_dir)
            surveys.append((job, survey(job.document, job.template, services)))
        except TemplateError as error:
            problems += error.diagnostics
    if problems:
        raise TemplateError(problems)
    _show(surveys, as_json=as_json)


def _show(surveys: list[tuple[Job, Survey]], *, as_json: bool) -> None:
    from builder.as_json import to_json
    from builder.cli.output import print_json
    from builder.ui.choose import wants_colour
    from builder.ui.plan import survey_lines

    if as_json:
        found = [job.redactor.scrub_json(to_json(survey)) for job, survey in surveys]
        print_json(found[0] if len(found) == 1 else found)
        return
    colour = wants_colour(sys.stdout)
    for number, (job, survey) in enumerate(surveys):
        if number:
            typer.echo()
        for line in survey_lines(survey, colour=colour):
            typer.echo(job.redactor.scrub(line), color=colour)
