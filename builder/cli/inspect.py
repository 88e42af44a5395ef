"""`build inspect`: the template as it counts, expressions evaluated and variables filled in."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from builder.settings import Home

if TYPE_CHECKING:
    from builder.jobs import Job

EPILOG = """
Examples:

  build inspect deployment.json --parameters deployment.parameters.json

  build inspect template.json --var version=1.4 --defaults --json
"""


def inspect(
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
    defaults: Annotated[
        bool, typer.Option("--defaults", help="with the defaults of what the template leaves out")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="machine-readable")] = False,
) -> None:
    """Show the effective template: what a build would go by. Values of secure parameters are ****."""
    from builder.cli.output import print_json
    from builder.cli.reading import read_documents
    from builder.jobs import jobs_of
    from templates.effective import effective

    home = Home()
    home.check()
    documents = read_documents(
        templates, home=home, var=var or [], var_file=var_file or [], parameters=parameters, strict=strict
    )
    jobs = jobs_of(documents)
    found = [
        job.redactor.scrub_json(effective(job.document, job.template, defaults=defaults)) for job in jobs
    ]
    if as_json:
        print_json(found[0] if len(found) == 1 else found)
        return
    for number, (job, data) in enumerate(zip(jobs, found, strict=True)):
        if number:
            typer.echo()
        typer.echo(job.redactor.scrub(_head(job)))
        print_json(data)


def _head(job: Job) -> str:
    from builder.ui.text import clean

    template = job.template
    properties = template.properties
    facts = (
        f"API version {template.api_version}",
        _number(len(properties.customize), "customizer"),
        _number(len(properties.distribute), "target"),
    )
    return clean(f"{template.name} ({job.document.file}): {', '.join(facts)}")


def _number(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"
