"""Taking files away: those of a version that goes, and those that nothing names."""

from __future__ import annotations

from typing import TYPE_CHECKING

from builder.errors import ConflictError, GoldsmithError
from builder.registry.location import below_place, is_file_of_copy
from builder.registry.records import region_key
from builder.replication.place import PlaceError

if TYPE_CHECKING:
    from builder.registry.records import VersionRecord
    from builder.registry.store import Registry
    from builder.replication.place import Places


def delete_version(
    registry: Registry, places: Places, version_id: str, *, force: bool = False
) -> tuple[VersionRecord, list[str]]:
    """Forget a version and remove its files in every place. Raises PlaceError, before anything is gone, when
    a place cannot be reached; with `force` the files there stay, and come back as a list.
    """
    try:
        record = registry.find_version(version_id)
    except ConflictError:  # being made, or left half made: nothing of it is anywhere else
        return registry.delete_version(version_id, force=force), []
    files = [(one.region, at) for one in record.replicas for at in one.locations]
    unreachable: dict[str, GoldsmithError] = {}
    for region, location in files:
        if region not in unreachable:
            try:
                places.at(location, region).size(location)
            except GoldsmithError as error:
                unreachable[region] = error
    if unreachable and not force:
        region, problem = next(iter(unreachable.items()))
        raise PlaceError(
            f"The version cannot be deleted: {problem.message}",
            details=tuple(at for where, at in files if where in unreachable),
            hint=f"Make {region} reachable, or say --force: what lies there stays then.",
        )
    deleted = registry.delete_version(version_id, force=force)
    left = []
    for region, location in files:
        try:
            if region in unreachable:
                raise unreachable[region]
            place = places.at(location, region)
            place.remove(location)
            if place.staging(location) != location:
                place.remove(place.staging(location))
        except GoldsmithError:
            left.append(location)
    return deleted, left


def prune(registry: Registry, places: Places, region: str | None = None) -> tuple[list[str], list[str]]:
    """Remove the files in places outside the home that no version names, and the rests of copies that nobody
    goes on with. Returns what went, and what could not be done.

    Only in places that carry this registry's name. What is being made is named. A file is also kept when a
    version names the like of it somewhere that the settings know no more: its place may be spelled otherwise
    now, or be mounted elsewhere.
    """
    removed: list[str] = []
    problems: list[str] = []
    identity = registry.identity()
    for key in places.configured():
        if region is not None and region_key(region) != key:
            continue
        place = places.of(key)
        try:
            if not place.check(identity, used=registry.has_copies(place.url), take=False):
                continue  # nobody's: what lies there was never ours
            found = [at for at, _size in place.files() if is_file_of_copy(at.removeprefix(f"{place.url}/"))]
            named, reserved = registry.named_locations()
            astray = {below_place(one) for one in named if not places.hold(one)}
            named |= {place.staging(location) for location in named if location.startswith(place.url)}
            for location in found:
                if below_place(_finished(location)) in astray:
                    continue
                if location not in named and not any(folders in location for folders in reserved):
                    place.remove(location)
                    removed.append(location)
        except GoldsmithError as error:
            problems.append(error.message)
    return removed, problems


def _finished(location: str) -> str:
    """The name that a half-made copy is to get; any other as it is."""
    folder, _, name = location.rpartition("/")
    return f"{folder}/{name[1:].removesuffix('.part')}" if name.startswith(".") else location
