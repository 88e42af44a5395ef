"""Where the replicas of a region lie: what every place can do, and which place a region has."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from builder.errors import EnvironmentProblem
from builder.registry.location import is_url
from builder.registry.places import MARKER
from builder.registry.records import region_key

if TYPE_CHECKING:
    from builder.settings import Home, RegionPlace, Settings

OS_DISK = "os.vhd"

Tick = Callable[[int], None]
"""Told how many bytes of data went on; raises when the copy is to stop."""


class PlaceError(EnvironmentProblem):
    """A region's place cannot be used. `permanent`: trying again soon is of no use."""

    code = "Region"

    def __init__(
        self, message: str, *, details: tuple[str, ...] = (), hint: str | None = None, permanent: bool = False
    ) -> None:
        super().__init__(message, details=details, hint=hint)
        self.permanent = permanent


class Reader(Protocol):
    """An open file of a copy. `size` in bytes; `path` where it is a local file."""

    size: int
    path: Path | None

    def extents(self) -> Iterator[tuple[int, int]]:
        """(start, end) of what may hold something; what is between is zeros and need not be read."""

    def read(self, offset: int, length: int) -> bytes:
        """So many bytes from there. Raises OSError when the file ends before."""


class Place(Protocol):
    """The place of one region. A location is the path or URL of a file in it. Raises PlaceError."""

    region: str
    url: str
    is_local: bool
    copies_within: bool
    """Whether it makes a second copy by itself, without being sent it again."""

    def location(self, *folders: str) -> str:
        """Where the first copy of a version goes: below its gallery, definition and number."""

    def check(self, identity: str, *, used: bool, take: bool = True) -> bool:
        """Whether it belongs to the registry `identity`. One that belongs to none yet is taken (`take`),
        unless copies should be in it (`used`): then something else is mounted there. Raises PlaceError for
        that, for another registry's, and when it cannot be reached.
        """

    def size(self, location: str) -> int | None:
        """Bytes of a file, None when there is none."""

    def reader(self, location: str) -> AbstractContextManager[Reader]:
        """A file, open for reading."""

    def staging(self, location: str) -> str:
        """The name a copy has until it was checked; `location` where things appear whole."""

    def write(self, staged: str, source: Reader, tick: Tick) -> int:
        """Copy all of `source`, and say how many bytes that took. Goes on with what is there under that name,
        where the place allows it.
        """

    def digest(self, location: str, size: int, tick: Tick) -> str:
        """The content digest of what is stored, read back from there."""

    def accept(self, staged: str, location: str) -> None:
        """Give a checked copy its name, in one step."""

    def remove(self, location: str) -> None:
        """Remove a file, should it be there, and the folders that it leaves empty."""

    def files(self) -> Iterator[tuple[str, int]]:
        """Locations and sizes of all files of replicas in it, half-made ones too."""


class Places:
    """Which place a region has by the settings; one without a setting lies in the home."""

    def __init__(self, home: Home, settings: Settings) -> None:
        self._home = home
        self._settings = settings
        self._made: dict[str, Place] = {}

    def of(self, region: str) -> Place:
        """The place where new copies of a region go."""
        key = region_key(region)
        if key not in self._made:
            setting = self._settings.regions.get(key)
            self._made[key] = self._configured(key, setting) if setting else self._at_home(key)
        return self._made[key]

    def at(self, location: str, region: str = "") -> Place:
        """The place a location is in, also when the settings have moved the region meanwhile."""
        for key in (region_key(region), *self._settings.regions):
            if key and location.startswith(f"{self.of(key).url}/"):
                return self.of(key)
        if is_url(location):
            from builder.replication.remote import RemotePlace

            return RemotePlace(region, location.rsplit("/", 4)[0], {})
        path = Path(location)
        regions = self._home.regions
        if path.is_relative_to(regions):
            return self._at_home(path.relative_to(regions).parts[0])
        from builder.replication.local import LocalPlace

        return LocalPlace(region, path.parents[min(3, len(path.parents) - 1)], marked=False)

    def hold(self, location: str) -> bool:
        """Whether a location is in the home, or in the place that a region has by the settings now."""
        return location.startswith(f"{self._home.regions}/") or self.are_set(location)

    def are_set(self, location: str) -> bool:
        """Whether a location is in the place that a region has by the settings now."""
        return location.startswith(tuple(f"{self.of(key).url}/" for key in self._settings.regions))

    def configured(self) -> list[str]:
        """The keys of the regions that have a setting."""
        return sorted(self._settings.regions)

    def known(self) -> list[str]:
        """The keys of the regions that have a setting, then of those that have a folder in the home."""
        folders = self._home.regions
        at_home = sorted(f.name for f in folders.iterdir() if f.is_dir()) if folders.is_dir() else []
        return list(dict.fromkeys([*sorted(self._settings.regions), *at_home]))

    def _configured(self, key: str, setting: RegionPlace) -> Place:
        if setting.is_local:
            from builder.replication.local import LocalPlace

            return LocalPlace(key, Path(setting.url), marked=True)
        from builder.replication.remote import RemotePlace

        return RemotePlace(key, setting.url, setting.options)

    def _at_home(self, key: str) -> Place:
        from builder.replication.local import LocalPlace

        return LocalPlace(key, self._home.regions / key, marked=False)


def refuse_foreign(place: Place, found: str) -> None:
    """Raise PlaceError: the place belongs to another registry."""
    raise PlaceError(
        f"The place of region {place.region}, {place.url}, holds the replicas of another registry.",
        details=(f"its marker {MARKER}: {found[:200]}",),
        hint="Give each registry a folder or prefix of its own in the setting 'regions'.",
        permanent=True,
    )


def refuse_unmarked(place: Place) -> None:
    """Raise PlaceError: replicas should be there, and the place does not look as if it ever had any."""
    raise PlaceError(
        f"The place of region {place.region}, {place.url}, is not what it was: its {MARKER} is gone.",
        hint="Is the right file system mounted there? To start with an empty place on purpose, remove the "
        "region from its versions first ('build gallery version regions').",
        permanent=True,
    )
