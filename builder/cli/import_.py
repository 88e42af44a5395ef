"""`build import`: templates of other tools, read as AIB templates."""

from __future__ import annotations

import json as json_module
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from builder.errors import UsageError

if TYPE_CHECKING:
    from templates.packer.notes import Note

app = typer.Typer(
    rich_markup_mode=None,
    add_completion=False,
    no_args_is_help=True,
    help="Make an AIB template of another tool's.",
)

_TITLES = {
    "fill": "To do before the first build:",
    "changed": "Works in another way here:",
    "lost": "Has no counterpart and was left out:",
}


@app.callback()
def import_() -> None:
    """Make an AIB template of another tool's."""  # a callback keeps `packer` a word of its own


@app.command()
def packer(
    file: Annotated[
        Path, typer.Argument(metavar="FILE", help="JSON, .pkr.hcl, or a folder of .pkr.hcl files.")
    ],
    *,
    builder: Annotated[
        str | None, typer.Option("--builder", help="Which builder, when several can be imported.")
    ] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Where the template goes; default: stdout.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace the file of --output.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Template and notes as one JSON object.")] = False,
) -> None:
    """Make an AIB template of a Packer template (builders qemu and azure-arm).

    The template goes to stdout or --output, and a list of everything that has no counterpart, or works
    in another way, to stderr. Variables stay variables: {{ name }}, with their defaults.
    """
    from builder.cli.output import print_json
    from builder.settings import Home, load_settings
    from builder.vm.sizes import smallest_size
    from templates.arm.scope import DeploymentScope
    from templates.packer.convert import import_packer, read_packer

    if output is not None and output.exists() and not force:
        raise UsageError(f"{output} is there already.", hint="--force replaces it.")
    settings = load_settings(Home())
    scope = DeploymentScope(settings.subscription_id, settings.resource_group, settings.location)
    found = import_packer(read_packer(file), builder=builder, scope=scope, size_for=smallest_size)
    text = json_module.dumps(found.template, indent=2, ensure_ascii=False) + "\n"
    if output is not None:
        _write(output, text)
    if json:
        print_json({"template": found.template, "builder": found.builder, "notes": found.notes})
        return
    if output is None:
        typer.echo(text, nl=False)
    for line in _report(file, found.builder, found.notes):
        typer.echo(line, err=True)
    if output is not None:
        typer.echo(f"Wrote {output}. Check it: build validate {output}", err=True)


def _write(path: Path, text: str) -> None:
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise UsageError(f"{path}: cannot be written: {error.strerror}.") from error


def _report(file: Path, builder: str, notes: Iterable[Note]) -> Iterable[str]:
    """The notes as lines: what is to be done first; what needs no counterpart only by name."""
    notes = list(notes)
    yield f"{file}: the builder '{builder}' as an AIB template"
    for kind, title in _TITLES.items():
        some = [note for note in notes if note.kind == kind]
        if some:
            yield ""
            yield title
        for note in some:
            yield f"  {note.what}  ({note.where})"
            yield f"      why:  {note.why}"
            yield f"      do:   {note.advice}"
            if note.suggestion is not None:
                yield from _indented(note.suggestion)
    implied = list(dict.fromkeys(note.what for note in notes if note.kind == "implied"))
    if implied:
        yield ""
        yield f"Needs no counterpart: {', '.join(implied)}"


def _indented(value: Any) -> Iterable[str]:  # noqa: ANN401 - any JSON
    return (" " * 12 + line for line in json_module.dumps(value, indent=2, ensure_ascii=False).splitlines())
