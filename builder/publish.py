"""A gallery version of an image that is there: no build, no bytes, the distributor's own publishing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from builder.disk.data_disk import DataDiskSize
from builder.distributors.base import ExpectedImage, FinishedDataDisk, FinishedImage
from builder.distributors.shared_image import SharedImageDistributor
from builder.errors import NotFoundError
from builder.events import Wait
from builder.registry.rules import check_end_of_life
from templates.model.distribute import SharedImageDistributor as SharedImageModel
from templates.model.distribute import TargetRegion

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from builder.registry.records import (
        DataDiskRecord,
        Delivery,
        ImageRecord,
        OsState,
        VersionRecord,
    )
    from builder.services import Services
    from builder.sources.replica import ReplicaFiles


@dataclass(frozen=True, slots=True)
class Wanted:
    """A version to be. `definition` is the id of the definition or of a version of it; without a number it
    gets the next one. No regions: the definition's own. `name` is what messages call the image.
    """

    definition: str
    regions: Sequence[TargetRegion] = ()
    exclude_from_latest: bool = False
    end_of_life: str | None = None
    os_state: OsState = "Generalized"
    name: str = "image"
    tags: Mapping[str, str] = field(default_factory=dict)


def publish(services: Services, image: FinishedImage, wanted: Wanted) -> VersionRecord:
    """Publish `image`, whose files lie in the home, as a version. All or nothing.

    Raises PreflightError when it does not fit the definition, BadValueError for an end of life that is past,
    and what the SharedImage target raises.
    """
    check_end_of_life(wanted.end_of_life, datetime.now(UTC))
    model = SharedImageModel(
        type="SharedImage",
        run_output_name="version",
        gallery_image_id=wanted.definition,
        target_regions=list(wanted.regions) or None,
        exclude_from_latest=wanted.exclude_from_latest,
        artifact_tags=dict(wanted.tags),
    )
    # What Azure's messages call the image may be an ARM id, which no template could say.
    publisher = _Publisher(model.model_copy(update={"run_output_name": wanted.name}), services, wanted)
    try:
        what = publisher.preflight(replace(expected_of(image), os_state=wanted.os_state))
        with Wait(services.bus, f"Publishing {what}"):
            artifact = publisher.distribute(image)
    finally:
        publisher.release()
    return services.registry.find_version(artifact.artifact_id)


def expected_of(image: FinishedImage) -> ExpectedImage:
    """What a target's preflight asks about an image that is there already."""
    return ExpectedImage(
        os_type=image.os_type,
        generation=image.generation,
        size=image.virtual_size,
        source_version=image.source_version,
        data_disks=tuple(DataDiskSize(disk.lun, disk.virtual_size) for disk in image.data_disks),
        plan=image.plan,
    )


def of_image(record: ImageRecord, run_id: str) -> FinishedImage:
    """A managed image, as targets take it. Raises NotFoundError when its file is gone."""
    return FinishedImage(
        vhd=_there(record.path, record.id),
        virtual_size=record.size,
        os_type=record.os_type,
        generation=record.generation,
        digest_of=_always(record.digest),
        source=record.id,
        template=record.template,
        run_id=run_id,
        data_disks=_data_disks(record.data_disks, record.id),
        plan=record.plan,
        parent=record.id,
        lineage=record.lineage or {},
    )


def of_version(record: VersionRecord, run_id: str, files: ReplicaFiles) -> FinishedImage:
    """A gallery version, by the files of one of its replicas. Raises NotFoundError when they are not on this
    machine.
    """
    if not files.is_here:
        raise NotFoundError(
            f"The version {record.id} lies at {files.location}, not on this machine.",
            hint="Replicate it to a region that lies here: build gallery version regions ... --add REGION",
        )
    return FinishedImage(
        vhd=_there(files.path, record.id),
        virtual_size=record.size,
        os_type=record.os_type,
        generation=record.generation,
        digest_of=_always(record.digest),
        source=record.id,
        template=record.template,
        run_id=run_id,
        source_version=record.version,
        data_disks=_data_disks(files.data_disks, record.id),
        parent=record.id,
        lineage=record.lineage or {},
    )


class _Publisher(SharedImageDistributor):
    """The target of a build, with what a template cannot say."""

    def __init__(self, model: SharedImageModel, services: Services, wanted: Wanted) -> None:
        super().__init__(model, services)
        self._wanted = wanted

    def _delivery(self, *args: Any) -> Delivery:  # noqa: ANN401 - whatever it takes
        return replace(super()._delivery(*args), end_of_life=self._wanted.end_of_life)


def _data_disks(records: Sequence[DataDiskRecord], what: str) -> tuple[FinishedDataDisk, ...]:
    return tuple(
        FinishedDataDisk(
            one.lun, _there(one.path, f"data disk {one.lun} of {what}"), one.size, _always(one.digest)
        )
        for one in records
    )


def _there(path: Path, what: str) -> Path:
    if not path.is_file():
        raise NotFoundError(
            f"The file of {what} is not on this machine: {path}",
            hint="Put the file back, or name another copy of it.",
        )
    return path


def _always(digest: str) -> Callable[[], str]:
    return lambda: digest
