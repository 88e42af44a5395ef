"""`build marketplace`: the sources a PlatformImage can name on this machine."""

from __future__ import annotations

import json as json_module
from typing import TYPE_CHECKING, Annotated, Any

import typer

from builder.cli import marketplace_catalogues
from builder.cli.lazy import examples
from builder.cli.output import human_size, print_json, print_table
from builder.errors import NotFoundError, UsageError

if TYPE_CHECKING:
    from builder.sources.base import ResolvedSource, SourceDisk
    from builder.sources.catalogue import Catalogue, CatalogueEntry, CatalogueImage, Recipe

app = typer.Typer(
    rich_markup_mode=None,
    add_completion=False,
    no_args_is_help=True,
    help="Look at the sources a PlatformImage can name, get one ready, bring one, add a team's catalogue. "
    "URN is publisher:offer:sku or publisher:offer:sku:version; case does not matter.",
)

_MIB = 1024 * 1024
_GENERATIONS = {"1": "V1", "2": "V2", "v1": "V1", "v2": "V2"}


def _complete(incomplete: str) -> list[str]:
    """The names that go on from what is typed; for the shell, which must never see an error of ours."""
    from builder.errors import GoldsmithError

    try:
        urns = [image.urn for image in _catalogue().images]
    except (GoldsmithError, OSError):
        return []
    return [urn for urn in urns if urn.casefold().startswith(incomplete.casefold())]


