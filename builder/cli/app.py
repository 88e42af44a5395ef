"""The `build` command: verbs, `--version`, and the one place where an error becomes an exit code."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Annotated

import typer

from builder.cli.lazy import VerbGroup, examples

PROGRAM = "build"

_EPILOG = examples(
    "build template.json                     build an image",
    "build validate template.json            say what is wrong with it; nothing boots",
    "build doctor                            is this machine ready?",
    "build VERB --help                       options and examples of a verb",
    "build --install-completion              complete verbs and options with the Tab key",
)


def _version(value: bool) -> None:  # noqa: FBT001 - typer's callback signature
    if value:
        from importlib.metadata import version

        typer.echo(f"goldsmith {version('goldsmith')}")
        raise typer.Exit


app = typer.Typer(
    name=PROGRAM,
    cls=VerbGroup,
    epilog=_EPILOG,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    no_args_is_help=True,
    subcommand_metavar="[VERB] [ARGS]...",
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.callback()
def build(
    *,
    version: Annotated[
        bool, typer.Option("--version", help="Show the version.", callback=_version, is_eager=True)
    ] = False,
) -> None:
    """Build golden VM images from an Azure Image Builder template, on this machine.

    "build TEMPLATE..." is short for "build run TEMPLATE...".
    """


def main(argv: Sequence[str] | None = None) -> int:
    """Run `argv` and return the exit code (docs/reference.md); shows every error, raises none."""
    from builder.cli.errors import report

    words = list(sys.argv[1:] if argv is None else argv)
    try:
        result = typer.main.get_command(app).main(words, prog_name=PROGRAM, standalone_mode=False)
        sys.stdout.flush()
    except SystemExit as leaving:  # shell completion, and a reader of our output that went away
        return leaving.code if isinstance(leaving.code, int) else int(leaving.code is not None)
    except BaseException as error:  # this is the last frame: everything ends as a message
        return report(error, words)
    return result if isinstance(result, int) and not isinstance(result, bool) else 0
