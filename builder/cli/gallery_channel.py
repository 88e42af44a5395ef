"""`build gallery channel`: named pointers to versions, such as prod."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from builder.cli.images import Json, open_registry, print_facts
from builder.cli.output import print_json, print_table

if TYPE_CHECKING:
    from builder.registry.records import ChannelRecord

app = typer.Typer(
    rich_markup_mode=None,
    add_completion=False,
    no_args_is_help=True,
    help="Look after channels: names that point to a version and move forward only.\n\n"
    "GALLERY/DEFINITION/@NAME stands for the version wherever a command wants one.",
)

Definition = Annotated[str, typer.Argument(metavar="DEFINITION", help="GALLERY/DEFINITION or ARM id.")]
Name = Annotated[str, typer.Argument(metavar="CHANNEL", help="Its name, such as prod.")]


@app.command("list")
def list_(
    definition: Annotated[str | None, typer.Argument(metavar="DEFINITION", help="Default: all.")] = None,
    *,
    json: Json = False,
) -> None:
    """List the channels of an image definition, or of all."""
    from builder.as_json import to_json
    from builder.registry.lookup import definition_id

    registry = open_registry()
    wanted = registry.find_definition(definition_id(registry, definition)).id if definition else None
    records = registry.list_channels(wanted)
    if json:
        print_json(to_json(records))
    elif not records:
        typer.echo(
            "There are no channels here yet. Make one: build gallery channel set DEFINITION NAME VERSION"
        )
    else:
        rows = [
            (f"{_label(record)}/@{record.name}", record.version, f"{record.moved_at:%Y-%m-%d %H:%M}")
            for record in records
        ]
        print_table(("Channel", "Version", "Since (UTC)"), rows)


@app.command()
def show(definition: Definition, channel: Name, *, json: Json = False) -> None:
    """Show where a channel points."""
    from builder.as_json import to_json
    from builder.registry.lookup import definition_id

    registry = open_registry()
    record = registry.find_channel(definition_id(registry, definition), channel)
    version = registry.find_version(record.version_id)
    if json:
        print_json({**to_json(record), "revoked": version.revoked_at is not None})
        return
    print_facts(
        ("Channel", f"{_label(record)}/@{record.name}"),
        ("Version", record.version),
        ("Id", record.version_id),
        ("Revoked", version.revoked_reason if version.revoked_at else ""),
        ("Since", f"{record.moved_at:%Y-%m-%d %H:%M:%S} UTC, by {record.moved_by}"),
    )


@app.command("set")
def set_(
    definition: Definition,
    channel: Name,
    version: Annotated[str, typer.Argument(metavar="VERSION", help="1.2.3, latest, or @CHANNEL: another's.")],
    *,
    force: Annotated[bool, typer.Option("--force", help="Also to a lower version.")] = False,
    json: Json = False,
) -> None:
    """Make a channel point to a version; one that is there moves forward."""
    from builder.as_json import to_json
    from builder.registry.lookup import definition_id

    registry = open_registry()
    wanted = registry.find_definition(definition_id(registry, definition)).id
    number = version
    if version.startswith("@"):
        number = registry.find_channel(wanted, version[1:]).version
    elif version.casefold() == "latest":
        number = registry.find_version(f"{wanted}/versions/latest").version
    record = registry.set_channel(wanted, channel, number, force=force)
    if json:
        print_json(to_json(record))
        return
    typer.echo(f"{_label(record)}/@{record.name} is at {record.version}")
    if registry.find_version(record.version_id).exclude_from_latest:
        typer.echo("note: that version is excluded from latest; the channel hands it out all the same.")


@app.command()
def undo(definition: Definition, channel: Name, *, json: Json = False) -> None:
    """Make a channel point where it did before its last move; again, one further back."""
    from builder.as_json import to_json
    from builder.registry.lookup import definition_id

    registry = open_registry()
    record = registry.undo_channel(definition_id(registry, definition), channel)
    if json:
        print_json(to_json(record))
    else:
        typer.echo(f"{_label(record)}/@{record.name} is back at {record.version}")


@app.command()
def remove(definition: Definition, channel: Name) -> None:
    """Forget a channel; the version it points to stays."""
    from builder.registry.lookup import definition_id

    registry = open_registry()
    record = registry.remove_channel(definition_id(registry, definition), channel)
    typer.echo(f"Removed {_label(record)}/@{record.name}; it was at {record.version}")


@app.command()
def history(definition: Definition, channel: Name, *, json: Json = False) -> None:
    """Show every move of a channel, the newest first."""
    from builder.as_json import to_json
    from builder.registry.lookup import definition_id

    registry = open_registry()
    moves = registry.channel_history(definition_id(registry, definition), channel)
    if json:
        print_json(to_json(moves))
        return
    rows = [
        (
            f"{move.at:%Y-%m-%d %H:%M:%S}",
            f"{move.deed}, forced" if move.forced and move.deed == "set" else move.deed,
            move.before,
            move.after,
            move.by,
            move.run_id,
        )
        for move in moves
    ]
    print_table(("When (UTC)", "What", "From", "To", "By", "Run"), rows)


def _label(record: ChannelRecord) -> str:
    from templates.arm_id import parse_gallery_image

    image = parse_gallery_image(record.definition_id)
    return f"{image.gallery_name}/{image.definition_name}"
