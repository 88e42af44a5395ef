"""`build gallery definition`: image definitions."""

from __future__ import annotations

from typing import Annotated, Literal

import typer

from builder.cli.images import Json, Yes, confirm, open_registry, print_facts
from builder.cli.output import print_json, print_table

app = typer.Typer(
    rich_markup_mode=None,
    add_completion=False,
    no_args_is_help=True,
    help="Look after image definitions.",
)

Definition = Annotated[str, typer.Argument(metavar="DEFINITION", help="GALLERY/DEFINITION or ARM id.")]


@app.command("list")
def list_(
    gallery: Annotated[str | None, typer.Argument(metavar="GALLERY", help="Default: all galleries.")] = None,
    *,
    json: Json = False,
) -> None:
    """List the image definitions of a gallery, or of all."""
    from builder.as_json import to_json
    from builder.registry.lookup import gallery_id

    registry = open_registry()
    wanted = registry.find_gallery(gallery_id(registry, gallery)).id if gallery else None
    records = registry.list_definitions(wanted)
    if json:
        print_json(to_json(records))
    elif not records:
        typer.echo("There are no image definitions here. Make one: build gallery definition create")
    else:
        rows = [
            (d.label, d.os_type, d.os_state, d.generation, d.location, f"{d.publisher}:{d.offer}:{d.sku}")
            for d in records
        ]
        print_table(("Definition", "OS", "State", "Generation", "Location", "Publisher:offer:sku"), rows)


@app.command()
def show(definition: Definition, *, json: Json = False) -> None:
    """Show an image definition and its versions."""
    from builder.as_json import to_json
    from builder.registry.lookup import definition_id

    registry = open_registry()
    record = registry.find_definition(definition_id(registry, definition))
    versions = registry.list_versions(record.id)
    if json:
        print_json({**to_json(record), "versions": to_json(versions)})
        return
    print_facts(
        ("Id", record.id),
        ("Location", record.location),
        ("OS", f"{record.os_type}, {record.os_state}, generation {record.generation}, {record.architecture}"),
        ("Identifier", f"{record.publisher}:{record.offer}:{record.sku}"),
        ("Description", record.description),
        ("End of life", record.end_of_life or ""),
        ("Created", f"{record.created_at:%Y-%m-%d %H:%M:%S} UTC"),
        ("Tags", ", ".join(f"{name}={value}" for name, value in record.tags.items())),
        ("Versions", ", ".join(version.version for version in versions)),
    )


@app.command()
def create(
    definition: Definition,
    *,
    publisher: Annotated[str, typer.Option("--publisher", "-p")],
    offer: Annotated[str, typer.Option("--offer", "-f")],
    sku: Annotated[str, typer.Option("--sku", "-s")],
    os_type: Annotated[Literal["Linux", "Windows"], typer.Option("--os-type")] = "Linux",
    os_state: Annotated[Literal["Generalized", "Specialized"], typer.Option("--os-state")] = "Generalized",
    generation: Annotated[
        Literal["V1", "V2"], typer.Option("--hyper-v-generation", "--generation", help="V1 BIOS, V2 UEFI.")
    ] = "V2",
    location: Annotated[str | None, typer.Option("--location", "-l", help="Default: the gallery's.")] = None,
    description: Annotated[str, typer.Option("--description")] = "",
    json: Json = False,
) -> None:
    """Make an image definition; one that is there gets the new description."""
    from builder.as_json import to_json
    from builder.registry.lookup import definition_id
    from templates.arm_id import ResourceId
    from templates.model.gallery import DefinitionProperties, Identifier, ImageDefinition

    registry = open_registry()
    resource = ResourceId.parse(definition_id(registry, definition))
    properties = DefinitionProperties(
        os_type=os_type,
        os_state=os_state,
        hyper_v_generation=generation,
        identifier=Identifier(publisher=publisher, offer=offer, sku=sku),
        description=description,
    )
    record = registry.create_definition(
        ImageDefinition(id=str(resource), name=resource.name, location=location or "", properties=properties)
    )
    if json:
        print_json(to_json(record))
    else:
        typer.echo(f"Created {record.id}")


@app.command()
def delete(definition: Definition, *, yes: Yes = False) -> None:
    """Delete an image definition that has no versions."""
    from builder.registry.lookup import definition_id

    registry = open_registry()
    record = registry.find_definition(definition_id(registry, definition))
    confirm(f"Delete the image definition {record.label}?", yes=yes)
    registry.delete_definition(record.id)
    typer.echo(f"Deleted {record.id}")
