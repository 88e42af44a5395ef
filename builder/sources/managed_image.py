"""ManagedImage: start from a managed image that an earlier build distributed."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

from builder.errors import NotFoundError, PreflightError
from builder.services import Services
from builder.sources.base import ResolvedSource, SourceDisk, usual_devices
from builder.sources.registered import (
    check_there,
    identity_of,
    open_vhd,
    sizes_of,
    with_data_disks,
    with_known,
)
from templates.model.source import ManagedImageSource as ManagedImageModel

if TYPE_CHECKING:
    from builder.registry.records import ImageRecord


class ManagedImageSource:
    """Starts from `source.imageId` in the local registry."""

    def __init__(self, model: ManagedImageModel, services: Services) -> None:
        self._model = model
        self._services = services

    def resolve(self) -> ResolvedSource:
        """Find the image and its file. Raises NotFoundError, PreflightError for a specialized one."""
        record = self._record
        what = f"the managed image {record.name}"
        for file in (record.path, *(disk.path for disk in record.data_disks)):
            check_there(file, what)
        return ResolvedSource(
            identity=self._identity,
            description=record.id,
            os_type=record.os_type,
            generation=record.generation,
            exact_version=record.id,
            size=record.size,
            cached=True,
            devices=usual_devices(record.os_type),
            data_disks=sizes_of(record.data_disks),
            plan=record.plan,
            parent=record.id,
            origin={
                "type": self._model.type,
                "id": record.id,
                "digest": self._identity,
                "created": record.created_at.isoformat(),
            },
        )

    def prepare(self) -> SourceDisk:
        """Open the image's VHD. Raises NotFoundError, VhdError."""
        record = self._record
        what = f"the managed image {record.name}"
        disk = open_vhd(record.path, what, self._identity, self._services)
        return with_data_disks(disk, record.data_disks, what, self._services)

    @property
    def _identity(self) -> str:
        record = self._record
        return identity_of(record.digest, record.id, record.created_at.isoformat())

    @cached_property
    def _record(self) -> ImageRecord:
        registry = self._services.registry
        try:
            record = registry.find_image(self._model.image_id)
        except NotFoundError as error:
            names = [f"{image.resource_group}/{image.name}" for image in registry.list_images()]
            raise with_known(error, "managed image", names) from error
        if record.os_state != "Generalized":
            raise PreflightError(
                f"{record.id} is {record.os_state.lower()}; only generalized images can be a source.",
                hint="Import it as Generalized if it is one.",
            )
        return record
