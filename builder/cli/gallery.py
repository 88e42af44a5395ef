"""`build gallery`: galleries and what is the latest; definitions and versions are sub-commands."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from builder.cli import gallery_audit, gallery_prune, gallery_tree, gallery_usage
from builder.cli.definition_options import Tags, pairs
from builder.cli.gallery_channel import app as channel_app
from builder.cli.gallery_definition import app as definition_app
from builder.cli.gallery_definition import delete_nested
from builder.cli.gallery_deploy import deploy
from builder.cli.gallery_replicate import change_regions, regions, replicate, status, verify
from builder.cli.gallery_version import Region, show_version
from builder.cli.gallery_version import app as version_app
from builder.cli.images import Json, Yes, confirm, open_registry, print_facts
from builder.cli.output import print_json, print_table
from builder.errors import ExitCode, UsageError

if TYPE_CHECKING:
    from builder.registry.latest import Explanation

app = typer.Typer(
    rich_markup_mode=None,
    add_completion=False,
    no_args_is_help=True,
    help="Look after galleries. Names (gallery, gallery/definition, gallery/definition/1.0.0) or ARM ids.",
)
app.add_typer(channel_app, name="channel")
app.add_typer(definition_app, name="definition")
app.add_typer(version_app, name="version")
gallery_usage.register(app)
gallery_tree.register(app)
gallery_audit.register(app)
gallery_prune.register(app)
version_app.command("regions")(change_regions)
for _verb in (deploy, replicate, status, verify, regions):
    app.command()(_verb)

Gallery = Annotated[str, typer.Argument(metavar="GALLERY", help="Name or ARM id.")]


@app.command("list")
def list_(*, json: Json = False) -> None:
    """List the galleries."""
    from builder.as_json import to_json

    registry = open_registry()
    records = registry.list_galleries()
    if json:
        print_json(to_json(records))
    elif not records:
        typer.echo("There are no galleries yet. Make one: build gallery create NAME")
    else:
        counts: dict[str, int] = {}
        for definition in registry.list_definitions():
            counts[definition.gallery_id] = counts.get(definition.gallery_id, 0) + 1
        rows = [(r.name, r.resource_group, r.location, counts.get(r.id, 0), r.description) for r in records]
        print_table(("Gallery", "Group", "Location", "Definitions", "Description"), rows)


@app.command()
def show(gallery: Gallery, *, json: Json = False) -> None:
    """Show a gallery and its image definitions."""
    from builder.as_json import to_json
    from builder.registry.lookup import gallery_id

    registry = open_registry()
    record = registry.find_gallery(gallery_id(registry, gallery))
    definitions = registry.list_definitions(record.id)
    if json:
        print_json({**to_json(record), "definitions": to_json(definitions)})
        return
    print_facts(
        ("Id", record.id),
        ("Location", record.location),
        ("Description", record.description),
        ("Created", f"{record.created_at:%Y-%m-%d %H:%M:%S} UTC"),
        ("Tags", ", ".join(f"{name}={value}" for name, value in record.tags.items())),
    )
    if definitions:
        typer.echo()
        rows = [(d.name, d.os_type, d.os_state, d.generation, d.location) for d in definitions]
        print_table(("Definition", "OS", "State", "Generation", "Location"), rows)


@app.command()
def create(
    name: Annotated[str, typer.Argument(help="Letters, digits, underscores and periods; no dashes.")],
    *,
    resource_group: Annotated[
        str | None, typer.Option("--resource-group", "-g", help="Default: the setting resource_group.")
    ] = None,
    location: Annotated[
        str | None, typer.Option("--location", "-l", help="Default: the setting location.")
    ] = None,
    description: Annotated[str, typer.Option("--description")] = "",
    tags: Tags = None,
    json: Json = False,
) -> None:
    """Make a gallery; one that is there gets the new description and tags."""
    from builder.as_json import to_json
    from builder.registry.rules import check_gallery_name
    from builder.settings import Home, load_settings
    from templates.arm_id import ResourceId
    from templates.model.gallery import Gallery as GalleryModel
    from templates.model.gallery import GalleryProperties

    check_gallery_name(name)
    settings = load_settings(Home())
    group = resource_group or settings.resource_group
    resource = ResourceId(settings.subscription_id, group, "Microsoft.Compute", ("galleries",), (name,))
    wanted = GalleryModel(
        id=str(resource),
        name=name,
        location=location or "",
        tags=pairs("--tag", tags or ()),
        properties=GalleryProperties(description=description),
    )
    record = open_registry().create_gallery(wanted, default_location=settings.location)
    if json:
        print_json(to_json(record))
    else:
        typer.echo(f"Created {record.id}")


@app.command()
def update(
    gallery: Gallery,
    *,
    description: Annotated[str | None, typer.Option("--description")] = None,
    tags: Tags = None,
    json: Json = False,
) -> None:
    """Change a gallery's description or tags; nothing else of it may change."""
    from builder.as_json import to_json
    from builder.registry.lookup import gallery_id

    registry = open_registry()
    if description is None and tags is None:
        raise UsageError("What is to change?", hint="Say --description or --tag.")
    wanted = None if tags is None else pairs("--tag", tags)
    record = registry.update_gallery(gallery_id(registry, gallery), description=description, tags=wanted)
    if json:
        print_json(to_json(record))
    else:
        typer.echo(f"Updated {record.id}")


@app.command()
def delete(
    gallery: Gallery,
    *,
    force: Annotated[
        bool, typer.Option("--force", help="Delete its definitions, their versions and files first.")
    ] = False,
    yes: Yes = False,
) -> None:
    """Delete an empty gallery, or with --force all that is in it."""
    from builder.registry.lookup import gallery_id

    registry = open_registry()
    record = registry.find_gallery(gallery_id(registry, gallery))
    if force:
        delete_nested(registry, record.id, f"gallery {record.name}", yes=yes)
        return
    confirm(f"Delete the gallery {record.name}?", yes=yes)
    registry.delete_gallery(record.id)
    typer.echo(f"Deleted {record.id}")


@app.command()
def latest(
    definition: Annotated[str, typer.Argument(metavar="DEFINITION", help="GALLERY/DEFINITION or ARM id.")],
    *,
    region: Region = None,
    explain: Annotated[
        bool, typer.Option("--explain", help="Show every version, and why it is or is not the latest.")
    ] = False,
    json: Json = False,
) -> None:
    """Show the latest version: the highest that is not excluded and, with --region, is there.

    Exit code 2 when there is none, with --explain, too.
    """
    from builder.registry.lookup import definition_id

    registry = open_registry()
    identity = definition_id(registry, definition)
    if explain:
        _explain(registry.explain_latest(identity, region), json=json)
        return
    show_version(registry.find_version(f"{identity}/versions/latest", region), json=json)


def _explain(found: Explanation, *, json: bool) -> None:
    from builder.as_json import to_json

    if json:
        print_json(to_json(found))
    elif not found.candidates:
        typer.echo("There are no versions here yet; a SharedImage target makes one.")
    else:
        rows = [
            (one.version, "latest" if one.verdict == "latest" else "", one.reason) for one in found.candidates
        ]
        print_table(("Version", "", "Why"), rows)
    if found.latest is None:
        raise typer.Exit(int(ExitCode.BAD_TEMPLATE))
