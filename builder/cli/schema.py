"""`build schema`: the JSON Schema of templates, for editors."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from builder.cli.output import write_text

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

    write_text(schema_text(), output)
