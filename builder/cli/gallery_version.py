"""`build gallery version`: image versions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from builder.cli import gallery_version_create
from builder.cli.definition_options import Tags, pairs
from builder.cli.images import Json, Yes, confirm, open_registry, print_facts
from builder.cli.output import human_size, print_json, print_table
from builder.errors import UsageError

if TYPE_CHECKING:
    from builder.registry.records import ReplicaRecord, VersionRecord

app = typer.Typer(
    rich_markup_mode=None,
    add_completion=False,
    no_args_is_help=True,
    help="Look after image versions.",
)

Version = Annotated[
    str, typer.Argument(metavar="VERSION", help="GALLERY/DEFINITION/1.0.0 (or latest, @CHANNEL), or ARM id.")
]
Region = Annotated[str | None, typer.Option("--region", "-r", help="As seen from this region.")]


@app.command("list")
def list_(
    definition: Annotated[
        str | None, typer.Argument(metavar="DEFINITION", help="GALLERY/DEFINITION or ARM id. Default: all.")
    ] = None,
    *,
    limit: Annotated[int | None, typer.Option("--limit", min=1, help="At most so many.")] = None,
    after: Annotated[
        str | None, typer.Option("--after", metavar="VERSION", help="Those after it: the next page.")
    ] = None,
    json: Json = False,
) -> None:
    """List the versions of an image definition, or of all, the newest first."""
    from builder.as_json import to_json
    from builder.registry.lookup import definition_id, version_id

    registry = open_registry()
    wanted = registry.find_definition(definition_id(registry, definition)).id if definition else None
    if after is not None:
        is_number = wanted is not None and "/" not in after
        after = f"{wanted}/versions/{after}" if is_number else version_id(registry, after)
    records = registry.list_versions(wanted, limit=limit, after=after)
    if json:
        print_json(to_json(records))
    elif not records:
        typer.echo("There are no versions here yet; a SharedImage target makes one.")
    else:
        print_table(("Version", "State", "Latest?", "Regions", "On disk", "Published (UTC)"), _rows(records))


@app.command()
def show(version: Version, *, region: Region = None, json: Json = False) -> None:
    """Show an image version and its copies."""
    from builder.registry.lookup import version_id

    registry = open_registry()
    show_version(registry.find_version(version_id(registry, version), region), json=json)


@app.command()
def delete(
    version: Version,
    *,
    yes: Yes = False,
    force: Annotated[
        bool,
        typer.Option(
            "--force",
            help="Also when a channel points to it, or a region cannot be reached (what lies there stays).",
        ),
    ] = False,
) -> None:
    """Delete an image version and its files in every region; `latest` is refused."""
    from builder.registry.lookup import version_id
    from builder.replication.place import Places
    from builder.replication.removal import delete_version
    from builder.settings import Home, load_settings
    from templates.arm_id import parse_image_version

    registry = open_registry()
    found = parse_image_version(version_id(registry, version))
    confirm(f"Delete version {found.version} of {found.gallery_name}/{found.definition_name}?", yes=yes)
    home = Home()
    places = Places(home, load_settings(home))
    deleted, left = delete_version(registry, places, str(found), force=force)
    typer.echo(f"Deleted {deleted.id}")
    for location in left:
        typer.echo(f"warning: {location} stays, and nothing names it any more.", err=True)


@app.command()
def update(
    version: Version,
    *,
    end_of_life: Annotated[
        str | None, typer.Option("--end-of-life", metavar="DATE", help='2027-12-31, or "" for none.')
    ] = None,
    exclude: Annotated[
        bool | None, typer.Option("--exclude-from-latest/--include-in-latest", help="In every region.")
    ] = None,
    exclude_in: Annotated[
        list[str] | None, typer.Option("--exclude-in", metavar="REGION", help="From latest there; repeated.")
    ] = None,
    include_in: Annotated[
        list[str] | None,
        typer.Option("--include-in", metavar="REGION", help="There it counts, excluded or not; repeated."),
    ] = None,
    as_version_in: Annotated[
        list[str] | None,
        typer.Option("--follow-in", metavar="REGION", help="There it does as everywhere; repeated."),
    ] = None,
    block: Annotated[
        bool | None,
        typer.Option(
            "--block-deletion-before-end-of-life/--no-block-deletion-before-end-of-life",
            help="Refuse to delete it before.",
        ),
    ] = None,
    tags: Tags = None,
    json: Json = False,
) -> None:
    """Change what may change of a published version; its regions: `build gallery version regions`."""
    from builder.as_json import to_json
    from builder.registry.lookup import version_id

    flags = {
        **dict.fromkeys(exclude_in or (), True),
        **dict.fromkeys(include_in or (), False),
        **dict.fromkeys(as_version_in or (), None),
    }
    if (end_of_life, exclude, block, tags) == (None, None, None, None) and not flags:
        raise UsageError("What is to change?", hint="See: build gallery version update --help")
    registry = open_registry()
    record = registry.update_version(
        registry.find_version(version_id(registry, version)).id,
        end_of_life=end_of_life,
        exclude_from_latest=exclude,
        exclude_in=flags,
        block_deletion_before_end_of_life=block,
        tags=None if tags is None else pairs("--tag", tags),
    )
    if json:
        print_json(to_json(record))
    else:
        typer.echo(f"Updated {record.id}")


@app.command()
def revoke(
    version: Version,
    *,
    reason: Annotated[str, typer.Option("--reason", help="Why; whoever meets it is told.")],
    descendants: Annotated[
        bool, typer.Option("--descendants", help="Also the versions that were made from it.")
    ] = False,
    json: Json = False,
) -> None:
    """Let nobody build on a version any more; it stays, and 'latest' passes it over."""
    from builder.cli.lineage import tell_revoked
    from builder.registry.lookup import version_id

    registry = open_registry()
    record = registry.find_version(version_id(registry, version))
    tell_revoked(registry, record, reason, descendants=descendants, json=json)


@app.command()
def unrevoke(version: Version) -> None:
    """Allow a version as a source again."""
    from builder.registry.lookup import version_id

    registry = open_registry()
    typer.echo(f"{registry.unrevoke_version(version_id(registry, version)).id} may be a source again")


gallery_version_create.register(app)


def show_version(record: VersionRecord, *, json: bool) -> None:
    """Print one version."""
    from builder.as_json import to_json
    from builder.cli.lineage import made_of, revoked_text

    found = open_registry().list_channels(record.definition_id)
    channels = [channel.name for channel in found if channel.version == record.version]
    if json:
        print_json({**to_json(record), "channels": channels})
        return
    print_facts(
        ("Id", record.id),
        ("Version", record.version),
        ("State", record.state),
        ("OS", f"{record.os_type}, {record.os_state}, generation {record.generation}"),
        ("Size", human_size(record.size)),
        ("Content", record.digest),
        ("Latest", _excluded(record)),
        ("End of life", _end_of_life(record)),
        ("Revoked", revoked_text(record)),
        ("Channels", ", ".join(f"@{name}" for name in channels)),
        ("Source", record.source),
        ("Template", record.template),
        ("Made of", made_of(record.lineage)),
        ("Run", record.run_id),
        ("Published", f"{record.published_at:%Y-%m-%d %H:%M:%S} UTC" if record.published_at else ""),
        ("Tags", ", ".join(f"{name}={value}" for name, value in record.tags.items())),
    )
    if record.replicas:
        typer.echo()
        rows = [
            (r.region, r.count, r.storage_account_type, _state(r), "yes" if r.usable else "no", r.location)
            for r in record.replicas
        ]
        print_table(("Region", "Replicas", "Storage", "Replication", "Usable", "File"), rows)
    disks = [
        (r.region, disk.lun, human_size(disk.size), disk.path)
        for r in record.replicas
        for disk in r.data_disks
    ]
    if disks:
        typer.echo()
        print_table(("Region", "Data disk", "Size", "File"), disks)


def _state(replica: ReplicaRecord) -> str:
    """Azure's state of a region, and how much of the data is there."""
    total = sum(copy.bytes_total for copy in replica.copies)
    if replica.state == "Completed" or not total:
        return replica.state
    return f"{replica.state}, {100 * sum(copy.bytes_done for copy in replica.copies) // total} %"


def _excluded(record: VersionRecord) -> str:
    """From which latest it is excluded."""
    flags = {replica.region: replica.exclude_from_latest for replica in record.replicas}
    words = ["excluded"] if record.exclude_from_latest else []
    words += [f"excluded in {region}" for region, flag in flags.items() if flag]
    words += [f"not excluded in {region}" for region, flag in flags.items() if flag is False]
    return ", ".join(words)


def _end_of_life(record: VersionRecord) -> str:
    if record.end_of_life is None:
        return ""
    kept = ", not to be deleted before" if record.block_deletion_before_end_of_life else ""
    return f"{record.end_of_life}{kept}"


def _rows(records: list[VersionRecord]) -> list[tuple[object, ...]]:
    rows: list[tuple[object, ...]] = []
    for record in records:
        main = record.replica()
        rows.append(
            (
                "/".join((*record.id.split("/")[8:11:2], record.version)),
                record.state,
                "revoked" if record.revoked_at else "excluded" if record.exclude_from_latest else "",
                ", ".join(replica.region for replica in record.replicas),
                human_size(main.size_on_disk) if main else "",
                f"{record.published_at:%Y-%m-%d %H:%M}" if record.published_at else "",
            )
        )
    return rows
