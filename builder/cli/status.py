"""`build status`: what is stale, for templates and image definitions."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from builder.cli.output import print_json, print_table

if TYPE_CHECKING:
    from builder.stale import Freshness
    from builder.status import TemplateStatus

app = typer.Typer(rich_markup_mode=None, add_completion=False)


@app.command()
def status(
    *,
    every: Annotated[
        bool, typer.Option("--all", help="Also the templates that were built here and have no schedule.")
    ] = False,
    exit_code: Annotated[
        bool,
        typer.Option("--exit-code", help="End with 1 when something is stale, failing or was never built."),
    ] = False,
    json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Show whether a build would make something else than the last good one did, and why: of each scheduled
    template, and of the newest version of each image definition. Nothing is fetched or built.
    """
    from builder.as_json import to_json
    from builder.cli.gallery_tree import looking
    from builder.registry.holder import this_host
    from builder.runs import list_runs
    from builder.stale import find_stale
    from builder.status import template_statuses

    services = looking()
    now = datetime.now(UTC)
    schedules = services.registry.list_schedules(this_host())
    templates = template_statuses(services, schedules, list_runs(services.home), now, every=every)
    definitions = find_stale(services)
    if json:
        print_json({"templates": to_json(templates), "definitions": to_json(definitions)})
    else:
        _show(templates, definitions, now, every=every)
    bad = any(one.state in ("stale", "failing", "never built") for one in templates)
    if exit_code and (bad or any(one.state == "stale" for one in definitions)):
        raise typer.Exit(1)


def _show(
    templates: list[TemplateStatus], definitions: list[Freshness], now: datetime, *, every: bool
) -> None:
    if templates:
        rows = [
            (
                one.name,
                one.state,
                _age(one.built_at, now),
                one.source_used.rpartition("/")[2],
                one.last,
                f"{one.next_at:%Y-%m-%d %H:%M}" if one.next_at else "",
                "; ".join(one.reasons),
            )
            for one in templates
        ]
        print_table(("Template", "State", "Age", "Source", "Last", "Next (UTC)", "Why"), rows)
    else:
        typer.echo(
            "No template was built here." if every else "No template is scheduled; --all shows the others."
        )
    if definitions:
        typer.echo()
        lines = [(one.label, one.state, one.source, "; ".join(one.reasons), one.todo) for one in definitions]
        print_table(("Newest version", "State", "Made from", "Why", "What to do"), lines)


def _age(built: datetime | None, now: datetime) -> str:
    if built is None:
        return ""
    hours = (now - built).total_seconds() / 3600
    return f"{hours / 24:.0f} d" if hours >= 48 else f"{hours:.0f} h"
