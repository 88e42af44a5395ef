"""`build gallery replicate`, `status`, `verify`, `regions`: where versions are, and how sound."""

from __future__ import annotations

import re
import sys
from typing import TYPE_CHECKING, Annotated

import typer

from builder.cli.images import Json, open_registry
from builder.cli.output import human_size, print_json, print_table
from builder.errors import ExitCode, UsageError

if TYPE_CHECKING:
    from builder.registry.records import CopyRecord, ReplicaRecord, VersionRecord
    from builder.registry.store import Registry
    from builder.replication.place import Places

_NUMBER = re.compile("[0-9]{1,9}")

Versions = Annotated[
    list[str] | None,
    typer.Argument(metavar="VERSION", help="GALLERY/DEFINITION/1.0.0 (or latest), or ARM id."),
]
Region = Annotated[str | None, typer.Option("--region", "-r", help="Only in this region.")]
Jobs = Annotated[
    int | None, typer.Option("--jobs", min=1, max=32, help="Replicas at a time. Default: replication_jobs.")
]


def replicate(
    versions: Versions = None,
    *,
    all_: Annotated[bool, typer.Option("--all", help="Every version that is not complete.")] = False,
    region: Region = None,
    jobs: Jobs = None,
    prune: Annotated[
        bool, typer.Option("--prune", help="Remove files in the places that no version names; copy nothing.")
    ] = False,
    json: Json = False,
) -> None:
    """Make the replicas that are missing: go on where it stopped, try again what failed.

    Exit code 5 when some could not be made.
    """
    from builder.replication.session import replicate_all

    registry = open_registry()
    if prune:
        _prune(registry, region, json=json)
        return
    if not versions and not all_:
        raise UsageError("Which versions?", hint="Name them, or say --all.")
    found = _records(registry, versions, region) if versions else registry.list_incomplete(region)
    wanted = [one.id for one in found]
    code = replicate_all(registry, _places(), wanted, region=region, jobs=jobs or _jobs(), json=json)
    if code != ExitCode.OK:
        raise typer.Exit(int(code))


def status(versions: Versions = None, *, region: Region = None, json: Json = False) -> None:
    """Show how far replication is, per region and replica. Default: the versions that are not complete."""
    from builder.as_json import to_json

    registry = open_registry()
    records = _records(registry, versions, region) if versions else registry.list_incomplete(region)
    if json:
        print_json(
            [
                {"id": one.id, "version": one.version, "regions": to_json(_regions_of(one, region))}
                for one in records
            ]
        )
        return
    if not records:
        typer.echo("Every version is complete in all of its regions.")
    for record in records:
        print_regions(record, region)


def verify(
    names: Annotated[
        list[str] | None, typer.Argument(metavar="NAME", help="Versions, definitions or galleries.")
    ] = None,
    *,
    all_: Annotated[bool, typer.Option("--all", help="Every version.")] = False,
    region: Region = None,
    repair: Annotated[
        bool, typer.Option("--repair", help="Make damaged replicas anew from sound ones.")
    ] = False,
    jobs: Jobs = None,
    json: Json = False,
) -> None:
    """Read every replica again and compare it with what was recorded. A damaged one is not used any more.

    Exit code 1 when one is damaged (and, with --repair, could not be made anew), 3 when a place could not be
    read.
    """
    from builder.replication.session import verify_all

    registry = open_registry()
    if not names and not all_:
        raise UsageError("Which versions?", hint="Name versions, definitions or galleries, or say --all.")
    found = [one for name in names or [""] for one in _below(registry, name)]
    _require_region(found, region)
    wanted = list(dict.fromkeys(one.id for one in found))
    code = verify_all(
        registry, _places(), wanted, region=region, repair=repair, jobs=jobs or _jobs(), json=json
    )
    if code != ExitCode.OK:
        raise typer.Exit(int(code))


def regions(*, json: Json = False) -> None:
    """List the regions that have a place, and whether it can be reached.

    A region without one in the setting 'regions' lies in the home.
    """
    from builder.errors import GoldsmithError

    registry, places = open_registry(), _places()
    rows = []
    for key in places.known():
        place, problem = places.of(key), ""
        try:
            place.check(registry.identity(), used=registry.has_copies(place.url), take=False)
        except GoldsmithError as error:
            problem = " ".join(filter(None, (error.message, error.hint)))
        rows.append({"region": key, "place": place.url, "reachable": not problem, "problem": problem})
    if json:
        print_json(rows)
    elif not rows:
        typer.echo("No region has a place yet; the first version makes one in the home.")
    else:
        cells = [(r["region"], r["place"], "yes" if r["reachable"] else "no", r["problem"]) for r in rows]
        print_table(("Region", "Place", "Reachable", "Problem"), cells)


