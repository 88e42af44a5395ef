"""Which replica of a gallery version is read, and how one that lies at a URL comes here."""

from __future__ import annotations

import hashlib
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from builder.cancellation import checkpoint
from builder.errors import GoldsmithError, NotFoundError
from builder.events import Wait
from builder.lock import FileLock
from builder.registry.location import disk_of, is_url
from builder.registry.records import CopyDisk, DataDiskRecord, region_key
from builder.sources.registered import check_there

if TYPE_CHECKING:
    from builder.registry.records import ReplicaRecord, VersionRecord
    from builder.services import Services

_LOOK_SECONDS = 0.5


@dataclass(frozen=True, slots=True)
class ReplicaFiles:
    """The OS disk of the replica that is read (a path or a URL), and its data disks."""

    region: str
    location: str
    data_disks: tuple[DataDiskRecord, ...]

    @property
    def is_here(self) -> bool:
        """Whether its files are on this machine."""
        return not is_url(self.location)

    @property
    def path(self) -> Path:
        """The OS disk, when it is here."""
        return Path(self.location)


def choose(version: VersionRecord, services: Services, region: str | None = None) -> ReplicaFiles:
    """A complete replica whose files are there: one of the version's own region, else one on this machine,
    else one at a URL; a note says when it is not the first choice. With a `region` only of that one. Raises
    NotFoundError.
    """
    main = version.replica(region)
    if main is None:
        raise NotFoundError(
            f"The gallery version {version.id} has no copy in {region or 'any region'}.",
            hint="Replicate it, or build it again.",
        )
    own = region_key(main.region)
    replicas = version.replicas if region is None else (main,)
    found = [files for replica in replicas for files in _files(replica)]
    found.sort(key=lambda files: (not files.is_here, region_key(files.region) != own))
    problems: list[str] = []
    for files in found:
        problem = _missing(files, services)
        if not problem:
            if problems or region_key(files.region) != own:
                why = problems[0] if problems else f"{main.region} has no complete replica"
                services.bus.note(
                    f"{version.id} is read from {files.location} in {files.region}: {why}",
                    code="OtherReplica",
                )
            return files
        problems.append(problem)
    if not found:
        raise NotFoundError(
            f"No replica of the gallery version {version.id}{f' in {region}' if region else ''} is complete.",
            hint="Make one: build gallery replicate; or build it again.",
        )
    check_there(found[0].path, f"the gallery version {version.id}")  # says what is gone
    raise NotFoundError(
        f"No replica of the gallery version {version.id} can be read.", details=tuple(problems)
    )


def bring(files: ReplicaFiles, version: VersionRecord, identity: str, services: Services) -> ReplicaFiles:
    """The same on this machine: downloaded into the cache and checked there, unless it is there already.

    Raises PlaceError.
    """
    if files.is_here:
        return files
    disks = [CopyDisk(None, version.size, version.digest)]
    disks += [CopyDisk(disk.lun, disk.size, disk.digest) for disk in files.data_disks]
    here = [_download(files, disk, disk.digest or identity, services) for disk in disks]
    moved = [replace(disk, path=path) for disk, path in zip(files.data_disks, here[1:], strict=True)]
    return ReplicaFiles(files.region, str(here[0]), tuple(moved))


def _files(replica: ReplicaRecord) -> list[ReplicaFiles]:
    """Its complete copies; a record from before there were copies has one."""
    if not replica.copies:
        return [ReplicaFiles(replica.region, str(replica.path), replica.data_disks)]
    return [
        ReplicaFiles(
            replica.region,
            copy.location,
            tuple(replace(d, path=Path(disk_of(copy.location, d.lun))) for d in replica.data_disks)
            if copy.location != str(replica.path)
            else replica.data_disks,
        )
        for copy in replica.copies
        if copy.state == "Completed"
    ]


def _missing(files: ReplicaFiles, services: Services) -> str:
    """Why it cannot be read; "" when it can."""
    for location in (files.location, *(disk_of(files.location, disk.lun) for disk in files.data_disks)):
        try:
            if services.places.at(location, files.region).size(location) is None:
                return f"{location} is gone."
        except GoldsmithError as error:
            return error.message
    return ""


def _download(files: ReplicaFiles, disk: CopyDisk, identity: str, services: Services) -> Path:
    from builder.replication.copying import copy_disk

    bases = services.home.bases
    # Where a base that is linked from the registry has its link, too (registered.py).
    key = hashlib.sha256(identity.encode()).hexdigest()
    path = bases / key / "disk.vhd"
    origin = disk_of(files.location, disk.lun)
    source, target = services.places.at(origin, files.region), services.places.at(str(path))
    bases.mkdir(parents=True, exist_ok=True)
    lock = FileLock(bases / f".{key}.lock")
    with Wait(services.bus, f"Download {origin}") as wait:
        while not lock.try_acquire(by="download"):
            checkpoint()
            time.sleep(services.deadline.remaining(_LOOK_SECONDS))
        done = 0

        def tick(moved: int) -> None:
            nonlocal done
            services.deadline.remaining()
            done += moved
            wait.progress(done, disk.size, "bytes")

        try:
            if not path.exists():
                copy_disk(source, origin, target, str(path), disk, tick, replace=True)
        finally:
            lock.release()
    return path
