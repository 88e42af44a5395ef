"""How a version gets into its regions: the first copy before it is published, the others afterwards."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from builder.disk.extents import allocated_size
from builder.disk.vhd import check_fixed_vhd
from builder.distributors.base import PublishedInPartError
from builder.distributors.files import READ_ONLY, link_data_disks, link_into_home
from builder.errors import GoldsmithError
from builder.events import Wait
from builder.registry.location import disk_of
from builder.registry.records import CopyDisk, DataDiskRecord, region_key
from builder.replication.copying import copy_disk
from builder.replication.place import PlaceError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from builder.distributors.base import Artifact, FinishedImage
    from builder.replication.replicator import CopyNews
    from builder.services import Services


def check_places(services: Services, own: str, regions: Sequence[str]) -> None:
    """Raises PlaceError when the region a version is published in cannot be used; another one that cannot is
    warned about: the build may be long, and the place there again by then.
    """
    if not services.settings.regions:
        return
    identity = services.registry.identity()
    for region in regions:
        try:
            place = services.places.of(region)
            place.check(identity, used=services.registry.has_copies(place.url), take=False)
        except PlaceError as error:
            if region_key(region) == region_key(own):
                raise
            services.bus.warn(f"{error.message} The version will not be there.", code="RegionUnreachable")


def first_copy(
    services: Services, image: FinishedImage, region: str, location: str
) -> tuple[int, tuple[DataDiskRecord, ...]]:
    """Put the image where its own region lies: a link inside the home or on its file system, else a copy that
    is checked there. Returns what the OS disk takes, and the data disks. Raises PlaceError, VhdError.
    """
    place = services.places.of(region)
    home = services.home.regions
    if place.is_local and Path(location).is_relative_to(home):
        link_into_home(image.vhd, Path(location))
        return allocated_size(Path(location)), link_data_disks(image.data_disks, Path(location))
    place.check(services.registry.identity(), used=services.registry.has_copies(place.url))
    disks: list[tuple[int | None, Path, int, str]]
    disks = [(None, image.vhd, image.virtual_size, image.digest)]
    disks += [(one.lun, one.vhd, one.virtual_size, one.digest) for one in image.data_disks]
    made = []

    def tick(_moved: int) -> None:
        services.deadline.remaining()

    for lun, vhd, size, digest in disks:
        check_fixed_vhd(vhd)
        vhd.chmod(READ_ONLY)
        at = disk_of(location, lun)
        source = services.places.at(str(vhd))
        if place.staging(at) != at:
            place.remove(place.staging(at))
        # The number is ours, and no version has it: what lies there is what a build left that was killed.
        copy_disk(source, str(vhd), place, at, CopyDisk(lun, size, digest), tick, replace=True)
        taken = allocated_size(Path(at)) if place.is_local else size
        made.append(DataDiskRecord(lun or 0, Path(at), size, taken, digest))
    return made[0].size_on_disk, tuple(made[1:])


class Replication:
    """What a published version still lacks. A build waits for it, or a process of its own goes on."""

    def __init__(self, services: Services, image: FinishedImage, artifact: Artifact) -> None:
        self._services = services
        self._image = image
        self._artifact = artifact
        self._bytes: dict[int, tuple[int, int]] = {}

    def run(self) -> None:
        """Raises PublishedInPartError when a region is not complete afterwards."""
        if not self._services.wait_for_replicas:
            self._leave()
            return
        from builder.replication.replicator import Replicator

        services, image = self._services, self._image
        finished: dict[int | None, str] = {
            None: str(image.vhd),
            **{disk.lun: str(disk.vhd) for disk in image.data_disks},
        }
        with Wait(services.bus, "Replicate") as wait:
            replicator = Replicator(
                services.registry,
                services.places,
                jobs=services.settings.replication_jobs,
                told=lambda news: self._told(news, wait),
                finished=finished,
            )
            report = replicator.run([self._artifact.artifact_id], look=services.deadline.remaining)
        if report.failed:
            regions = list(dict.fromkeys(task.region for task, _ in report.failed))
            raise PublishedInPartError(
                f"The version {self._artifact.version} is published, but not complete in "
                f"{', '.join(regions)}: {report.failed[0][1]}",
                artifact=self._artifact,
                details=tuple(f"{task.region}, replica {task.number}: {why}" for task, why in report.failed),
                hint=f"Go on later: build gallery replicate {report.failed[0][0].label}",
            )

    def _told(self, news: CopyNews, wait: Wait) -> None:
        self._bytes[news.task.id] = (news.total if news.kind == "done" else news.done, news.total)
        if news.kind == "again":
            self._services.bus.warn(f"{news.task.name}: {news.error} Trying again.", code="ReplicaAgain")
        elif news.kind == "progress":
            done, total = (sum(pair[n] for pair in self._bytes.values()) for n in (0, 1))
            wait.progress(done, total, "bytes")

    def _leave(self) -> None:
        from builder.replication.detached import start

        bus = self._services.bus
        version = self._artifact.artifact_id
        try:
            log = start(self._services.home, version)
        except (OSError, GoldsmithError) as error:
            bus.warn(
                f"Nothing replicates the version yet ({error}): run 'build gallery replicate {version}'.",
                code="ReplicationNotStarted",
            )
            return
        bus.note(
            f"Its other replicas are made in the background; see 'build gallery status {version}', log {log}."
            " Should that process end early, 'build gallery replicate' goes on.",
            code="ReplicationStarted",
        )
