"""One disk of a copy: linked where that costs nothing, else copied, and checked where it arrived."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from builder.disk.vhd import FOOTER_SIZE
from builder.replication.local import LocalPlace
from builder.replication.place import PlaceError
from builder.replication.remote import RemotePlace

if TYPE_CHECKING:
    from builder.registry.records import CopyDisk
    from builder.replication.place import Place, Tick


class RottenError(PlaceError):
    """What a copy was to be made from is not what it should be; `location` says which file."""

    code = "ReplicaDamaged"

    def __init__(self, location: str, why: str) -> None:
        super().__init__(f"The replica {location} is damaged: {why}", permanent=True)
        self.location = location


@dataclass(frozen=True, slots=True)
class Copied:
    """How a disk got to its place: `sent` are the bytes that were copied, none where it is a link."""

    sent: int
    linked: bool


def data_size(place: Place, location: str) -> int:
    """Bytes of data of a disk, as far as its place tells holes. Raises PlaceError."""
    with place.reader(location) as reader:
        return sum(end - start for start, end in reader.extents())


def copy_disk(
    source: Place, origin: str, target: Place, location: str, disk: CopyDisk, tick: Tick, *, replace: bool
) -> Copied:
    """Make the disk at `location` from the one at `origin`. What lies there already is taken when it is the
    same, and replaced only with `replace`.

    Raises RottenError when `origin` is not sound, PlaceError for anything else.
    """
    if not replace and target.size(location) is not None:
        _same_or_refused(source, origin, target, location, disk, tick)
        return Copied(0, linked=False)
    if isinstance(target, LocalPlace) and source.is_local and target.link(Path(origin), location):
        return Copied(0, linked=True)
    staged = target.staging(location)
    if isinstance(target, RemotePlace) and target.copy_within(origin, location):
        sent = 0
    else:
        with source.reader(origin) as reader:
            if reader.size != disk.size + FOOTER_SIZE:
                raise RottenError(origin, f"it has {reader.size} bytes, not {disk.size + FOOTER_SIZE}.")
            sent = target.write(staged, reader, tick)
    problem = difference(source, origin, target, staged, disk, tick)
    if problem:
        target.remove(staged)
        if disk.digest and source.digest(origin, disk.size, tick) != disk.digest:
            raise RottenError(origin, "its content is not what was recorded.")
        raise PlaceError(f"What arrived at {location} is not what was sent: {problem}")
    target.accept(staged, location)
    return Copied(sent, linked=False)


def difference(source: Place, origin: str, target: Place, location: str, disk: CopyDisk, tick: Tick) -> str:
    """What is wrong with a copy of `origin`, read back from its place; "" when nothing is."""
    size = target.size(location)
    if size != disk.size + FOOTER_SIZE:
        return f"it has {size or 0} bytes, not {disk.size + FOOTER_SIZE}."
    digest = disk.digest or source.digest(origin, disk.size, tick)
    if target.digest(location, disk.size, tick) != digest:
        return "its content is another."
    if footer(target, location, disk.size) != footer(source, origin, disk.size):
        return "its footer is another."
    return ""


def footer(place: Place, location: str, size: int) -> bytes:
    """The last bytes of a fixed VHD of that virtual size. Raises PlaceError."""
    with place.reader(location) as reader:
        return reader.read(size, FOOTER_SIZE)


def _same_or_refused(
    source: Place, origin: str, target: Place, location: str, disk: CopyDisk, tick: Tick
) -> None:
    """A process that went away may have made it and not said so; anything else is not ours to replace."""
    if source.is_local and target.is_local and Path(origin).samefile(location):
        return
    if difference(source, origin, target, location, disk, tick):
        raise PlaceError(
            f"Something else lies at {location} already.",
            hint="No registry entry names it: look at it, and move it away.",
            permanent=True,
        )
