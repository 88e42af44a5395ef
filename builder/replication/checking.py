"""Is every replica still what was put there? Bits rot, and people write to files."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from builder.cancellation import checkpoint
from builder.disk.vhd import FOOTER_SIZE, VhdError, parse_footer
from builder.errors import GoldsmithError
from builder.registry.location import disk_of
from builder.replication.copying import footer
from builder.replication.place import PlaceError

if TYPE_CHECKING:
    from builder.registry.records import CopyDisk, CopyTask
    from builder.registry.store import Registry
    from builder.replication.place import Place, Places


@dataclass(frozen=True, slots=True)
class Checked:
    """A replica that was read again. `damage` is what is wrong with it, `unread` why it could not be read."""

    task: CopyTask
    damage: str = ""
    unread: str = ""


class Checker:
    """Reads replicas. Names of one file are read once."""

    def __init__(self, registry: Registry, places: Places) -> None:
        self._registry = registry
        self._places = places
        self._seen: dict[tuple[int, int, int], str] = {}
        self._usable: dict[str, str] = {}

    def run(
        self, versions: Sequence[str], region: str | None, told: Callable[[Checked], None]
    ) -> list[Checked]:
        """Check all complete replicas of these versions. A damaged one is Failed in the registry afterwards;
        one whose place cannot be reached stays what it is.
        """
        found = []
        for task in self._registry.complete_copies(versions, region):
            checkpoint()
            one = Checked(task, damage=task.damage) if task.damage else self._checked(task)
            if not one.unread:
                self._registry.copy_checked(task.id, one.damage)
            found.append(one)
            told(one)
        return found

    def _checked(self, task: CopyTask) -> Checked:
        try:
            place = self._place(task)
        except GoldsmithError as error:
            return Checked(task, unread=error.message)
        try:
            for disk in task.disks:
                damage = self._damage(place, disk_of(task.location, disk.lun), disk)
                if damage:
                    return Checked(task, damage=damage)
        except GoldsmithError as error:
            return Checked(task, unread=error.message)
        return Checked(task)

    def _place(self, task: CopyTask) -> Place:
        place = self._places.at(task.location, task.region)
        if place.url not in self._usable:
            try:
                place.check(self._registry.identity(), used=True, take=False)
                self._usable[place.url] = ""
            except GoldsmithError as error:
                self._usable[place.url] = error.message
                raise
        if self._usable[place.url]:
            raise GoldsmithError(self._usable[place.url])
        return place

    def _damage(self, place: Place, location: str, disk: CopyDisk) -> str:
        size = place.size(location)
        if size is None:
            if self._registry.is_shared and place.is_local and not self._places.are_set(location):
                raise PlaceError(f"{location} is not on this machine; it may be on the one that made it.")
            return f"{location} is gone."
        if size != disk.size + FOOTER_SIZE:
            return f"{location} has {size} bytes, not {disk.size + FOOTER_SIZE}."
        if disk.digest and self._digest(place, location, disk.size) != disk.digest:
            return f"The content of {location} is not what was recorded."
        try:
            last = parse_footer(footer(place, location, disk.size), location)
        except VhdError as error:
            return error.message
        if last.checksum != last.computed_checksum or last.current_size != disk.size:
            return f"The footer of {location} is damaged."
        return ""

    def _digest(self, place: Place, location: str, size: int) -> str:
        if not place.is_local:
            return place.digest(location, size, lambda _: None)
        stat = Path(location).stat()
        key = (stat.st_dev, stat.st_ino, size)
        if key not in self._seen:
            self._seen[key] = place.digest(location, size, lambda _: None)
        return self._seen[key]
