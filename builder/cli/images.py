"""`build images`: managed images of the local registry."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from builder.cli import images_export, images_import, images_upload
from builder.cli.output import human_size, print_json, print_table
from builder.errors import UsageError
from builder.sources.base import Generation, OsType

if TYPE_CHECKING:
    from builder.registry.records import DataDiskRecord, ImageRecord
    from builder.registry.store import Registry

app = typer.Typer(
    rich_markup_mode=None,
    add_completion=False,
    no_args_is_help=True,
    help="Look at managed images, bring them in and out. IMAGE is a name, GROUP/NAME or an ARM id.",
)

Image = Annotated[str, typer.Argument(metavar="IMAGE", help="Name, GROUP/NAME or ARM id.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]


@app.command("list")
def list_(*, json: Json = False) -> None:
    """List the managed images."""
    from builder.as_json import to_json

    records = open_registry().list_images()
    if json:
        print_json(to_json(records))
    elif not records:
        typer.echo("There are no managed images yet; a ManagedImage target makes one.")
    else:
        rows = [
            (
                r.name, r.resource_group, r.location, f"{r.os_type} {r.generation}",
                human_size(r.size), human_size(r.size_on_disk), f"{r.created_at:%Y-%m-%d %H:%M}",
            )
            for r in records
        ]  # fmt: skip
        print_table(("Name", "Group", "Location", "OS", "Size", "On disk", "Created (UTC)"), rows)


@app.command()
def show(image: Image, *, json: Json = False) -> None:
    """Show one managed image."""
    from builder.as_json import to_json
    from builder.cli.lineage import made_of

    record = _find(image)
    if json:
        print_json(to_json(record))
        return
    print_facts(
        ("Id", record.id),
        ("Location", record.location),
        ("OS", f"{record.os_type}, generation {record.generation}"),
        ("File", str(record.path)),
        ("Size", f"{human_size(record.size)}, {human_size(record.size_on_disk)} on disk"),
        ("Content", record.digest),
        *((f"Data disk {disk.lun}", data_disk_text(disk)) for disk in record.data_disks),
        ("Source", record.source),
        ("Template", record.template),
        ("Made of", made_of(record.lineage)),
        ("Run", record.run_id),
        ("Created", f"{record.created_at:%Y-%m-%d %H:%M:%S} UTC"),
        ("Tags", ", ".join(f"{name}={value}" for name, value in record.tags.items())),
    )


@app.command()
def verify(
    image: Annotated[
        str | None,
        typer.Argument(
            metavar="IMAGE",
            help="A disk file, a managed image, or GALLERY/DEFINITION/VERSION; names or ARM ids.",
        ),
    ] = None,
    *,
    waive: Annotated[
        list[str] | None,
        typer.Option("--waive", metavar="RULE", help="A rule it may break; may be repeated."),
    ] = None,
    generation: Annotated[
        Generation | None, typer.Option("--generation", help="Of a file: what its partitions do not tell.")
    ] = None,
    os_type: Annotated[OsType | None, typer.Option("--os-type", help="Of a file, likewise.")] = None,
    strict: Annotated[bool, typer.Option("--strict", help="Warnings and what is unknown fail, too.")] = False,
    no_gate: Annotated[bool, typer.Option("--no-gate", help="Only what is recorded of it.")] = False,
    rules: Annotated[bool, typer.Option("--rules", help="List the rules with their pages.")] = False,
    json: Json = False,
) -> None:
    """Check an image: that its content is what was built, and that Azure would take it (the VHD gate).

    A file may be anybody's fixed VHD; it is only read, and nothing in it is run. Of a registered image
    the data disks and all copies are checked as well. docs/gate.md has the rules.

    Exit code 1 when it is damaged or breaks a rule.
    """
    from dataclasses import replace

    from builder.cli import images_verify
    from builder.gate.gate import require_names

    if rules:
        images_verify.print_rules(json=json)
        return
    if image is None:
        raise UsageError("What is to be verified?", hint="Name a file or an image; --rules lists the rules.")
    require_names(waive or ())
    asked = replace(images_verify.find(image), waived=tuple(waive or ()))
    asked = replace(asked, os_type=os_type or asked.os_type, generation=generation or asked.generation)
    if not images_verify.verify(asked, gate=not no_gate, strict=strict, json=json):
        raise typer.Exit(1)


@app.command()
def delete(image: Image, *, yes: Yes = False) -> None:
    """Delete a managed image and its files."""
    record = _find(image)
    confirm(f"Delete the managed image {record.resource_group}/{record.name} and its files?", yes=yes)
    open_registry().delete_image(record.id)
    typer.echo(f"Deleted {record.id}")


images_upload.register(app)
images_import.register(app)
images_export.register(app)


def open_registry() -> Registry:
    """The registry of the home."""
    from builder.registry.store import Registry
    from builder.settings import Home, load_settings

    home = Home()
    return Registry.of(home, load_settings(home))


def data_disk_text(disk: DataDiskRecord) -> str:
    """A data disk on one line."""
    return f"{human_size(disk.size)}, {human_size(disk.size_on_disk)} on disk: {disk.path}"


def confirm(question: str, *, yes: bool) -> None:
    """Ask before something is destroyed. Raises UsageError when there is nobody to ask."""
    if yes:
        return
    if not sys.stdin.isatty():
        raise UsageError("This deletes something, and there is nobody to ask.", hint="Say --yes.")
    typer.confirm(question, abort=True)


def print_facts(*facts: tuple[str, str]) -> None:
    """Print names and values that have one, aligned."""
    width = max(len(name) for name, _ in facts) + 2
    for name, value in facts:
        if value:
            typer.echo(f"{name + ':':<{width}}{value}")


def _find(image: str) -> ImageRecord:
    from builder.registry.lookup import image_id
    from builder.settings import Home, load_settings

    registry = open_registry()
    return registry.find_image(image_id(registry, image, load_settings(Home()).subscription_id))
