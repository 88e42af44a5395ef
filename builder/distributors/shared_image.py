"""`SharedImage`: a version of an image definition in a gallery of the local registry."""

from __future__ import annotations

import contextlib
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from builder.cancellation import deferred
from builder.changes import Change
from builder.distributors.base import Artifact
from builder.distributors.files import folder_name
from builder.distributors.regions import PlannedRegion, plan_regions
from builder.distributors.replicas import Replication, check_places, first_copy
from builder.errors import BuildError, ConflictError, GoldsmithError, NotFoundError, PreflightError
from builder.registry import rules
from builder.registry.fits import ImageKind, check_fits
from builder.registry.limits import Limits
from builder.registry.location import disk_of, is_url
from builder.registry.records import CopyRecord, Delivery, ReplicaRecord, region_key
from templates.arm_id import parse_gallery_image
from templates.model.distribute import SourceVersioning

if TYPE_CHECKING:
    from builder.distributors.base import ExpectedImage, FinishedImage
    from builder.registry.records import ChannelRecord, DefinitionRecord, VersionRecord
    from builder.services import Services
    from templates.arm_id import GalleryImageId
    from templates.model.distribute import SharedImageDistributor as SharedImageModel


class SharedImageDistributor:
    """Publishes the image as a version, once it is in the version's own region, and replicates it.

    A version named in `galleryImageId` is reserved by `preflight`; one numbered by `versioning`
    (`Latest` when nothing is said, as in AIB) gets its number when it is distributed. One who only
    asks (`Services.read_only`) sees the number it would get now, reserved in a copy of the registry.
    """

    def __init__(self, model: SharedImageModel, services: Services) -> None:
        self._model = model
        self._services = services
        self._reserved: VersionRecord | None = None

    def target(self) -> str:
        """Nothing that could be shared: a version's number is reserved."""
        return ""

    def preflight(self, expected: ExpectedImage) -> str:
        """Check definition, image kind, regions and version. Raises PreflightError and kin."""
        self._services.registry.require_access(
            "Microsoft.Compute/galleries/images/versions/write", str(self._image.definition)
        )
        definition = self._services.registry.find_definition(str(self._image.definition))
        self._check_kind(definition, expected)
        regions = self._regions(definition)
        check_places(self._services, definition.location, [region.name for region in regions])
        version = self._check_version(expected)
        self._check_channels(definition)
        channels = ", ".join(f"@{name}" for name in self._model.extensions.channels)
        where = ", ".join(region.name for region in regions)
        return f"{version} of {definition.label} in {where}{f', then {channels}' if channels else ''}"

    def changes(self) -> tuple[Change, ...]:
        """The version; without its number when that is not known before it is distributed."""
        definition = self._services.registry.find_definition(str(self._image.definition))
        regions = ", ".join(region.name for region in self._regions(definition))
        name = self._reserved.id if self._reserved else str(self._image)
        hidden = ", excluded from latest" if self._model.exclude_from_latest else ""
        return (Change("create", "imageVersion", name, f"in {regions}{hidden}"), *self._channel_changes())

    def distribute(self, image: FinishedImage) -> Artifact:
        """Number, put into the version's own region, publish, and replicate to the others. A failure before
        it is published takes all of it back; PublishedInPartError tells of one after.
        """
        registry = self._services.registry
        definition = registry.find_definition(str(self._image.definition))
        regions = self._regions(definition)
        version = self._reserved or self._reserve(None, image.run_id, image.source_version)
        own = next(one for one in regions if region_key(one.name) == region_key(definition.location))
        try:
            self._services.deadline.remaining()
            first = self._first_copy(image, version, own)
            replicas = [first if one is own else self._planned(version, one, first) for one in regions]
            with deferred():
                done = registry.complete_version(version.id, self._delivery(image, replicas))
                self._reserved = None
        except BaseException:
            with deferred():
                self._take_back(version, own, image)
            raise
        self._tell_channels(done)
        artifact = self._artifact(done)
        if any(replica.state != "Completed" for replica in done.replicas):
            Replication(self._services, image, artifact).run()
        return artifact

    def release(self) -> None:
        """Give the reserved number back."""
        reserved, self._reserved = self._reserved, None
        if reserved is not None:
            # Never raises: should the registry be out of reach, gc finds the dead reservation.
            with contextlib.suppress(Exception):
                self._services.registry.abandon_version(reserved.id)

    @cached_property
    def _image(self) -> GalleryImageId:
        return parse_gallery_image(self._model.gallery_image_id)

    def _check_kind(self, definition: DefinitionRecord, expected: ExpectedImage) -> None:
        kind = ImageKind(
            name=self._model.run_output_name,
            os_type=expected.os_type,
            generation=expected.generation,
            os_state=expected.os_state,
            plan=expected.plan,
            sizes=(expected.size, *(disk.size for disk in expected.data_disks)),
        )
        limits = Limits.of(self._services.settings)
        check_fits(definition, kind, mode=self._model.replication_mode, limits=limits)

    def _regions(self, definition: DefinitionRecord) -> list[PlannedRegion]:
        return plan_regions(self._model, definition.location, self._services.settings.limit_replicas)

    def _check_version(self, expected: ExpectedImage) -> str:
        if self._image.version is not None:
            if self._model.versioning is not None:
                self._services.bus.warn(
                    f"versioning is ignored: galleryImageId names version {self._image.version}.",
                    code="VersioningIgnored",
                )
            reserved = self._reserved or self._reserve(self._image.version, self._services.run_id)
            return f"version {reserved.version}"
        if self._services.read_only:
            self._reserve(None, self._services.run_id, expected.source_version)
        if self._reserved is not None:
            return f"version {self._reserved.version}, the next one now,"
        if isinstance(self._model.versioning, SourceVersioning):
            number = rules.format_version(rules.source_number(expected.source_version))
            return f"a version after the source's {number}"
        return "the next version"

    def _check_channels(self, definition: DefinitionRecord) -> None:
        """A version whose number is known must not be below where its channels are: they only go forward."""
        if self._reserved is None:
            return
        number = rules.parse_version(self._reserved.version)
        for channel in self._channels(definition.id):
            if rules.parse_version(channel.version) > number:
                raise PreflightError(
                    f"The channel '{channel.name}' of {definition.label} is at {channel.version} already; "
                    f"publishing {self._reserved.version} would not move it.",
                    hint="Channels move forward only: take a higher version or leave the channel out. By "
                    f"hand: build gallery channel set {definition.label} {channel.name} VERSION --force",
                )

    def _channel_changes(self) -> list[Change]:
        there = self._channels(str(self._image.definition))
        at = {channel.name.casefold(): channel.version for channel in there}
        return [
            Change("update", "channel", name, f"from {before}")
            if (before := at.get(name.casefold()))
            else Change("create", "channel", name)
            for name in self._model.extensions.channels
        ]

    def _channels(self, definition_id: str) -> list[ChannelRecord]:
        """Those that the target moves and that are there."""
        wanted = {name.casefold() for name in self._model.extensions.channels}
        if not wanted:
            return []
        found = self._services.registry.list_channels(definition_id)
        return [channel for channel in found if channel.name.casefold() in wanted]

    def _tell_channels(self, done: VersionRecord) -> None:
        """Say of a channel that was further already: the version is published all the same."""
        for channel in self._channels(done.definition_id):
            if channel.version != done.version:
                self._services.bus.warn(
                    f"The channel '{channel.name}' stays at {channel.version}: {done.version} is below it.",
                    code="ChannelNotMoved",
                )

    def _reserve(self, name: str | None, run_id: str, source_version: str | None = None) -> VersionRecord:
        with deferred():  # what is reserved is known to `release`
            self._reserved = self._services.registry.reserve_version(
                str(self._image.definition), name, self._model.versioning, run_id, source_version
            )
            return self._reserved

    def _place(self, version: VersionRecord, region: PlannedRegion) -> str:
        image = self._image
        folders = folder_name(image.gallery_name), folder_name(image.definition_name), version.version
        return self._services.places.of(region.name).location(*folders)

    def _first_copy(
        self, image: FinishedImage, version: VersionRecord, region: PlannedRegion
    ) -> ReplicaRecord:
        location = self._place(version, region)
        size, data_disks = first_copy(self._services, image, region.name, location)
        return ReplicaRecord(
            region=region.name,
            count=region.count,
            storage_account_type=region.storage_account_type,
            path=Path(location),
            size_on_disk=size,
            data_disks=data_disks,
            copies=(CopyRecord(1, location, "Completed", size, size, completed_at=datetime.now(UTC)),),
        )

    def _planned(self, version: VersionRecord, region: PlannedRegion, first: ReplicaRecord) -> ReplicaRecord:
        location = self._place(version, region)
        return ReplicaRecord(
            region=region.name,
            count=region.count,
            storage_account_type=region.storage_account_type,
            path=Path(location),
            size_on_disk=0,
            data_disks=first.data_disks,
            copies=(CopyRecord(1, location, "Pending", 0, 0),),
        )

    def _artifact(self, done: VersionRecord) -> Artifact:
        main = done.replica()
        if main is None:
            raise BuildError(f"The version {done.id} was published without a copy.")
        away = is_url(main.location)
        beside = [disk_of(main.location, disk.lun) for disk in main.data_disks]
        return Artifact(
            run_output=self._model.run_output_name,
            type="SharedImage",
            path=None if away else main.path,
            uri=main.location if away else "",
            artifact_id=done.id,
            version=done.version,
            size=done.size,
            size_on_disk=main.size_on_disk,
            tags=done.tags,
            data_disks=tuple(beside) if away else main.files[1:],
        )

    def _take_back(self, version: VersionRecord, region: PlannedRegion, image: FinishedImage) -> None:
        if self._may_be_published(version):
            self._reserved = None
            return
        place, location = self._services.places.of(region.name), self._place(version, region)
        for lun in (*(disk.lun for disk in image.data_disks), None):
            with contextlib.suppress(OSError, GoldsmithError):
                place.remove(disk_of(location, lun))
        self.release()

    def _may_be_published(self, version: VersionRecord) -> bool:
        """What failed may have failed after the commit: only the registry knows. When it cannot be
        asked the files stay; gc finds the dead reservation.
        """
        try:
            self._services.registry.find_version(version.id)
        except (ConflictError, NotFoundError):  # still being made, or given back
            return False
        except GoldsmithError:
            return True
        return True

    def _delivery(self, image: FinishedImage, replicas: list[ReplicaRecord]) -> Delivery:
        return Delivery(
            replicas=replicas,
            size=image.virtual_size,
            digest=image.digest,
            source=image.source,
            template=image.template,
            run_id=image.run_id,
            exclude_from_latest=self._model.exclude_from_latest,
            replication_mode=self._model.replication_mode,
            tags=dict(self._model.artifact_tags),
            parent=image.parent,
            lineage=image.lineage or None,
            channels=self._model.extensions.channels,
        )
