"""`build schema`: the JSON Schema of templates, for editors."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from builder.errors import UsageError

EPILOG = """
Examples:

  build schema > template.schema.json

  build schema --output .vscode/template.schema.json
"""


def schema(
    *, output: Annotated[Path | None, typer.Option(help="the file to write; default: stdout")] = None
) -> None:
    """Print the JSON Schema (2020-12) of image templates and of deployments that hold them."""
    from templates.schema import schema_text

    text = schema_text()
    if output is None:
        typer.echo(text, nl=False)
        return
    try:
        output.write_text(text, encoding="utf-8")
    except OSError as error:
        raise UsageError(
            f"--output {output}: {error.strerror}.", hint="Name a file in a folder that exists."
        ) from error
