"""`build cache`: the layers and finished images that builds go on from."""

from __future__ import annotations

import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from builder.cli.output import human_size, print_json, print_table
from builder.errors import UsageError

if TYPE_CHECKING:
    from builder.layers.arrival import Imported
    from builder.layers.budget import Victim
    from builder.layers.cache import Cache
    from builder.layers.inventory import Item
    from builder.layers.transfer import Exported
    from builder.settings import Home

app = typer.Typer(
    rich_markup_mode=None,
    add_completion=False,
    no_args_is_help=True,
    help="Look after the layers and finished images that builds go on from. LAYER is the beginning of an id.",
)

Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Only say what would go.")]

_DIGITS = 12
_DAY = 86400.0


@app.command("list")
def list_(*, json: Json = False) -> None:
    """List layers and finished images, each layer after the one it lies on."""
    from builder.as_json import to_json
    from builder.layers.inventory import items

    _, cache = _open()
    found = items(cache)
    if json:
        print_json(to_json(found))
    elif not found:
        typer.echo("The cache is empty; a build fills it.")
    else:
        rows = [_row(item) for item in found]
        print_table(("Id", "Kind", "Name", "Template", "Made", "Used", "Disk", "Memory", "Lies on"), rows)


@app.command()
def du(*, json: Json = False) -> None:
    """Say what the cache takes, by kind, and what it may take."""
    from builder.as_json import to_json
    from builder.layers.inventory import usage

    found = usage(*_open())
    if json:
        print_json(to_json(found))
        return
    rows = [
        (kind.kind, kind.count, human_size(kind.size), "" if kind.prunable else "not pruned")
        for kind in found.kinds
    ]
    print_table(("Kind", "Count", "Size", ""), rows)
    typer.echo(f"Used:   {human_size(found.used)} of {human_size(found.budget)} (setting cache_size_gib)")
    if found.room < found.budget:
        typer.echo(f"        {human_size(found.room)} until there is more room on the disk")
    typer.echo(f"Free:   {human_size(found.free)} on the disk")


@app.command()
def prune(
    *,
    all_: Annotated[bool, typer.Option("--all", "-a", help="Everything, warm bases too.")] = False,
    older_than: Annotated[
        str | None, typer.Option("--older-than", metavar="AGE", help="What was not used for 12h, 7d, 2w.")
    ] = None,
    memory: Annotated[bool, typer.Option("--memory", help="Only memory snapshots; disks stay.")] = False,
    keep_warm: Annotated[bool, typer.Option("--keep-warm", help="Spare warm bases.")] = False,
    dry_run: DryRun = False,
    json: Json = False,
) -> None:
    """Take away what is over the budget, or what the options say.

    The budget is the setting cache_size_gib; docs/under-the-hood.md says what goes first. A layer
    stays as long as one that stays lies on it. Builds under way are not harmed: they have links of
    their own. Source disks and downloads are not touched.
    """
    from builder.layers.prune import Choice, choose
    from builder.spans import span

    home, cache = _open()
    since = None if older_than is None else time.time() - span(older_than, "--older-than").total_seconds()
    choice = Choice(all_, since, memory, keep_warm)
    try:
        names = {layer.meta.id: layer.meta.name for layer in cache.layers.all()}
        chosen = choose(cache.entries(), choice, cache.room())
        if not dry_run:
            cache.remove(chosen)
    except OSError as error:
        raise home.unusable(error) from error
    _show_pruned(chosen, names, dry_run=dry_run, json=json)


@app.command()
def export(
    file: Annotated[Path, typer.Argument(help="The file; .gz or .tgz at its end compresses it.")],
    layers: Annotated[
        list[str] | None, typer.Argument(metavar="LAYER", help="These, with what they lie on.")
    ] = None,
    *,
    template: Annotated[str, typer.Option("--template", help="Those of the template of that name.")] = "",
    with_base: Annotated[
        bool, typer.Option("--with-base", help="The disks of their sources, too (cache/bases).")
    ] = False,
    finished: Annotated[bool, typer.Option("--finished", help="Finished images, too.")] = False,
    no_memory: Annotated[bool, typer.Option("--no-memory", help="Leave memory snapshots out.")] = False,
    json: Json = False,
) -> None:
    """Write layers into a file for another machine.

    All of them, or those of LAYER or --template with what they lie on. A bootstrapped base
    is never made twice alike: for a machine that has not got this one's, give --with-base. Memory
    snapshots may hold whatever the guest knew: keep the file private.
    """
    from builder.layers import transfer
    from builder.sources.bases import BaseCache

    if layers and (template or finished):
        raise UsageError(
            "LAYER together with --template or --finished: which of them?", hint="Give one or the other."
        )
    home, cache = _open()
    try:
        selection = transfer.select(
            cache,
            BaseCache(home.bases),
            layers or (),
            template=template,
            images=finished,
            with_base=with_base,
        )
        done = transfer.export(home, selection, file, memory=not no_memory)
    except OSError as error:
        raise _not_written(file, error) from error
    _show_exported(done, json=json)


