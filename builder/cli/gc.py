"""`build gc`: clear away what interrupted builds left behind."""

from __future__ import annotations

from typing import Annotated

import typer

from builder.cli.output import human_size, print_json, print_table

app = typer.Typer(rich_markup_mode=None, add_completion=False)


@app.command()
def gc(
    *,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would go.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
) -> None:
    """Clear away what interrupted builds left behind; builds under way are not touched.

    Goes: workspaces and QEMUs of dead builds, their reserved versions, VHDs that no image or version
    names, cached bases of deleted images, stale downloads and temporary files, blobs of uploads that
    did not end, kept disks older than the setting keep_for_days, lines of the registry's audit older than
    audit_days, layers that no build can use, and of the cache what is over the setting cache_size_gib.
    Interrupted runs are marked as failed.
    Exit code 1 when something could not be removed.
    """
    from builder.gc import collect
    from builder.layers.cache import Cache
    from builder.settings import Home, load_settings

    home = Home()
    home.check()
    settings = load_settings(home)
    registry = None
    if settings.registry_url is not None or home.registry.exists():
        from builder.registry.store import Registry

        registry = Registry.of(home, settings)
    cache = Cache.of(home, settings)
    report = collect(
        home,
        registry,
        cache,
        dry_run=dry_run,
        keep_days=settings.keep_for_days,
        audit_days=settings.audit_days,
    )
    if json:
        print_json({"dryRun": dry_run, "freed": report.freed, "removed": report.removed, "left": report.left})
    else:
        verb = "would go" if dry_run else "removed"
        if report.removed:
            rows = [(item.kind, item.name, human_size(item.size), item.reason) for item in report.removed]
            print_table(("Kind", "Name", "Size", "Why"), rows)
            typer.echo(f"{len(report.removed)} {verb}, {human_size(report.freed)} on the disk.")
        else:
            typer.echo("Nothing to clear away.")
        for item in report.left:
            typer.echo(f"left: {item.kind} {item.name}: {item.reason}", err=True)
    if report.left:
        raise typer.Exit(1)
