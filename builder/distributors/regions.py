"""Which regions a version goes to, by Azure's rules (aib-behaviour section 7). Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from builder.errors import PreflightError
from builder.registry.records import region_key
from builder.registry.rules import check_region

if TYPE_CHECKING:
    from templates.model.distribute import SharedImageDistributor

MAX_REPLICAS = 100


@dataclass(frozen=True, slots=True)
class PlannedRegion:
    """One region of a version to be."""

    name: str
    count: int
    storage_account_type: str


def plan_regions(
    model: SharedImageDistributor, location: str, most: int = MAX_REPLICAS
) -> list[PlannedRegion]:
    """The regions `model` asks for, or `location` (the definition's) when it names none.

    `replicationRegions` is the older spelling without counts. Raises PreflightError with Azure's
    messages for duplicates, a list without `location`, more than `most` replicas, and Shallow with more
    than one copy.
    """
    if model.target_regions and model.replication_regions:
        raise PreflightError(
            f"'{model.run_output_name}' has both targetRegions and replicationRegions.",
            hint="Keep targetRegions; replicationRegions is its older form.",
        )
    default_type = model.storage_account_type or "Standard_LRS"
    if model.target_regions:
        regions = [
            PlannedRegion(check_region(r.name), r.replica_count, r.storage_account_type)
            for r in model.target_regions
        ]
    else:
        names = model.replication_regions or [location]
        regions = [PlannedRegion(check_region(name), 1, default_type) for name in names]
    _check(regions, location)
    _check_counts(model, regions, most)
    return regions


def _check(regions: list[PlannedRegion], location: str) -> None:
    keys = [region_key(region.name) for region in regions]
    if len(set(keys)) != len(keys):
        names = tuple(region.name for region in regions)
        raise PreflightError("Duplicate regions are not allowed in target publishing regions", details=names)
    if region_key(location) not in keys:
        listed = ", ".join(region.name for region in regions)
        raise PreflightError(
            f"Gallery image version publishing profile regions {listed} must contain the location of image "
            f"version {location}",
            hint=f"Add '{location}' to the regions; it is the location of the image definition. Where that "
            "is resourceGroup().location, the setting 'location' says what it is here.",
        )


def _check_counts(model: SharedImageDistributor, regions: list[PlannedRegion], most: int) -> None:
    total = sum(region.count for region in regions)
    if total > most:
        raise PreflightError(
            f"A version may have {most} replicas; {total} are asked for.",
            hint="The setting limit_replicas holds this limit.",
        )
    if model.replication_mode == "Shallow" and total != 1:
        raise PreflightError(
            "Replication mode Shallow makes no copies: it allows one region with one replica.",
            hint="Use replicationMode Full, or leave targetRegions out.",
        )
