"""`build gallery usage` and `build gallery advise`: what copies would be billed as, how many are needed."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from builder.cli.lazy import examples
from builder.cli.output import human_size, print_json, print_table, write_text

if TYPE_CHECKING:
    from builder.registry.store import Registry
    from builder.usage.advice import Advice
    from builder.usage.billing import VersionUsage
    from builder.usage.report import PricedLine, Report

_USAGE = examples(
    "build gallery usage",
    "build gallery usage mygallery/web --month 2026-11",
    "build gallery usage mygallery/web/1.0.0 --json",
    'build gallery usage --prices-template > "$GOLDSMITH_HOME/prices.toml"',
)
_ADVISE = examples(
    "build gallery advise --vms 200 --regions westeurope,eastus",
    "build gallery advise --scale-sets 3 --json",
)


def register(app: typer.Typer) -> None:
    """Add the verbs to `build gallery`."""
    app.command(epilog=_USAGE)(usage)
    app.command(epilog=_ADVISE)(advise)


def usage(
    what: Annotated[
        str | None,
        typer.Argument(
            metavar="GALLERY|DEFINITION|VERSION",
            help="Name or ARM id. Default: all galleries.",
        ),
    ] = None,
    *,
    month: Annotated[
        str | None, typer.Option(help="What this month (2026-11) costs when everything stays, not any month.")
    ] = None,
    prices_template: Annotated[
        bool, typer.Option("--prices-template", help="Print a file of prices to fill in, and nothing else.")
    ] = False,
    json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Show what Azure would bill of gallery versions: snapshots of the used size, egress to other regions.

    Here copies on one file system share their blocks and cost nothing more. Prices are your own: without a
    file of them only sizes are shown.
    """
    from builder.as_json import to_json
    from builder.cli.images import open_registry
    from builder.settings import Home, load_settings
    from builder.usage.month import Month
    from builder.usage.prices import TEMPLATE, load_prices
    from builder.usage.report import report

    if prices_template:
        write_text(TEMPLATE, None)
        return
    when = Month.of(month) if month else None
    home = Home()
    prices = load_prices(home, load_settings(home))
    found = report(_usages(open_registry(), what), prices, when)
    if json:
        print_json({**to_json(found), "month": month, "pricesFile": str(prices.file) if prices else None})
        return
    _show(found, month)


def advise(
    *,
    vms: Annotated[int, typer.Option(help="So many VMs are created at the same time in each region.")] = 0,
    scale_sets: Annotated[
        int, typer.Option(help="So many scale sets are created at the same time in each region.")
    ] = 0,
    instances: Annotated[int, typer.Option(help="Of each scale set; one replica carries up to 600.")] = 600,
    regions: Annotated[str, typer.Option(help="Regions with commas between them; default: one.")] = "",
    json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Say how many replicas a version should have in each region, for VMs or scale sets created at once.

    One replica for 20 VMs, one for a scale set of up to 600 instances (Microsoft's guidance), and a tenth
    more, at least one.
    """
    from builder.as_json import to_json
    from builder.settings import Home, load_settings
    from builder.usage.advice import advise as advice_for

    names = [name.strip() for name in regions.split(",") if name.strip()]
    limit = load_settings(Home()).limit_replicas
    advice = advice_for(
        vms=vms, scale_sets=scale_sets, instances=instances, regions=names or [""], limit=limit
    )
    if json:
        print_json(to_json(advice))
        return
    _show_advice(advice)


def _usages(registry: Registry, what: str | None) -> list[VersionUsage]:
    """Of the published versions that `what` names. Raises NotFoundError, UsageError."""
    from builder.registry.lookup import definition_id, gallery_id, version_id
    from builder.usage.billing import usage_of
    from templates.arm_id import ResourceId

    depth = 0
    if what is not None:
        depth = len(ResourceId.parse(what).names) if what.startswith("/") else what.count("/") + 1
    if what is not None and depth == 3:
        version = registry.find_version(version_id(registry, what))
        return [usage_of(version, registry.find_definition(version.definition_id).label)]
    if what is not None and depth == 1:
        definitions = registry.list_definitions(registry.find_gallery(gallery_id(registry, what)).id)
    elif what is not None:
        definitions = [registry.find_definition(definition_id(registry, what))]
    else:
        definitions = registry.list_definitions()
    return [
        usage_of(version, definition.label)
        for definition in definitions
        for version in registry.list_versions(definition.id)
        if version.state == "Succeeded"
    ]


def _show(found: Report, month: str | None) -> None:
    from builder.usage.report import money_text

    if not found.lines:
        typer.echo("There are no published versions here; nothing would be billed.")
        return
    columns = ["Version", "Region", "Storage", "Replicas", "Used", "Snapshots", "Billed", "Egress"]
    if found.money is not None:
        columns += [f"In {month}" if month else "A month", "Once"]
    print_table(columns, [_row(one) for one in found.lines])
    sums = found.total
    typer.echo(
        f"\n{sums.snapshots} snapshots, {human_size(sums.billed)} billed; "
        f"{human_size(sums.egress)} to other regions."
    )
    if found.money is not None:
        typer.echo(f"{money_text(found.money, f'in {month}' if month else 'a month')}.")
    else:
        sys.stderr.write("Without prices.toml only sizes are known: build gallery usage --prices-template\n")


def _row(one: PricedLine) -> tuple[object, ...]:
    line = one.line
    row: tuple[object, ...] = (
        one.version,
        line.region,
        line.storage_account_type,
        line.replicas,
        human_size(line.used),
        line.snapshots,
        human_size(line.billed),
        human_size(line.egress),
    )
    if one.cost is None:
        return row
    return (*row, *("?" if part is None else f"{part:.2f}" for part in (one.cost.storage, one.cost.egress)))


def _show_advice(advice: Advice) -> None:
    for one in advice.regions:
        where = f"{one.region}: " if one.region else ""
        typer.echo(f"{where}{one.advised} replicas ({one.needed} by the guidance, the rest to be safe)")
    for note in advice.notes:
        typer.echo(f"note: {note}")
    if any(one.region for one in advice.regions):
        regions = ", ".join(
            f'{{ "name": "{one.region}", "replicaCount": {one.advised} }}' for one in advice.regions
        )
        typer.echo(f'\nIn a template:\n\n"targetRegions": [ {regions} ]')
