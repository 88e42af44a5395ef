"""`build gallery tree` and `build gallery stale`: what was made from what, and what of it is old."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from builder.cli.images import Json, open_registry
from builder.cli.output import print_json, print_table

if TYPE_CHECKING:
    from builder.family import Member
    from builder.registry.store import Registry
    from builder.services import Services

# Reading a medium again is the longest of it.
_LIMIT = 3600.0

Scope = Annotated[
    str | None,
    typer.Argument(
        metavar="WHAT",
        help="GALLERY, GALLERY/DEFINITION, GALLERY/DEFINITION/1.0.0 (or latest, @CHANNEL), a managed image's "
        "GROUP/NAME, or ARM id. Default: everything.",
    ),
]


def register(app: typer.Typer) -> None:
    """Add both to `build gallery`."""
    app.command()(tree)
    app.command()(stale)


def tree(what: Scope = None, *, json: Json = False) -> None:
    """Show what was made from what: from the marketplace image or medium down.

    Of WHAT: what it was made from, and what was made from it.
    """
    from builder.family import Known, family

    registry = open_registry()
    scope = scope_id(registry, what) if what else ""
    versions = registry.list_versions()
    channels: dict[str, list[str]] = {}
    for channel in registry.list_channels():
        channels.setdefault(channel.version_id, []).append(channel.name)
    newest: dict[str, str] = {}  # of what the caller sees; the list has the highest numbers first
    for version in versions:
        if version.state == "Succeeded" and not version.exclude_from_latest and version.revoked_at is None:
            newest.setdefault(version.definition_id, version.id)
    latest = frozenset(newest.values())
    roots = family(Known(versions, registry.list_images(), channels, latest), scope)
    if json:
        print_json(list(_facts(roots)))
    elif not roots:
        typer.echo("There are no versions or managed images yet.")
    else:
        for line in _lines(roots, guides=sys.stdout.isatty()):
            typer.echo(line)


def stale(
    what: Scope = None,
    *,
    every: Annotated[
        bool,
        typer.Option("--all", help="Every version and managed image, not only the newest good versions."),
    ] = False,
    max_age: Annotated[
        str | None,
        typer.Option("--max-age", metavar="AGE", help="A base made of packages is old after this: 30d, 12h."),
    ] = None,
    exit_code: Annotated[
        bool, typer.Option("--exit-code", help="End with 1 when something is stale.")
    ] = False,
    json: Json = False,
) -> None:
    """Show whether what versions were made from has something newer, and what to do. Nothing is fetched."""
    from builder.as_json import to_json
    from builder.spans import span
    from builder.stale import find_stale

    services = looking()
    scope = scope_id(services.registry, what) if what else ""
    limit = None if max_age is None else span(max_age, "--max-age").total_seconds()
    found = find_stale(services, scope, every=every, max_age=limit)
    if json:
        print_json(to_json(found))
    elif not found:
        typer.echo("There are no versions here yet.")
    else:
        rows = [(one.label, one.state, one.source, "; ".join(one.reasons), one.todo) for one in found]
        print_table(("What", "State", "Made from", "Why", "What to do"), rows)
    if exit_code and any(one.state == "stale" for one in found):
        raise typer.Exit(1)


def scope_id(registry: Registry, text: str) -> str:
    """The id of what a person names. Raises NotFoundError, UsageError."""
    from builder.errors import NotFoundError
    from builder.registry.lookup import definition_id, gallery_id, image_id, version_id
    from builder.settings import Home, load_settings

    count = len(text.split("/")) if not text.startswith("/") else 0
    if "/versions/" in text.casefold() or count == 3:
        return registry.find_version(version_id(registry, text)).id
    if not count:
        found = registry.find_by_key(text) if "/images/" in text.casefold() else None
        return found.id if found is not None else text.rstrip("/")
    try:
        if count == 1:
            return gallery_id(registry, text)
        return registry.find_definition(definition_id(registry, text)).id
    except NotFoundError as missing:
        try:
            return registry.find_image(image_id(registry, text, load_settings(Home()).subscription_id)).id
        except NotFoundError:
            raise missing from None


def looking() -> Services:
    """What a look at this machine's records needs."""
    from builder.deadline import Deadline
    from builder.services import Services
    from builder.settings import Home, load_settings

    home = Home()
    return Services.of(home, load_settings(home), Deadline(_LIMIT))


def _facts(roots: Sequence[Member]) -> Iterator[dict[str, object]]:
    """Flat, parents first: a line of a thousand patches would be nested too deep for any JSON reader."""
    from builder.as_json import to_json

    for depth, parent, member, _ends in _walk(roots):
        yield {
            "id": member.id,
            "label": member.label,
            "kind": member.kind,
            "marks": list(member.marks),
            "created": to_json(member.created),
            "revoked": member.reason,
            "parent": (parent.id or parent.label) if parent is not None else "",
            "depth": depth,
        }


def _lines(roots: Sequence[Member], *, guides: bool) -> Iterator[str]:
    """With guides on a terminal; in a pipe every level is two blanks."""
    for depth, _parent, member, ends in _walk(roots):
        indent = "  " * depth
        if guides and depth:
            stems = "".join("   " if end else "│  " for end in ends[1:-1])
            indent = f"{stems}{'└─ ' if ends[-1] else '├─ '}"
        marks = f"  [{', '.join(member.marks)}]" if member.marks else ""
        made = f"  {member.created:%Y-%m-%d}" if member.created is not None else ""
        why = f"  {member.reason}" if member.reason else ""
        kind = "  managed image" if member.kind == "image" else ""
        yield f"{indent}{member.label}{kind}{made}{marks}{why}"


def _walk(roots: Sequence[Member]) -> Iterator[tuple[int, Member | None, Member, tuple[bool, ...]]]:
    """Depth, parent, member, and whether it and each above it is the last of its siblings."""
    todo: list[tuple[Member | None, Member, tuple[bool, ...]]] = []
    for number, root in enumerate(roots):
        todo.insert(0, (None, root, (number == len(roots) - 1,)))
    while todo:
        parent, member, ends = todo.pop()
        yield len(ends) - 1, parent, member, ends
        last = len(member.children) - 1
        below = [(member, child, (*ends, number == last)) for number, child in enumerate(member.children)]
        todo += below[::-1]
