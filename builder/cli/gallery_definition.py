"""`build gallery definition`: image definitions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from builder.cli import definition_options as options
from builder.cli.images import Json, Yes, confirm, open_registry, print_facts
from builder.cli.output import print_json, print_table
from builder.errors import UsageError

if TYPE_CHECKING:
    from builder.registry.records import DefinitionRecord
    from builder.registry.store import Registry

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
        ("Features", ", ".join(f"{one['name']}={one['value']}" for one in record.features)),
        (
            "Plan",
            ":".join(record.plan[part] for part in ("publisher", "product", "name")) if record.plan else "",
        ),
        ("Description", record.description),
        ("Recommended", _recommended(record)),
        ("Disallowed", ", ".join((record.disallowed or {}).get("diskTypes", ()))),
        ("End of life", record.end_of_life or ""),
        ("Licence", record.eula),
        ("Privacy", record.privacy_statement_uri),
        ("Release notes", record.release_note_uri),
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
    architecture: Annotated[Literal["x64", "Arm64"], typer.Option("--architecture")] = "x64",
    location: Annotated[str | None, typer.Option("--location", "-l", help="Default: the gallery's.")] = None,
    plan_name: Annotated[str | None, typer.Option("--plan-name", help="Purchase plan of the source.")] = None,
    plan_publisher: Annotated[str | None, typer.Option("--plan-publisher")] = None,
    plan_product: Annotated[str | None, typer.Option("--plan-product")] = None,
    description: options.Description = None,
    end_of_life: options.EndOfLife = None,
    eula: options.Eula = None,
    privacy_statement_uri: options.Privacy = None,
    release_note_uri: options.Notes = None,
    vcpus: options.VCpus = None,
    memory: options.Memory = None,
    disk_types: options.DiskTypes = None,
    features: options.Features = None,
    tags: options.Tags = None,
    json: Json = False,
) -> None:
    """Make an image definition; of one that is there all that may change becomes what is said here.

    `update` changes only what it is given.
    """
    from builder.registry.definitions import properties_of
    from builder.registry.lookup import definition_id
    from templates.arm_id import ResourceId
    from templates.model.gallery import ImageDefinition

    registry = open_registry()
    resource = ResourceId.parse(definition_id(registry, definition))
    properties = {
        "osType": os_type,
        "osState": os_state,
        "hyperVGeneration": generation,
        "architecture": architecture,
        "identifier": {"publisher": publisher, "offer": offer, "sku": sku},
        "purchasePlan": _plan(plan_name, plan_publisher, plan_product),
        **options.described(
            description=description,
            end_of_life=end_of_life,
            eula=eula,
            privacy_statement_uri=privacy_statement_uri,
            release_note_uri=release_note_uri,
            vcpus=vcpus,
            memory=memory,
            disk_types=disk_types,
            features=features,
        ),
    }
    wanted = ImageDefinition(
        id=str(resource),
        name=resource.name,
        location=location or "",
        tags=options.pairs("--tag", tags or ()),
        properties=properties_of(properties),
    )
    _tell("Created", registry.create_definition(wanted), json=json)


@app.command()
def update(
    definition: Definition,
    *,
    description: options.Description = None,
    end_of_life: options.EndOfLife = None,
    eula: options.Eula = None,
    privacy_statement_uri: options.Privacy = None,
    release_note_uri: options.Notes = None,
    vcpus: options.VCpus = None,
    memory: options.Memory = None,
    disk_types: options.DiskTypes = None,
    features: options.Features = None,
    allow_update_image: Annotated[
        bool, typer.Option("--allow-update-image", help="Let --feature change the features.")
    ] = False,
    tags: options.Tags = None,
    json: Json = False,
) -> None:
    """Change what may change of an image definition; the rest stays. An empty value ("") takes one away."""
    from builder.registry.definitions import as_declared, properties_of
    from builder.registry.lookup import definition_id

    registry = open_registry()
    now = as_declared(registry.find_definition(definition_id(registry, definition)))
    given = options.described(
        description=description,
        end_of_life=end_of_life,
        eula=eula,
        privacy_statement_uri=privacy_statement_uri,
        release_note_uri=release_note_uri,
        vcpus=vcpus,
        memory=memory,
        disk_types=disk_types,
        features=features,
    )
    if not given and tags is None:
        raise UsageError("What is to change?", hint="See: build gallery definition update --help")
    before = now.properties.model_dump(mode="json", by_alias=True)
    if "recommended" in given:
        parts = {**(before["recommended"] or {}), **given["recommended"]}
        given["recommended"] = parts if any(parts.values()) else None
    properties = properties_of({**before, **given, "allowUpdateImage": allow_update_image})
    changes: dict[str, object] = {"properties": properties}
    if tags is not None:
        changes["tags"] = options.pairs("--tag", tags)
    _tell("Updated", registry.create_definition(now.model_copy(update=changes)), json=json)


@app.command()
def delete(
    definition: Definition,
    *,
    force: Annotated[
        bool, typer.Option("--force", help="Delete its versions and their files first.")
    ] = False,
    yes: Yes = False,
) -> None:
    """Delete an image definition that has no versions, or with --force all of it."""
    from builder.registry.lookup import definition_id

    registry = open_registry()
    record = registry.find_definition(definition_id(registry, definition))
    if force:
        delete_nested(registry, record.id, f"image definition {record.label}", yes=yes)
        return
    confirm(f"Delete the image definition {record.label}?", yes=yes)
    registry.delete_definition(record.id)
    typer.echo(f"Deleted {record.id}")


def delete_nested(registry: Registry, arm_id: str, what: str, *, yes: bool) -> None:
    """Delete a gallery or definition with all that is in it, and say what went."""
    from builder.replication.nested import Nested
    from builder.replication.place import Places
    from builder.settings import Home, load_settings

    home = Home()
    nested = Nested(registry, Places(home, load_settings(home)), arm_id)
    confirm(f"Delete the {what} with {nested} and their files?", yes=yes)
    gone, left = nested.delete()
    for one in gone:
        typer.echo(f"Deleted {one}")
    for location in left:
        typer.echo(f"warning: {location} stays, and nothing names it any more.", err=True)


def _plan(name: str | None, publisher: str | None, product: str | None) -> dict[str, str] | None:
    if name is None and publisher is None and product is None:
        return None
    if not (name and publisher and product):
        raise UsageError("A purchase plan is --plan-name, --plan-publisher and --plan-product together.")
    return {"name": name, "publisher": publisher, "product": product}


def _tell(deed: str, record: DefinitionRecord, *, json: bool) -> None:
    from builder.as_json import to_json

    if json:
        print_json(to_json(record))
    else:
        typer.echo(f"{deed} {record.id}")


def _range(range_: Mapping[str, int] | None, unit: str) -> str:
    if not range_:
        return ""
    least, most = range_.get("min"), range_.get("max")
    if least is not None and most is not None:
        return f"{least} to {most} {unit}"
    return f"at least {least} {unit}" if least is not None else f"at most {most} {unit}"


def _recommended(record: DefinitionRecord) -> str:
    said = record.recommended or {}
    return ", ".join(filter(None, (_range(said.get("vCPUs"), "vCPUs"), _range(said.get("memory"), "GB"))))
