"""`build marketplace`: the sources a PlatformImage can name on this machine."""

from __future__ import annotations

import json as json_module
from typing import TYPE_CHECKING, Annotated, Any

import typer

from builder.cli.lazy import examples
from builder.cli.output import human_size, print_json, print_table
from builder.errors import NotFoundError, UsageError

if TYPE_CHECKING:
    from builder.sources.catalogue import Catalogue, CatalogueEntry

app = typer.Typer(
    rich_markup_mode=None,
    add_completion=False,
    no_args_is_help=True,
    help="Look at the sources a PlatformImage can name. Your own go into catalogue.json in $GOLDSMITH_HOME.",
)

_MIB = 1024 * 1024


@app.command(
    "list",
    epilog=examples(
        "build marketplace list",
        "build marketplace list debian",
        "build marketplace list --json",
    ),
)
def list_images(
    word: Annotated[str | None, typer.Argument(help="Only images whose name has this word.")] = None,
    *,
    json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """List the images, the latest version of each."""
    catalogue = _catalogue()
    images = [
        image
        for image in catalogue.images
        if word is None or word.casefold() in f"{image.urn} {image.description}".casefold()
    ]
    entries = [catalogue.lookup(image.publisher, image.offer, image.sku) for image in images]
    if json:
        print_json([_facts(entry) for entry in entries])
    elif not entries:
        raise NotFoundError(
            f"No image here has '{word}' in its name.", hint="'build marketplace list' shows all of them."
        )
    else:
        rows = [
            (e.image.urn, e.version, e.image.os_type, e.image.generation, e.recipe.kind, e.image.description)
            for e in entries
        ]
        print_table(("Image", "Latest", "OS", "Gen", "From", "Description"), rows)


@app.command(
    epilog=examples(
        "build marketplace show Debian:debian-12:12-gen2",
        "build marketplace show Debian:debian-12:12:latest --json",
    )
)
def show(
    urn: Annotated[
        str, typer.Argument(help="publisher:offer:sku or publisher:offer:sku:version; case does not matter.")
    ],
    *,
    json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Show an image: its versions, how it is made, and the source to paste into a template."""
    parts = urn.split(":")
    if len(parts) not in (3, 4) or not all(parts):
        raise UsageError(
            f"'{urn}' is not the name of a marketplace image.",
            hint="Write publisher:offer:sku, for example Debian:debian-12:12-gen2.",
        )
    entry = _catalogue().lookup(*parts)
    if json:
        print_json(_facts(entry))
        return
    image = entry.image
    typer.echo(f"{image.urn}\n  {image.description}\n" if image.description else f"{image.urn}\n")
    lines = [
        ("Version", entry.version),
        ("Versions", ", ".join(image.versions)),
        ("OS", f"{image.os_type}, generation {image.generation}, {image.architecture}"),
        *_recipe_lines(entry),
    ]
    for name, value in lines:
        typer.echo(f"  {name:<10} {value}")
    typer.echo("\nIn a template:\n")
    typer.echo('"source": ' + json_module.dumps(_source(entry), indent=2))


def _catalogue() -> Catalogue:
    from builder.settings import Home
    from builder.sources.catalogue import load_catalogue

    return load_catalogue(Home())


def _recipe_lines(entry: CatalogueEntry) -> list[tuple[str, str]]:
    recipe = entry.recipe
    if recipe.kind == "bootstrap":
        lines = [
            ("Made from", f"packages of Debian {recipe.suite}"),
            ("Disk", human_size(recipe.size_mib * _MIB)),
        ]
        return [*lines, ("Besides", ", ".join(recipe.packages))] if recipe.packages else lines
    where = ("Download", recipe.url) if recipe.kind == "download" else ("File", str(recipe.path))
    digest = [("SHA-256", recipe.sha256)] if recipe.sha256 else []
    return [where, ("Format", recipe.format), *digest]


def _source(entry: CatalogueEntry) -> dict[str, str]:
    image = entry.image
    return {
        "type": "PlatformImage",
        "publisher": image.publisher,
        "offer": image.offer,
        "sku": image.sku,
        "version": "latest",
    }


def _facts(entry: CatalogueEntry) -> dict[str, Any]:
    image = entry.image
    return {
        "urn": entry.urn,
        "publisher": image.publisher,
        "offer": image.offer,
        "sku": image.sku,
        "version": entry.version,
        "versions": list(image.versions),
        "description": image.description,
        "osType": image.os_type,
        "generation": image.generation,
        "architecture": image.architecture,
        "recipe": entry.recipe.model_dump(mode="json", by_alias=True),
    }
