"""`build gallery prune`: deletes versions that nobody keeps."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from builder.cli.images import Json, Yes, confirm, open_registry
from builder.cli.output import human_size, print_json, print_table

if TYPE_CHECKING:
    from builder.pruning import Pruned
    from builder.registry.store import Registry


def register(app: typer.Typer) -> None:
    """Add the verb to `build gallery`."""
    app.command()(prune)


def prune(
    scope: Annotated[
        str | None, typer.Argument(metavar="SCOPE", help="GALLERY or GALLERY/DEFINITION. Default: all.")
    ] = None,
    *,
    keep_last: Annotated[
        int | None, typer.Option(metavar="N", help="Of each definition the newest N stay.")
    ] = None,
    older_than: Annotated[
        str | None, typer.Option(metavar="90d", help="Only those published longer ago.")
    ] = None,
    end_of_life: Annotated[
        bool, typer.Option("--end-of-life", help="Those as well whose end of life has passed.")
    ] = False,
    revoked: Annotated[bool, typer.Option("--revoked", help="Those as well that were revoked.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would go, and why.")] = False,
    yes: Yes = False,
    json: Json = False,
) -> None:
    """Delete old versions. What a channel points to stays, and what is latest for anyone.

    Exit code 1 when one could not be deleted.
    """
    from builder.pruning import judge
    from builder.pruning import prune as prune_definition
    from builder.replication.place import Places
    from builder.retention import Policy
    from builder.settings import Home, load_settings
    from builder.spans import span

    oldest = None if older_than is None else span(older_than, "--older-than")
    policy = Policy(keep_last, oldest, ended=end_of_life, revoked=revoked)
    policy.check()
    registry = open_registry()
    now = datetime.now(UTC)
    definitions = _definitions(registry, scope)
    if not dry_run:
        count = sum(one.goes for name in definitions for one in judge(registry, name, policy, now))
        if count:
            confirm(f"Delete {count} version{'s' if count > 1 else ''}?", yes=yes)
    home = Home()
    places = Places(home, load_settings(home))
    done = [
        one
        for name in definitions
        for one in prune_definition(registry, places, name, policy, now, dry_run=dry_run)
    ]
    _show(done, json=json, dry_run=dry_run)
    if any(one.problem for one in done):
        raise typer.Exit(1)


def _definitions(registry: Registry, scope: str | None) -> list[str]:
    """The ids of the definitions meant. Raises NotFoundError, UsageError."""
    from builder.registry.lookup import definition_id, gallery_id
    from templates.arm_id import DEFINITION_TYPE, ResourceId

    if scope is None:
        return [one.id for one in registry.list_definitions()]
    is_definition = ResourceId.parse(scope).is_a(DEFINITION_TYPE) if scope.startswith("/") else "/" in scope
    if is_definition:
        return [registry.find_definition(definition_id(registry, scope)).id]
    gallery = registry.find_gallery(gallery_id(registry, scope))
    return [one.id for one in registry.list_definitions(gallery.id)]


def _show(done: list[Pruned], *, json: bool, dry_run: bool) -> None:
    gone = [one for one in done if one.verdict.goes and not one.problem]
    if json:
        print_json(
            {
                "dryRun": dry_run,
                "freed": sum(one.freed for one in gone),
                "versions": [
                    {
                        "id": one.verdict.version.id,
                        "goes": one.verdict.goes,
                        "reason": one.verdict.reason,
                        "freed": one.freed,
                        "problem": one.problem,
                    }
                    for one in done
                ],
            }
        )
        return
    if not done:
        typer.echo("There are no versions here.")
        return
    rows = [(_label(one), _word(one, dry_run=dry_run), one.problem or one.verdict.reason) for one in done]
    print_table(("Version", "", "Why"), rows)
    freed = human_size(sum(one.freed for one in gone))
    typer.echo(f"{len(gone)} {'would go' if dry_run else 'deleted'}, {freed} on the disk.")


def _label(one: Pruned) -> str:
    return "/".join(one.verdict.version.id.split("/")[8:13:2])


def _word(one: Pruned, *, dry_run: bool) -> str:
    if one.problem:
        return "not deleted"
    if one.verdict.goes:
        return "would go" if dry_run else "deleted"
    return "stays"
