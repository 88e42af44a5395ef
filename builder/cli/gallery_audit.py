"""`build gallery audit`: who did what, and who was not allowed to."""

from __future__ import annotations

from typing import Annotated

import typer

from builder.cli.lazy import examples
from builder.cli.output import print_json, print_table

_AUDIT = examples(
    "build gallery audit",
    "build gallery audit mygallery/web --since 7d",
    "build gallery audit --denied --json",
)


def register(app: typer.Typer) -> None:
    """Add the verb to `build gallery`."""
    app.command(epilog=_AUDIT)(audit)


def audit(
    scope: Annotated[
        str,
        typer.Argument(metavar="SCOPE", help="As for 'build access'. Default: all that you may read."),
    ] = "/",
    *,
    since: Annotated[
        str | None, typer.Option("--since", metavar="AGE", help="Not older than 12h, 7d, 2w.")
    ] = None,
    denied: Annotated[bool, typer.Option("--denied", help="Only what was not allowed.")] = False,
    limit: Annotated[int, typer.Option("--limit", min=1, help="The newest, at most.")] = 100,
    json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Show what was changed in galleries and managed images, and what was refused, the newest first."""
    from datetime import UTC, datetime

    from builder.as_json import to_json
    from builder.cli.images import open_registry
    from builder.registry.access import short
    from builder.registry.lookup import scope_id
    from builder.settings import Home, load_settings
    from builder.spans import span

    oldest = None if since is None else datetime.now(UTC) - span(since, "--since")
    registry = open_registry()
    place = scope_id(registry, scope, load_settings(Home()).subscription_id)
    found = registry.list_audit(None if place == "/" else place, since=oldest, denied=denied, limit=limit)
    if json:
        print_json(to_json(found))
    elif not found:
        typer.echo("Nothing that you may see was changed or refused.")
    else:
        rows = [
            (
                f"{one.at:%Y-%m-%d %H:%M:%S}",
                one.caller,
                one.outcome,
                one.action.removeprefix("Microsoft.Compute/"),
                short(one.scope),
                one.details,
            )
            for one in found
        ]
        print_table(("Time (UTC)", "Who", "Outcome", "Action", "Scope", "Details"), rows)