Urn = Annotated[
    str,
    typer.Argument(
        help="publisher:offer:sku or publisher:offer:sku:version; case does not matter.",
        autocompletion=_complete,
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Publisher = Annotated[str, typer.Option(help="Only of this publisher.")]
Offer = Annotated[str, typer.Option(help="Only of this offer.")]
Os = Annotated[str, typer.Option("--os", metavar="OS", help="Only Linux, or only Windows.")]
Generation = Annotated[str, typer.Option(help="Only V1 (BIOS), or only V2 (UEFI).")]
Architecture = Annotated[str, typer.Option(help="Only x64, or only Arm64.")]


@app.command(
    "list",
    epilog=examples(
        "build marketplace list",
        "build marketplace list --publisher Canonical --generation V2",
        "build marketplace list debian --json",
    ),
)
def list_images(
    word: Annotated[str | None, typer.Argument(help="Only images whose name has this word.")] = None,
    *,
    publisher: Publisher = "",
    offer: Offer = "",
    os_type: Os = "",
    generation: Generation = "",
    architecture: Architecture = "",
    json: Json = False,
) -> None:
    """List the images by name, the latest version of each."""
    from builder.sources.catalogue.search import find

    catalogue = _catalogue()
    found = find(
        catalogue, _filters(publisher, offer, os_type, generation, architecture), _words([word or ""])
    )
    _show_images(catalogue, sorted(found, key=lambda image: image.key), json=json)


@app.command(
    epilog=examples(
        "build marketplace search ubuntu 22.04",
        "build marketplace search windows 2022 --generation V2",
        "build marketplace search rocky --json",
    )
)
def search(
    words: Annotated[list[str], typer.Argument(help="Every word has to be in the name or the description.")],
    *,
    publisher: Publisher = "",
    offer: Offer = "",
    os_type: Os = "",
    generation: Generation = "",
    architecture: Architecture = "",
    json: Json = False,
) -> None:
    """Find images by words, the best match first."""
    from builder.sources.catalogue.search import find

    catalogue = _catalogue()
    filters = _filters(publisher, offer, os_type, generation, architecture)
    _show_images(catalogue, find(catalogue, filters, _words(words)), json=json)


@app.command(
    epilog=examples(
        "build marketplace show Debian:debian-12:12-gen2",
        "build marketplace show Canonical:ubuntu-24_04-lts:server --json",
    )
)
def show(urn: Urn, *, json: Json = False) -> None:
    """Show an image: its versions, how each comes here and what proves it, and the source to paste."""
    entry = _lookup(urn)
    if json:
        print_json(_facts(entry))
        return
    image = entry.image
    typer.echo(f"{image.urn}\n  {image.description}\n" if image.description else f"{image.urn}\n")
    for name, value in _about(entry):
        typer.echo(f"  {name:<10} {value}")
    for number, recipe in enumerate(entry.recipes):
        typer.echo(f"\n  {'Else' if number else 'How'}")
        for name, value in _recipe_lines(recipe, entry.origin):
            typer.echo(f"    {name:<8} {value}")
    if len(entry.recipes) > 1:
        kinds = ", ".join(recipe.kind for recipe in entry.recipes)
        typer.echo(f"\n  The setting source_recipe ({kinds}) chooses; now: {entry.recipe.kind}.")
    typer.echo("\nIn a template:\n")
    typer.echo('"source": ' + json_module.dumps(_source(entry.image), indent=2))


@app.command(
    epilog=examples(
        "build marketplace fetch Debian:debian-13:13-gen2",
        "build marketplace fetch Canonical:ubuntu-24_04-lts:server --recipe bootstrap",
        "build marketplace fetch Debian:debian-12:12 --again --json",
    )
)
def fetch(
    urn: Urn,
    *,
    recipe: Annotated[
        str,
        typer.Option(help="Of several recipes: bootstrap or download; default: the setting source_recipe."),
    ] = "",
    again: Annotated[
        bool,
        typer.Option("--again", help="Take it anew, though it is here; what was built on it is no use then."),
    ] = False,
    plain: Annotated[bool, typer.Option("--plain", help="Lines instead of a live display.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="Only errors and the result.")] = False,
    json: Json = False,
) -> None:
    """Get an image ready now, so that the next build on it starts at once."""
    from builder.sources.fetching import prepare

    if recipe not in ("", "bootstrap", "download"):
        raise UsageError(f"--recipe {recipe}: choose bootstrap or download.")
    entry = _lookup(urn)
    resolved, disk = prepare(entry, recipe=recipe, again=again, plain=plain, quiet=quiet or json)
    if json:
        print_json(_fetched(entry, resolved, disk))
        return
    what = "was here already" if resolved.cached else "is ready"
    typer.echo(f"{entry.urn} {what}: {human_size(disk.size)}, {disk.graph.top.path}")


marketplace_catalogues.register(app)


def _catalogue() -> Catalogue:
    from builder.settings import Home
    from builder.sources.catalogue import load_catalogue

    return load_catalogue(Home())


def _lookup(urn: str) -> CatalogueEntry:
    from builder.settings import Home, load_settings

    parts = urn.split(":")
    if len(parts) not in (3, 4) or not all(parts):
        raise UsageError(
            f"'{urn}' is not the name of a marketplace image.",
            hint="Write publisher:offer:sku, for example Debian:debian-12:12-gen2.",
        )
    return _catalogue().lookup(*parts, prefer=load_settings(Home()).source_recipe)


def _filters(publisher: str, offer: str, os_type: str, generation: str, architecture: str) -> Any:  # noqa: ANN401 - Filters, imported late
    from builder.sources.catalogue.search import Filters

    for option, value, known in (
        ("--os", os_type, ("Linux", "Windows")),
        ("--generation", generation, ("V1", "V2", "1", "2")),
        ("--architecture", architecture, ("x64", "Arm64")),
    ):
        if value and value.casefold() not in {one.casefold() for one in known}:
            raise UsageError(f"{option} {value}: choose {known[0]} or {known[1]}.")
    asked = _GENERATIONS.get(generation.casefold(), "")
    return Filters(publisher, offer, os_type, asked, architecture)


def _words(given: list[str]) -> list[str]:
    """Words that were quoted together are words, too; a urn is one of its parts each."""
    return [word for text in given for word in text.replace(":", " ").split()]


def _show_images(catalogue: Catalogue, images: list[CatalogueImage], *, json: bool) -> None:
    from builder.sources.catalogue.words import way

    entries = [catalogue.entries(image)[0] for image in images]
    if json:
        print_json([_facts(entry) for entry in entries])
    elif not entries:
        raise NotFoundError("No image here is like that.", hint="'build marketplace list' shows all of them.")
    else:
        rows = [
            (e.image.urn, e.version, e.image.generation, way(e.recipe), e.origin, e.image.description)
            for e in entries
        ]
        print_table(("Image", "Latest", "Gen", "From", "Catalogue", "Description"), rows)


def _about(entry: CatalogueEntry) -> list[tuple[str, str]]:
    from builder.sources.catalogue.catalogue import sorted_versions

    image = entry.image
    lines = [
        ("Version", entry.version),
        ("Versions", ", ".join(sorted_versions(image))),
        ("Catalogue", entry.origin),
        (
            "OS",
            f"{image.os_type}, generation {image.generation}, {image.architecture}, {image.devices} devices",
        ),
    ]
    if image.user_name:
        lines.append(("User", image.user_name))
    if image.plan:
        plan = image.plan
        optional = "" if plan.required else " (may be left out)"
        lines.append(("Plan", f"{plan.publisher}:{plan.product}:{plan.name}{optional}"))
    if image.aliases:
        lines.append(("Also", ", ".join(image.aliases)))
    return lines


def _recipe_lines(recipe: Recipe, origin: str) -> list[tuple[str, str]]:
    from builder.sources.catalogue.words import fetched, means, proof

    lines = [("Comes", means(recipe)), ("Proof", proof(recipe))]
    if recipe.kind == "bootstrap":
        lines.append(("Disk", human_size(recipe.size_mib * _MIB)))
        lines += [("Besides", ", ".join(recipe.packages))] if recipe.packages else []
    elif recipe.kind == "provide":
        lines.append(("Bring", f"{recipe.supply} ({', '.join(recipe.formats)})"))
        lines += [("Inside", recipe.needs)] if recipe.needs else []
        lines += [("Offered", recipe.page)] if recipe.page else []
        lines += [("Or", 'a source of type "ISO"')] if recipe.iso else []
    else:
        lines.append(("Format", recipe.format or "as its content says"))
    if recipe.kind == "download" and recipe.note:
        lines.append(("Note", recipe.note))
    mark = fetched(recipe, origin)
    return [*lines, ("Mark", mark)] if mark else lines


def _source(image: CatalogueImage) -> dict[str, Any]:
    from builder.sources.catalogue.plans import plan_info

    source: dict[str, Any] = {
        "type": "PlatformImage",
        "publisher": image.publisher,
        "offer": image.offer,
        "sku": image.sku,
        "version": "latest",
    }
    return {**source, "planInfo": plan_info(image.plan)} if image.plan else source


def _facts(entry: CatalogueEntry) -> dict[str, Any]:
    from builder.sources.catalogue.words import fetched, means, proof

    image = entry.image
    return {
        "urn": entry.urn,
        "publisher": image.publisher,
        "offer": image.offer,
        "sku": image.sku,
        "version": entry.version,
        "versions": list(image.versions),
        "catalogue": entry.origin,
        "description": image.description,
        "osType": image.os_type,
        "generation": image.generation,
        "architecture": image.architecture,
        "devices": image.devices,
        "userName": image.user_name,
        "plan": image.plan,
        "aliases": list(image.aliases),
        "recipe": _plain(entry.recipe),
        "recipes": [
            {
                **_plain(recipe),
                "means": means(recipe),
                "proof": proof(recipe),
                "mark": fetched(recipe, entry.origin),
            }
            for recipe in entry.recipes
        ],
        "source": _source(image),
    }


def _plain(recipe: Recipe) -> dict[str, Any]:
    """The recipe as its file has it, but for what may not be shown of its addresses."""
    shown: dict[str, Any] = _shown(recipe.model_dump(mode="json", by_alias=True, exclude_none=True))
    return shown


def _shown(value: Any) -> Any:  # noqa: ANN401 - any JSON value
    from builder.download.errors import public_url

    if isinstance(value, dict):
        return {key: _shown(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_shown(item) for item in value]
    is_address = isinstance(value, str) and value.lower().startswith(("http://", "https://"))
    return public_url(value) if is_address else value


def _fetched(entry: CatalogueEntry, resolved: ResolvedSource, disk: SourceDisk) -> dict[str, Any]:
    return {
        "urn": entry.urn,
        "version": entry.version,
        "wasHere": resolved.cached,
        "identity": resolved.identity,
        "frozen": resolved.frozen,
        "size": disk.size,
        "path": str(disk.graph.top.path),
    }
