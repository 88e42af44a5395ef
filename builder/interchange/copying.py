"""`build gallery version create`: a version of a managed image or of another version, here or elsewhere."""

from __future__ import annotations

from contextlib import ExitStack, contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

from builder.disk.data_disk import node_of
from builder.disk.extents import clone
from builder.distributors.files import explained, space_for
from builder.errors import NotFoundError, UsageError
from builder.events import Wait
from builder.interchange.scratch import Scratch
from builder.publish import Wanted, of_image, of_version, publish
from builder.sources.revoked import check_parent
from templates.arm_id import MANAGED_IMAGE_TYPE, ResourceId

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from builder.distributors.base import FinishedImage
    from builder.registry.records import ImageRecord, VersionRecord
    from builder.registry.store import Registry
    from builder.services import Services


def find_source(registry: Registry, text: str, subscription: str) -> ImageRecord | VersionRecord:
    """A managed image (name, GROUP/NAME or id) or a version (GALLERY/DEFINITION/VERSION or id). Raises
    NotFoundError, UsageError.
    """
    from builder.registry.lookup import image_id, version_id

    if text.startswith("/"):
        is_image = ResourceId.parse(text).is_a(MANAGED_IMAGE_TYPE)
    else:
        is_image = text.count("/") < 2
    if is_image:
        return registry.find_image(image_id(registry, text, subscription))
    return registry.find_version(version_id(registry, text))


def finished_of(services: Services, text: str, region: str | None = None) -> tuple[str, FinishedImage]:
    """The id of what `text` names, and its disks; of a version those of its copy in `region`, when one is
    said. Raises what `find_source` raises, and NotFoundError when its files are not on this machine.
    """
    registry = services.registry
    record = find_source(registry, text, services.settings.subscription_id)
    if getattr(record, "revoked_at", None) is not None:
        services.bus.warn(f"{record.id} is revoked.", code="Revoked")
    return record.id, _image(services, registry, record, region)


def create_version(
    services: Services, source: str, wanted: Wanted, *, from_home: Path | None = None
) -> VersionRecord:
    """Publish the image `source` names as a version: links where it lies in this home, a copy of its data
    where it lies in another (`from_home`). Raises what `find_source` and `publish` raise.
    """
    with ExitStack() as stack:
        registry = services.registry
        if from_home is not None:
            registry = stack.enter_context(_other(from_home))
        record = find_source(registry, source, services.settings.subscription_id)
        image = _image(services, registry, record)
        check_parent(record.id, registry, services.bus)
        wanted = replace(wanted, name=record.id, os_state=record.os_state)
        if from_home is not None:
            # An id of another home would mean something else here.
            image = replace(stack.enter_context(_brought(image, services)), parent="")
        return publish(services, image, wanted)


def _image(
    services: Services, registry: Registry, record: ImageRecord | VersionRecord, region: str | None = None
) -> FinishedImage:
    from builder.registry.records import ImageRecord
    from builder.sources.replica import choose

    if isinstance(record, ImageRecord):
        return of_image(record, services.run_id)
    # A version is of the plan that its definition has.
    plan = registry.find_definition(record.definition_id).plan
    # Not one that is known to be damaged: what was made of it would have its own digest right.
    return replace(of_version(record, services.run_id, choose(record, services, region)), plan=plan)


@contextmanager
def _other(path: Path) -> Iterator[Registry]:
    from builder.registry.store import Registry
    from builder.settings import Home, load_settings

    home = Home(path)
    settings = load_settings(home)
    if settings.registry_url is None and not home.registry.is_file():
        raise NotFoundError(f"{path} is no home of Goldsmith: it has no registry.db.")
    registry = Registry.of(home, settings)
    try:
        yield registry
    finally:
        registry.close()


@contextmanager
def _brought(image: FinishedImage, services: Services) -> Iterator[FinishedImage]:
    """`image` with copies of its files in this home: nobody links into somebody else's."""
    run_id = services.run_id
    with Scratch(
        services.home, run_id, run_id=run_id, what=f"The copy of {image.source}", bus=services.bus
    ) as scratch:
        with Wait(services.bus, f"Copying {image.source}"):
            os_disk = _copy(image.vhd, scratch.file("os.vhd"))
            disks = tuple(
                replace(disk, vhd=_copy(disk.vhd, scratch.file(f"{node_of(disk.lun)}.vhd")))
                for disk in image.data_disks
            )
        yield replace(image, vhd=os_disk, data_disks=disks)


def _copy(source: Path, destination: Path) -> Path:
    space_for(source, destination.parent)
    with explained(destination):
        clone(source, destination)
    return destination


def parse_target(registry: Registry, text: str) -> str:
    """The id of the definition GALLERY/DEFINITION, or of the version GALLERY/DEFINITION/x.y.z to be. Raises
    NotFoundError, UsageError for `latest`.
    """
    from builder.registry.lookup import definition_id, version_id

    if text.casefold().endswith("/latest"):
        raise UsageError("'latest' is no number of a version.", hint="Leave it out for the next one.")
    if text.startswith("/"):
        return text
    return version_id(registry, text) if text.count("/") == 2 else definition_id(registry, text)
