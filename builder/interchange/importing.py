"""`build images import`: disks from elsewhere become a managed image, or a gallery version."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from builder.disk.data_disk import node_of
from builder.distributors.base import FinishedDataDisk, FinishedImage
from builder.distributors.files import folder_name
from builder.errors import ConflictError, NotFoundError, UsageError
from builder.events import Wait
from builder.interchange.intake import TakenDisk, take_in
from builder.interchange.looks import Looks, look_at
from builder.interchange.scratch import Scratch
from builder.publish import Wanted, expected_of, publish
from builder.registry.fits import ImageKind, check_fits
from templates.arm_id import ResourceId, parse_gallery_image, parse_managed_image
from templates.model.distribute import ManagedImageDistributor as ManagedImageModel

if TYPE_CHECKING:
    from builder.registry.records import ImageRecord, OsState, VersionRecord
    from builder.services import Services
    from builder.sources.base import Generation, OsType

GENERALIZED = "Generalized"
_SHOWN = 6


@dataclass(frozen=True, slots=True)
class Incoming:
    """Disks to import: `data_disks` by lun; `declared` is the format of all files, when it is said."""

    file: Path
    data_disks: Mapping[int, Path] = field(default_factory=dict)
    declared: str | None = None
    os_type: OsType | None = None
    generation: Generation | None = None
    os_state: OsState = "Generalized"


@dataclass(frozen=True, slots=True)
class Imported:
    """A managed image that was imported, and how what it is was told."""

    image: ImageRecord
    looks: Looks
    came_as: str


@dataclass(frozen=True, slots=True)
class Taken:
    """The disks in the scratch folder, as distributors take them, and what they look like."""

    image: FinishedImage
    looks: Looks
    came_as: str


def import_image(
    incoming: Incoming,
    image_id: str,
    services: Services,
    *,
    location: str = "",
    tags: Mapping[str, str] | None = None,
    may_replace: bool = False,
) -> Imported:
    """Make the managed image `image_id` of the disks. All or nothing; a SIGKILL leaves what gc sweeps.

    Raises ConflictError when it is there and may not be replaced, UsageError, and what `take_in` raises.
    """
    from builder.distributors.managed_image import ManagedImageDistributor

    if incoming.os_state != GENERALIZED:
        raise UsageError(
            "A managed image is generalized; a specialized disk can only be a gallery version.",
            hint="Name a definition with osState Specialized: --to GALLERY/DEFINITION.",
        )
    resource = parse_managed_image(image_id)
    model = ManagedImageModel(
        type="ManagedImage",
        run_output_name="image",
        image_id=image_id,
        location=location or services.settings.location,
        artifact_tags=dict(tags or {}),
    )
    distributor = ManagedImageDistributor(model, services)
    for name in (resource.resource_group, resource.name):
        folder_name(name)  # before the disk is converted
    what = f"The import of {resource.resource_group}/{resource.name}"
    with _scratch(resource, what, services) as scratch:
        # Inside: nobody else makes it meanwhile.
        _refuse_replacing(resource, services, may_replace=may_replace)
        taken = take(incoming, scratch, services)
        distributor.preflight(expected_of(taken.image))
        with Wait(services.bus, f"Recording {resource.name}"):
            distributor.distribute(taken.image)
    return Imported(services.registry.find_image(str(resource)), taken.looks, taken.came_as)


def import_version(incoming: Incoming, wanted: Wanted, services: Services) -> tuple[VersionRecord, Taken]:
    """Make a gallery version of the disks, the only way for specialized ones. Raises as `import_image`, and
    what `publish` raises.
    """
    _check_early(incoming, wanted, services)
    what = f"An import for {wanted.definition.rsplit('/', 1)[-1]}"
    with Scratch(
        services.home, services.run_id, run_id=services.run_id, what=what, bus=services.bus
    ) as scratch:
        taken = take(incoming, scratch, services)
        wanted = replace(wanted, os_state=incoming.os_state, name=incoming.file.name)
        return publish(services, taken.image, wanted), taken


def take(incoming: Incoming, scratch: Scratch, services: Services) -> Taken:
    """Bring the disks into `scratch`, look at them, and say what is worth knowing. Raises as `take_in`."""
    os_disk = take_in(incoming.file, "os.vhd", scratch, services, declared=incoming.declared)
    data_disks = [
        (lun, take_in(file, f"{node_of(lun)}.vhd", scratch, services, declared=incoming.declared))
        for lun, file in sorted(incoming.data_disks.items())
    ]
    with Wait(services.bus, "Looking at what is on it"):
        looks = look_at(
            os_disk.vhd,
            os_type=incoming.os_type,
            generation=incoming.generation,
            data_disks={lun: disk.vhd for lun, disk in data_disks},
        )
    _say(incoming, os_disk, looks, services)
    image = FinishedImage(
        vhd=os_disk.vhd,
        virtual_size=os_disk.size,
        os_type=looks.os_type,
        generation=looks.generation,
        digest_of=os_disk.digest_of,
        source=f"imported from {incoming.file.name} ({os_disk.came_as})",
        template="",
        run_id=services.run_id,
    )
    finished = tuple(FinishedDataDisk(lun, disk.vhd, disk.size, disk.digest_of) for lun, disk in data_disks)
    return Taken(replace(image, data_disks=finished), looks, os_disk.came_as)


def _scratch(resource: ResourceId, what: str, services: Services) -> Scratch:
    name = f"import_{resource.resource_group}_{resource.name}".casefold()
    return Scratch(services.home, name, run_id=services.run_id, what=what, bus=services.bus)


def _check_early(incoming: Incoming, wanted: Wanted, services: Services) -> None:
    """What can be known to fit no definition before the disk is converted. Raises PreflightError and kin."""
    named = str(parse_gallery_image(wanted.definition).definition)
    definition = services.registry.find_definition(named)
    kind = ImageKind(
        name=incoming.file.name,
        os_type=incoming.os_type or definition.os_type,
        generation=incoming.generation or definition.generation,
        os_state=incoming.os_state,
        architecture=definition.architecture,
    )
    check_fits(definition, kind)


def _refuse_replacing(resource: ResourceId, services: Services, *, may_replace: bool) -> None:
    try:
        old = services.registry.find_image(str(resource))
    except NotFoundError:
        return
    if not may_replace:
        raise ConflictError(
            f"There is a managed image {old.resource_group}/{old.name} of {old.created_at:%Y-%m-%d}.",
            hint="Say --replace to put this one in its place, or give it another name.",
        )


def _say(incoming: Incoming, disk: TakenDisk, looks: Looks, services: Services) -> None:
    bus = services.bus
    if disk.size != disk.source_size:
        bus.note(f"The disk grew from {disk.source_size} to {disk.size} bytes: Azure takes whole MiB.")
    for remark in looks.remarks:
        bus.warn(remark, code="Import")
    if incoming.os_state != GENERALIZED:
        return
    if looks.findings:
        shown = "; ".join(looks.findings[:_SHOWN])
        more = f"; and {len(looks.findings) - _SHOWN} more" if len(looks.findings) > _SHOWN else ""
        bus.warn(
            f"It does not look generalized: {shown}{more}. Machines made of it would share that; deprovision "
            "it first, or import it as Specialized into a gallery.",
            code="NotGeneralized",
        )
    elif looks.unlooked:
        bus.warn(f"Whether it is generalized was not looked at: {looks.unlooked}.", code="Unproved")
