"""`build gallery version create`: a version without a build."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from builder.cli.lazy import examples
from builder.cli.output import print_json
from builder.errors import UsageError

if TYPE_CHECKING:
    from templates.model.distribute import TargetRegion

_EPILOG = examples(
    "build gallery version create mygallery/web --from web-image",
    "build gallery version create mygallery/web/2.0.0 --from web-image --region westeurope=2 --region eastus",
    "build gallery version create other/web --from mygallery/web/1.0.3 --exclude-from-latest --json",
)
_REGION = re.compile(r"(.+?)(?:=(\d{1,4}))?")

StorageType = Literal["Standard_LRS", "Standard_ZRS", "Premium_LRS"]


def register(app: typer.Typer) -> None:
    """Add the verb to `build gallery version`."""
    app.command(epilog=_EPILOG)(create)


def create(
    target: Annotated[
        str,
        typer.Argument(
            metavar="GALLERY/DEFINITION[/x.y.z]", help="Or an ARM id. Without a number: the next one."
        ),
    ],
    *,
    source: Annotated[
        str, typer.Option("--from", metavar="IMAGE", help="A managed image, or GALLERY/DEFINITION/VERSION.")
    ],
    region: Annotated[
        list[str] | None,
        typer.Option("--region", "-r", metavar="REGION[=REPLICAS]", help="Default: the definition's own."),
    ] = None,
    storage_account_type: Annotated[
        StorageType, typer.Option("--storage-account-type", help="Of every region.")
    ] = "Standard_LRS",
    exclude_from_latest: Annotated[
        bool, typer.Option("--exclude-from-latest", help="'latest' passes it over.")
    ] = False,
    end_of_life: Annotated[str | None, typer.Option(help="A date, such as 2027-06-30.")] = None,
    from_home: Annotated[
        Path | None, typer.Option(help="The IMAGE is in this other GOLDSMITH_HOME; its data is copied.")
    ] = None,
    plain: Annotated[bool, typer.Option("--plain", help="Lines instead of a live display.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Publish a managed image or another version as an image version: links, no bytes.

    Rules and messages are those of a SharedImage target.
    """
    from builder.as_json import to_json
    from builder.interchange.copying import create_version, parse_target
    from builder.interchange.session import session
    from builder.publish import Wanted

    regions = regions_of(region or [], storage_account_type)
    until = end_of_life_of(end_of_life)
    with session("publish", plain=plain, quiet=json) as services:
        wanted = Wanted(
            definition=parse_target(services.registry, target),
            regions=regions,
            exclude_from_latest=exclude_from_latest,
            end_of_life=until,
        )
        record = create_version(services, source, wanted, from_home=from_home)
    if json:
        print_json(to_json(record))
    else:
        typer.echo(f"Published {record.id} in {', '.join(one.region for one in record.replicas)}")


def regions_of(given: list[str], storage_account_type: StorageType) -> list[TargetRegion]:
    """`westeurope=2` as a region with two replicas. Raises UsageError."""
    from templates.model.distribute import TargetRegion

    found = []
    for text in given:
        match = _REGION.fullmatch(text)
        if match is None or (match[2] is not None and int(match[2]) < 1) or "=" in match[1]:
            raise UsageError(f"--region {text}: write NAME or NAME=REPLICAS, at least 1.")
        found.append(
            TargetRegion(
                name=match[1], replica_count=int(match[2] or 1), storage_account_type=storage_account_type
            )
        )
    return found


def end_of_life_of(text: str | None) -> str | None:
    """A date as ARM writes it. Raises UsageError."""
    if text is None:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise UsageError(f"--end-of-life {text}: not a date.", hint="Write it as 2027-06-30.") from None
    aware = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    try:
        return aware.astimezone(UTC).isoformat(timespec="seconds")
    except OverflowError:  # before the first year, or after the last one
        raise UsageError(f"--end-of-life {text}: no date in UTC.", hint="Write it as 2027-06-30.") from None
