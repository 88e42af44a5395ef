"""`build marketplace add|remove|update|catalogues|provide|schema`: catalogues of a team, and of one's own."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from builder.cli.lazy import examples
from builder.cli.output import human_size, print_json, print_table
from builder.errors import UsageError

if TYPE_CHECKING:
    from builder.sources.catalogue.shelf import Added

Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
_DOWNLOAD_SECONDS = 300.0
_LISTED = 8


def register(app: typer.Typer) -> None:
    """Put the verbs into the group."""
    app.command(
        epilog=examples(
            "build marketplace add team.json",
            "build marketplace add https://images.example.com/catalogue.json --name team",
            "build marketplace add https://images.example.com/catalogue.json --sha256 9f86d081884c7d65...",
        )
    )(add)
    app.command(
        epilog=examples(
            "build marketplace update",
            "build marketplace update team --json",
        )
    )(update)
    app.command(epilog=examples("build marketplace remove team"))(remove)
    app.command(epilog=examples("build marketplace catalogues", "build marketplace catalogues --json"))(
        catalogues
    )
    app.command(
        epilog=examples(
            "build marketplace provide RedHat:RHEL:8-gen2 rhel-8.10-x86_64-kvm.qcow2",
            "build marketplace provide MicrosoftWindowsServer:WindowsServer:2022-datacenter 2022.vhd",
            "build marketplace provide RedHat:RHEL:9-lvm:9.4.0 disk.img --format raw",
        )
    )(provide)
    app.command(epilog=examples("build marketplace schema --output catalogue.schema.json"))(schema)


def _complete_names(incomplete: str) -> list[str]:
    """The names of team catalogues, for the shell."""
    from builder.settings import Home
    from builder.sources.catalogue.shelf import Shelf

    return [name for name in Shelf(Home()).names if name.startswith(incomplete)]


def add(
    source: Annotated[str, typer.Argument(help="An http(s) address, or a file.", metavar="URL|FILE")],
    *,
    name: Annotated[str, typer.Option(help="What to call it; default: the file's name.")] = "",
    sha256: Annotated[
        str, typer.Option(help="Take it only if it is this one, now and at every update.", metavar="HEX")
    ] = "",
    json: Json = False,
) -> None:
    """Add a team's catalogue.

    It lies over the built-in one, and your own catalogue.json over it.
    """
    if sha256 and (len(sha256) != 64 or set(sha256.lower()) - set("0123456789abcdef")):
        raise UsageError(f"--sha256 {sha256}: that is not a SHA-256, 64 hexadecimal digits.")
    from builder.download.errors import public_url

    _, shelf, deadline = _open()
    if "://" in source:  # it may be tried for a minute
        typer.echo(f"Fetching {public_url(source)} ...", err=True)
    added = shelf.add(source, name, sha256, deadline)
    if json:
        print_json(added)
        return
    typer.echo(f"Added '{added.name}': {_counted(added.images, 'image')}.")
    _say_replaced(added)


def update(
    names: Annotated[
        list[str] | None,
        typer.Argument(help="Which; default: all of them.", autocompletion=_complete_names),
    ] = None,
    *,
    json: Json = False,
) -> None:
    """Fetch team catalogues anew.

    One that cannot be had, or is broken now, stays as it was; the others are fetched all the same.
    """
    from builder.cli.errors import write_error
    from builder.deadline import Deadline
    from builder.errors import GoldsmithError

    _, shelf, _ = _open()
    done: list[Added] = []
    failed: list[GoldsmithError] = []
    for name in names or shelf.names:
        typer.echo(f"Fetching {name} ...", err=True)
        try:
            (added,) = shelf.update([name], Deadline(_DOWNLOAD_SECONDS))
        except GoldsmithError as error:
            failed.append(error)
            continue
        done.append(added)
        if not json:
            state = "changed" if added.changed else "unchanged"
            typer.echo(f"{added.name}: {state}, {_counted(added.images, 'image')}.")
            if added.changed:
                _say_replaced(added)
    if failed:
        for told in failed[:-1]:
            write_error(told)
        raise failed[-1]
    if json:
        print_json(done)
    elif not done:
        typer.echo("There are no team catalogues; 'build marketplace add' adds one.")


def remove(
    name: Annotated[str, typer.Argument(help="Which.", autocompletion=_complete_names)],
) -> None:
    """Forget a team's catalogue.

    Disks made by it stay in the cache.
    """
    _, shelf, _ = _open()
    shelf.remove(name)
    typer.echo(f"Removed '{name}'.")


def catalogues(*, json: Json = False) -> None:
    """List the catalogues, the one that wins last.

    Also those that cannot be read, and why.
    """
    from builder.errors import GoldsmithError
    from builder.sources.catalogue.load import OWN, own_file, read_built_in, read_file
    from builder.sources.catalogue.words import BUILT_IN

    home, shelf, _ = _open()
    rows = [_row(BUILT_IN, "Goldsmith", read_built_in())]
    for team in shelf.all():
        origin = team.origin
        rows.append(
            {
                "name": team.name,
                "from": origin.shown if origin else "",
                "fetched": origin.fetched if origin else "",
                "pinned": bool(origin and origin.pinned),
                "images": team.images,
                "versions": team.versions,
                "problem": team.problem,
            }
        )
    own = own_file(home)
    if own.exists():
        try:
            rows.append(_row(OWN, str(own), read_file(own, anchor=own.parent)))
        except GoldsmithError as error:
            rows.append({**_row(OWN, str(own), ()), "problem": " ".join((error.message, *error.details[:1]))})
    if json:
        print_json(rows)
        return
    print_table(
        ("Catalogue", "From", "Fetched", "Images", "Problem"),
        [(row["name"], row["from"], row["fetched"], row["images"], row["problem"]) for row in rows],
    )


def provide(
    urn: Annotated[str, typer.Argument(help="publisher:offer:sku, with :version if it is another one.")],
    file: Annotated[Path, typer.Argument(help="The disk. It stays where it is.")],
    *,
    format: Annotated[
        str | None, typer.Option(help="raw, qcow2, vhd, vhdx or vmdk; default: its content decides.")
    ] = None,
    json: Json = False,
) -> None:
    """Bring the disk of an image that nobody else may hand out: RHEL, Windows."""
    from builder.settings import Home
    from builder.sources.catalogue.provide import provide as note

    home = Home()
    home.ensure()
    typer.echo(f"Reading {file} ...", err=True)
    provided = note(home, urn, file, format)
    if json:
        print_json(provided)
        return
    typer.echo(f"{provided.urn} is {provided.path} ({provided.format}, {human_size(provided.size)}).")
    typer.echo(f"sha256 {provided.sha256}, noted in {provided.catalogue}")


def schema(
    *, output: Annotated[Path | None, typer.Option(help="The file to write; default: stdout.")] = None
) -> None:
    """Print the JSON Schema of catalogue files (2020-12)."""
    from builder.cli.output import write_text
    from builder.sources.catalogue.schema import schema_text

    write_text(schema_text(), output)


def _open() -> tuple[Any, Any, Any]:
    """Home, shelf and deadline."""
    from builder.deadline import Deadline
    from builder.settings import Home
    from builder.sources.catalogue.shelf import Shelf

    home = Home()
    home.check()
    return home, Shelf(home), Deadline(_DOWNLOAD_SECONDS)


def _row(name: str, place: str, images: Any) -> dict[str, Any]:  # noqa: ANN401 - images of a catalogue
    versions = sum(len(image.versions) for image in images)
    return {
        "name": name,
        "from": place,
        "fetched": "",
        "pinned": False,
        "images": len(images),
        "versions": versions,
        "problem": "",
    }


def _say_replaced(added: Any) -> None:  # noqa: ANN401 - Added, imported late
    if not added.replaces:
        return
    shown = ", ".join(added.replaces[:_LISTED])
    more = f" and {len(added.replaces) - _LISTED} more" if len(added.replaces) > _LISTED else ""
    typer.echo(f"It lies over {shown}{more}.")


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"