def change_regions(
    version: Annotated[str, typer.Argument(metavar="VERSION", help="GALLERY/DEFINITION/1.0.0, or ARM id.")],
    *,
    add: Annotated[
        list[str] | None, typer.Option("--add", metavar="REGION[=N]", help="Replicate it there too, N times.")
    ] = None,
    remove: Annotated[
        list[str] | None, typer.Option("--remove", metavar="REGION", help="No longer there.")
    ] = None,
    set_: Annotated[
        list[str] | None, typer.Option("--set", metavar="REGION=N", help="Another number of replicas.")
    ] = None,
    storage: Annotated[
        str | None,
        typer.Option("--storage", help="Standard_LRS, Standard_ZRS or Premium_LRS, of what is named."),
    ] = None,
    no_wait: Annotated[bool, typer.Option("--no-wait", help="Only note it; replicate later.")] = False,
    jobs: Jobs = None,
    json: Json = False,
) -> None:
    """Add and remove regions of a version, change its replica counts, and replicate.

    Without an option: show them. The region of the image definition cannot be removed.
    """
    from builder.as_json import to_json
    from builder.replication.changing import RegionChange, change
    from builder.replication.session import replicate_all

    registry, places = open_registry(), _places()
    wanted = RegionChange(_counts(add, 1), tuple(remove or ()), _counts(set_, None), storage)
    identity = _records(registry, [version])[0].id
    if wanted.is_empty:
        if storage is not None:
            raise UsageError("--storage: of which region?", hint="Name it with --set REGION=N or --add.")
        status([identity], json=json)
        return
    record, left = change(registry, places, identity, wanted)
    for location, why in left:
        typer.echo(f"warning: {location} stays: {why}", err=True)
    if no_wait:
        if json:
            print_json({"id": record.id, "version": record.version, "regions": to_json(record.replicas)})
        else:
            typer.echo(f"Noted. Replicate: build gallery replicate {version}")
        return
    code = replicate_all(registry, places, [record.id], region=None, jobs=jobs or _jobs(), json=json)
    if code != ExitCode.OK:
        raise typer.Exit(int(code))


def print_regions(record: VersionRecord, region: str | None = None) -> None:
    """Print a version's regions, each replica on a line."""
    regions = _regions_of(record, region)
    rows = [
        (
            one.region,
            "yes" if one.usable else "no",
            copy.number,
            copy.state,
            _progress(copy),
            f"{copy.verified_at:%Y-%m-%d %H:%M}" if copy.verified_at else "",
            copy.location,
        )
        for one in regions
        for copy in one.copies
    ]
    name = "/".join((*record.id.split("/")[8:11:2], record.version))
    columns = ("Region", "Usable", "Replica", "State", "Progress", "Checked (UTC)", "File")
    print_table(columns, rows, title=name if sys.stdout.isatty() else None)
    for one in regions:
        for copy in one.copies:
            if copy.error:
                typer.echo(f"{one.region}, replica {copy.number}: {copy.error}")


def _progress(copy: CopyRecord) -> str:
    if copy.state == "Completed":
        return "100 %"
    if not copy.bytes_total:
        return ""
    share = 100 * copy.bytes_done // copy.bytes_total
    return f"{share} % of {human_size(copy.bytes_total)}"


def _prune(registry: Registry, region: str | None, *, json: bool) -> None:
    from builder.replication.removal import prune

    removed, problems = prune(registry, _places(), region)
    if json:
        print_json({"removed": removed, "problems": problems})
    else:
        for location in removed:
            typer.echo(f"Removed {location}")
        for problem in problems:
            typer.echo(f"warning: {problem}", err=True)
        if not removed and not problems:
            typer.echo("Nothing lies there that no version names.")
    if problems:
        raise typer.Exit(int(ExitCode.ENVIRONMENT))


def _records(registry: Registry, names: list[str], region: str | None = None) -> list[VersionRecord]:
    """Published versions. Raises NotFoundError when none of them is in `region`."""
    from builder.registry.lookup import version_id

    found = [registry.find_version(version_id(registry, name)) for name in names]
    _require_region(found, region)
    return found


def _require_region(versions: list[VersionRecord], region: str | None) -> None:
    """Raise NotFoundError for a region that none of these is in: a wrong name would pass for good."""
    from builder.errors import NotFoundError

    if region is None or not versions or any(_regions_of(one, region) for one in versions):
        return
    there = sorted({replica.region for one in versions for replica in one.replicas})
    raise NotFoundError(
        f"None of these versions has replicas in '{region}'.", details=(f"They are in: {', '.join(there)}",)
    )


def _regions_of(version: VersionRecord, region: str | None) -> tuple[ReplicaRecord, ...]:
    """The regions of a version, or the one asked for."""
    from builder.registry.records import region_key

    return tuple(
        one for one in version.replicas if region is None or region_key(one.region) == region_key(region)
    )


def _below(registry: Registry, name: str) -> list[VersionRecord]:
    """The published versions that a name means: all of them, a gallery's, a definition's, or one."""
    from builder.registry.lookup import definition_id, gallery_id

    parts = name.split("/") if name else []
    depth = (len(parts) - 7) // 2 if name.startswith("/") else len(parts)
    if depth == 3:
        return _records(registry, [name])
    if depth == 2:
        definitions = [registry.find_definition(definition_id(registry, name)).id]
    else:
        gallery = registry.find_gallery(gallery_id(registry, name)).id if name else None
        definitions = [one.id for one in registry.list_definitions(gallery)]
    return [v for one in definitions for v in registry.list_versions(one) if v.state == "Succeeded"]


def _counts(texts: list[str] | None, default: int | None) -> dict[str, int]:
    found: dict[str, int] = {}
    for text in texts or ():
        name, separator, number = text.partition("=")
        if not separator and default is not None:
            number = str(default)
        if not name or not _NUMBER.fullmatch(number):
            raise UsageError(f"'{text}' is not of the form REGION=N.", hint="For example eastus=2.")
        found[name] = int(number)
    return found


def _places() -> Places:
    from builder.replication.place import Places
    from builder.settings import Home, load_settings

    home = Home()
    return Places(home, load_settings(home))


def _jobs() -> int:
    from builder.settings import Home, load_settings

    return load_settings(Home()).replication_jobs