@app.command("import")
def import_(
    file: Annotated[Path, typer.Argument(help="What 'build cache export' wrote.")], *, json: Json = False
) -> None:
    """Take in what 'build cache export' wrote, all or nothing.

    Everything is verified before anything moves in. What is here already stays. The sums in
    the file find damage, not malice: import only what comes from where you trust.
    """
    from builder.as_json import to_json
    from builder.layers.arrival import import_file

    home, cache = _open()
    home.ensure()
    done = import_file(home, cache, file)
    over = sum(victim.size for victim in cache.over())
    if json:
        print_json({**to_json(done), "over": over})
        return
    _show_imported(done)
    if over:
        typer.echo(
            f"The cache is {human_size(over)} over its budget; the next build or 'build cache prune' takes "
            "that away. The setting cache_size_gib allows more."
        )


def _open() -> tuple[Home, Cache]:
    from builder.layers.cache import Cache
    from builder.settings import Home, load_settings

    home = Home()
    home.check()
    return home, Cache.of(home, load_settings(home))


def _row(item: Item) -> tuple[str, ...]:
    return (
        item.id[:_DIGITS],
        item.kind,
        item.name,
        item.template,
        _age(item.created),
        _age(item.last_used),
        human_size(item.disk),
        human_size(item.memory) if item.memory else "-",
        item.lies_on[:_DIGITS] or f"source {item.source[:8]}",
    )


def _age(moment: datetime) -> str:
    seconds = max(0.0, (datetime.now(UTC) - moment).total_seconds())
    for unit, name in ((_DAY, "d"), (3600.0, "h"), (60.0, "min")):
        if seconds >= unit:
            return f"{seconds // unit:.0f} {name} ago"
    return "now"


def _show_pruned(chosen: list[Victim], names: dict[str, str], *, dry_run: bool, json: bool) -> None:
    freed = sum(victim.size for victim in chosen)
    if json:
        print_json(
            {
                "dryRun": dry_run,
                "freed": freed,
                "removed": [
                    {"what": one.what, "id": one.name, "name": names.get(one.name, ""), "size": one.size}
                    for one in chosen
                ],
            }
        )
    elif not chosen:
        typer.echo("Nothing to take away.")
    else:
        rows = [
            (one.what, one.name[:_DIGITS], names.get(one.name, ""), human_size(one.size)) for one in chosen
        ]
        print_table(("What", "Id", "Name", "Size"), rows)
        typer.echo(f"{len(chosen)} {'would go' if dry_run else 'removed'}, {human_size(freed)} on the disk.")


def _show_exported(done: Exported, *, json: bool) -> None:
    if json:
        from builder.as_json import to_json

        print_json(to_json(done))
    else:
        typer.echo(f"Wrote {done.file}: {_counted(done)}, {human_size(done.size)}.")
    if done.without_base:
        sys.stderr.write(
            "note: what these layers lie on was bootstrapped here and cannot be made again alike; a machine "
            "without it needs it: --with-base.\n"
        )


def _show_imported(done: Imported) -> None:
    typer.echo(f"Imported {_counted(done)}; {len(done.already_here)} were here already.")
    if done.other_making:
        typer.echo(f"{len(done.other_making)} left out: this machine made them, or what they lie on, itself.")
    if done.without_base:
        typer.echo(
            "warning: the base below some of these layers is not on this machine; until it comes "
            "(build cache export --with-base), they are of no use.",
            err=True,
        )


def _counted(done: Exported | Imported) -> str:
    counts = [
        (len(done.layers), "layer"),
        (len(done.images), "finished image"),
        (len(done.bases), "source disk"),
    ]
    said = [
        f"{count} {noun}{'' if count == 1 else 's'}" for count, noun in counts if count or noun == "layer"
    ]
    return ", ".join(said)


def _not_written(file: Path, error: OSError) -> Exception:
    from builder.errors import EnvironmentProblem

    return EnvironmentProblem(
        f"{file} cannot be written: {error.strerror or error}.",
        hint="Choose a folder that you can write and that has room.",
    )
