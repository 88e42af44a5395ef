"""`ManagedImage`: an image under an ARM id in the local registry."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from builder.cancellation import deferred
from builder.changes import Change
from builder.disk.data_disk import beside
from builder.disk.extents import allocated_size
from builder.distributors.base import Artifact
from builder.distributors.files import folder_name, link_data_disks, link_into_home
from builder.errors import GoldsmithError, NotFoundError, PreflightError
from builder.registry.places import remove_file
from builder.registry.records import ImageRecord
from builder.registry.rules import check_image_name
from templates.arm_id import parse_managed_image

if TYPE_CHECKING:
    from pathlib import Path

    from builder.distributors.base import ExpectedImage, FinishedImage
    from builder.registry.records import DataDiskRecord
    from builder.services import Services
    from templates.model.distribute import ManagedImageDistributor as ManagedImageModel


class ManagedImageDistributor:
    """Records the image and links its file into `images/<group>/<name>/`.

    An image of that id is replaced, as AIB does; its files go once the new one is recorded. Data disks lie
    beside the OS disk.
    """

    def __init__(self, model: ManagedImageModel, services: Services) -> None:
        self._model = model
        self._services = services

    def target(self) -> str:
        """The image's id, which is compared without case."""
        return parse_managed_image(self._model.image_id).key

    def preflight(self, expected: ExpectedImage) -> str:
        """Check id, name and location. Raises ResourceIdError, BadNameError, PreflightError."""
        resource = parse_managed_image(self._model.image_id)
        folder_name(resource.resource_group)
        folder_name(resource.name)
        check_image_name(resource.name)
        if not self._model.location.strip():
            raise PreflightError(
                f"The managed image '{resource.name}' has no location.", hint="Set distribute[].location."
            )
        self._services.registry.require_access("Microsoft.Compute/images/write", str(resource))
        label = f"managed image {resource.resource_group}/{resource.name} in {self._model.location}"
        try:
            old = self._services.registry.find_image(self._model.image_id)
        except NotFoundError:
            return label
        return f"{label}, replacing the one of {old.created_at:%Y-%m-%d %H:%M} UTC"

    def changes(self) -> tuple[Change, ...]:
        """The image, and the file of the one it replaces."""
        arm_id = str(parse_managed_image(self._model.image_id))
        try:
            old = self._services.registry.find_image(self._model.image_id)
        except NotFoundError:
            return (Change("create", "managedImage", arm_id, f"in {self._model.location}"),)
        made = f"made {old.created_at:%Y-%m-%d %H:%M} UTC by the template '{old.template}'"
        return (
            Change("replace", "managedImage", old.id, made),
            *(
                Change("delete", "file", str(file), "a disk of the image that is replaced")
                for file in old.files
            ),
        )

    def distribute(self, image: FinishedImage) -> Artifact:
        """Link, record, then remove what was replaced."""
        place = self._place(image.run_id)
        files = (place, *(beside(place, disk.lun) for disk in image.data_disks))
        was_there = place.exists()
        try:
            link_into_home(image.vhd, place)
            record = self._record(image, place, link_data_disks(image.data_disks, place))
            with deferred():  # a cancel comes before the new image is recorded, or after the old one is gone
                old = self._services.registry.put_image(record)
                for file in old.files if old is not None else ():
                    if file not in record.files:
                        remove_file(file, self._services.home.images)
        except BaseException:
            with deferred():
                if not was_there and not self._may_be_recorded(place):
                    for file in files:
                        remove_file(file, self._services.home.images)
            raise
        return Artifact(
            run_output=self._model.run_output_name,
            type="ManagedImage",
            path=place,
            artifact_id=record.id,
            size=record.size,
            size_on_disk=record.size_on_disk,
            tags=record.tags,
            data_disks=record.files[1:],
        )

    def release(self) -> None:
        """Nothing is reserved."""

    def _may_be_recorded(self, place: Path) -> bool:
        """What failed may have failed after the commit: only the registry knows. When it cannot be
        asked the file stays; without a row it is gc's.
        """
        try:
            return self._services.registry.find_image(self._model.image_id).path == place
        except NotFoundError:
            return False
        except GoldsmithError:
            return True

    def _place(self, run_id: str) -> Path:
        resource = parse_managed_image(self._model.image_id)
        folder = (
            self._services.home.images / folder_name(resource.resource_group) / folder_name(resource.name)
        )
        return folder / f"{run_id}.vhd"

    def _record(
        self, image: FinishedImage, place: Path, data_disks: tuple[DataDiskRecord, ...]
    ) -> ImageRecord:
        resource = parse_managed_image(self._model.image_id)
        return ImageRecord(
            id=str(resource),
            name=resource.name,
            resource_group=resource.resource_group,
            location=self._model.location,
            os_type=image.os_type,
            generation=image.generation,
            path=place,
            size=image.virtual_size,
            size_on_disk=allocated_size(place),
            digest=image.digest,
            source=image.source,
            template=image.template,
            run_id=image.run_id,
            tags=dict(self._model.artifact_tags),
            created_at=datetime.now(UTC),
            data_disks=data_disks,
            plan=image.plan,
            parent=image.parent,
            lineage=image.lineage or None,
        )
