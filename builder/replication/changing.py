"""Other regions and counts for a version that is published."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from builder.distributors.files import folder_name
from builder.errors import GoldsmithError, UsageError
from builder.registry.records import NewRegion, VersionRecord
from builder.registry.rules import check_region
from templates.arm_id import parse_image_version

if TYPE_CHECKING:
    from builder.registry.store import Registry
    from builder.replication.place import Places

STORAGE = ("Standard_LRS", "Standard_ZRS", "Premium_LRS")


@dataclass(frozen=True, slots=True)
class RegionChange:
    """Regions to add (with their number of replicas), to remove, and other numbers for those that are there.
    `storage` is that of the regions named in `add` and `counts`.
    """

    add: Mapping[str, int] = field(default_factory=dict)
    remove: tuple[str, ...] = ()
    counts: Mapping[str, int] = field(default_factory=dict)
    storage: str | None = None

    @property
    def is_empty(self) -> bool:
        """Whether nothing is to change."""
        return not (self.add or self.remove or self.counts)


def change(
    registry: Registry, places: Places, version_id: str, wanted: RegionChange
) -> tuple[VersionRecord, list[tuple[str, str]]]:
    """Note what is wanted, and remove the files of what goes; what could not be removed comes back with the
    reason. Raises NotFoundError, PreflightError, ConflictError, UsageError.
    """
    if wanted.storage not in (None, *STORAGE):
        raise UsageError(f"'{wanted.storage}' is no kind of storage.", hint=f"One of: {', '.join(STORAGE)}.")
    image = parse_image_version(version_id)
    folders = folder_name(image.gallery_name), folder_name(image.definition_name), image.version or ""
    added = [
        NewRegion(
            check_region(name),
            count,
            wanted.storage or STORAGE[0],
            places.of(name).location(*folders),
        )
        for name, count in wanted.add.items()
    ]
    storage = dict.fromkeys(wanted.counts, wanted.storage) if wanted.storage else {}
    record, gone = registry.change_regions(
        version_id, add=added, remove=wanted.remove, counts=wanted.counts, storage=storage
    )
    left = []
    for location in gone:
        try:
            place = places.at(location)
            place.remove(location)
            place.remove(place.staging(location))
        except GoldsmithError as error:
            left.append((location, error.message))
    return record, left
