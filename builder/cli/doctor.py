"""`build doctor`: is this machine ready, and what to install."""

from __future__ import annotations

import shutil
import sys
import textwrap
from typing import Annotated

import typer

from builder.cli.output import print_json

app = typer.Typer(rich_markup_mode=None, add_completion=False)

_MARKS = {"ok": ("ok", "green"), "warn": ("warn", "yellow"), "fail": ("FAIL", "red")}


@app.command()
def doctor(
    *, json: Annotated[bool, typer.Option("--json", help="Print the checks as JSON.")] = False
) -> None:
    """Check that this machine can build, and say what to install.

    Exit code 0 when everything needed is there (warnings allowed), 3 otherwise.
    """
    from builder.doctor import examine, install_command, verdict
    from builder.settings import Home, load_settings

    home = Home()
    results = examine(home, load_settings(home))
    command = install_command(results)
    code = verdict(results)
    if json:
        checks = [
            {"name": r.name, "status": r.status, "found": r.found, "advice": r.advice, "packages": r.packages}
            for r in results
        ]
        print_json({"ready": code == 0, "checks": checks, "install": command})
        raise typer.Exit(int(code))
    width = max(len(result.name) for result in results)
    for result in results:
        word, colour = _MARKS[result.status]
        advice = [result.advice] if result.advice and result.status != "ok" else []
        lines = [line for text in (result.found, *advice) for line in _wrapped(text, width + 8)]
        typer.echo(f"{typer.style(f'{word:>4}', fg=colour)}  {result.name:<{width}}  {lines[0]}")
        for line in lines[1:]:
            typer.echo(f"{'':{width + 8}}{line}")
    typer.echo()
    if command:
        typer.echo(f"Install what is missing:\n  {command}")
    typer.echo("This machine can build." if code == 0 else "This machine cannot build yet.")
    raise typer.Exit(int(code))


def _wrapped(text: str, indent: int) -> list[str]:
    """`text` in lines that fit beside `indent` columns on a terminal; one line in a pipe."""
    if not sys.stdout.isatty():
        return [text]
    columns = shutil.get_terminal_size().columns
    return textwrap.wrap(text, max(20, columns - indent), break_on_hyphens=False) or [""]
