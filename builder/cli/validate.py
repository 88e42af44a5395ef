"""`build validate`: read and check templates without building anything."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from builder.settings import Home

EPILOG = """
Examples:

  build validate template.json

  build validate template.json --strict --json
"""


def validate(
    templates: Annotated[list[Path], typer.Argument(help="AIB template files")],
    var: Annotated[list[str] | None, typer.Option("--var", help="K=V for {{ K }} in string values")] = None,
    var_file: Annotated[list[Path] | None, typer.Option(help="JSON file of variables; --var wins")] = None,
    parameters: Annotated[Path | None, typer.Option(help="ARM parameter file")] = None,
    *,
    strict: Annotated[
        bool,
        typer.Option("--strict/--lenient", help="judge as Azure does, or accept what real templates contain"),
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="machine-readable")] = False,
) -> None:
    """Check templates: syntax, fields, ids, expressions. Boots and downloads nothing."""
    from builder.cli.output import print_json
    from builder.cli.reading import read_documents
    from templates.diagnostics import Diagnostic, TemplateError
    from templates.render import format_diagnostic

    found: list[tuple[Path, Diagnostic]] = []
    failed = False
    for file in templates:
        try:
            (document,) = read_documents(
                [file],
                home=Home(),
                var=var or [],
                var_file=var_file or [],
                parameters=parameters,
                strict=strict,
            )
            found += [(file, item) for item in document.diagnostics]
        except TemplateError as error:
            failed = True
            found += [(file, item) for item in error.diagnostics]
    if as_json:
        print_json([{"file": str(file), **asdict(item)} for file, item in found])
    else:
        for file, item in found:
            text = file.read_text(errors="replace") if file.exists() else ""
            typer.echo(format_diagnostic(item, text))
        errors = sum(item.severity == "error" for _, item in found)
        typer.echo(f"{len(templates)} file(s): {errors} error(s), {len(found) - errors} warning(s)")
    if failed:
        raise typer.Exit(2)
