"""`build gallery deploy`: the galleries and image definitions of a file, without a build."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from builder.cli.images import Json
from builder.cli.output import print_json


def deploy(
    file: Annotated[
        Path, typer.Argument(help="An ARM deployment, with image templates or without; - is stdin")
    ],
    var: Annotated[list[str] | None, typer.Option("--var", help="K=V of a variable or parameter")] = None,
    var_file: Annotated[list[Path] | None, typer.Option(help="JSON file of variables; --var wins")] = None,
    parameters: Annotated[Path | None, typer.Option(help="ARM parameter file")] = None,
    *,
    strict: Annotated[bool, typer.Option("--strict/--lenient", help="judge as Azure does")] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would happen; change nothing.")
    ] = False,
    json: Json = False,
) -> None:
    """Make or update the galleries and image definitions that a file declares; nothing is built.

    A second time everything is unchanged. A file with a mistake changes nothing.
    """
    import templates
    from builder.as_json import to_json
    from builder.cli.reading import Reading, named
    from builder.deploy import deploy as deploy_
    from builder.errors import UsageError
    from builder.registry.store import Registry
    from builder.settings import Home

    home = Home()
    reading = Reading.of(home, var or [], var_file or [], parameters, strict=strict)
    document = templates.read(
        named(file),
        variables=reading.variables,
        parameters=reading.parameters,
        strict=strict,
        defaults=reading.scope,
        buildable=False,
    )
    if not document.galleries and not document.definitions:
        raise UsageError(
            f"{file} declares no gallery and no image definition.",
            hint="They are resources of the types Microsoft.Compute/galleries and .../galleries/images.",
        )
    trial = Registry.of(home, reading.settings, snapshot=True)
    done = deploy_(document, trial)
    trial.close()
    if not dry_run:
        done = deploy_(document, Registry.of(home, reading.settings))
    if json:
        print_json({"dryRun": dry_run, "resources": to_json(done)})
        return
    for one in done:
        would = "would be " if dry_run and one.outcome != "unchanged" else ""
        typer.echo(f"{would}{one.outcome}  {one.id}")
