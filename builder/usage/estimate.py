"""What the gallery versions of a build would be billed as, before there is any: for `build plan`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from builder.disk.extents import allocated_size
from builder.distributors.regions import plan_regions
from builder.errors import GoldsmithError
from builder.usage.billing import Total, UsageLine, WantedRegion, bill, total, used_of, used_size
from builder.usage.prices import Prices
from builder.usage.report import Money, money_of
from templates.arm_id import parse_gallery_image
from templates.model.distribute import SharedImageDistributor
from templates.model.source import ManagedImageSource, SharedImageVersionSource

if TYPE_CHECKING:
    from builder.registry.records import VersionRecord
    from builder.services import Services
    from builder.submit import Submission
    from templates.model import ImageTemplate

_LOOKED_AT = 20
"""So many of the newest versions are looked at for one that is published."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """What one target would be billed as. `used_by` says of what the used size was taken."""

    run_output: str
    used: int
    used_by: str
    lines: tuple[UsageLine, ...]
    total: Total
    money: Money | None = None


@dataclass(frozen=True, slots=True)
class _Used:
    """Bytes of each disk, and whose they are."""

    disks: tuple[int, ...]
    by: str


def estimates(
    template: ImageTemplate, found: Submission, services: Services, prices: Prices | None
) -> tuple[Estimate, ...]:
    """One for each SharedImage target whose size anything is known about; a finished image that is used again
    tells it best, then the newest version of the definition, then what the build starts from.
    """
    checks = template.properties.validation
    if checks and checks.source_validation_only:
        return ()
    made = []
    for target in template.properties.distribute:
        if not isinstance(target, SharedImageDistributor):
            continue
        definition = services.registry.find_definition(
            str(parse_gallery_image(target.gallery_image_id).definition)
        )
        used = next(_known(template, found, services, definition.id), None)
        if used is None or not sum(used.disks):
            continue
        regions = plan_regions(target, definition.location, services.settings.limit_replicas)
        wanted = [WantedRegion(r.name, r.count, r.storage_account_type) for r in regions]
        lines = bill(used.disks, definition.location, wanted)
        priced = [(line, prices.cost(line)) for line in lines] if prices else []
        money = money_of(prices, priced) if prices else None
        made.append(Estimate(target.run_output_name, sum(used.disks), used.by, lines, total(lines), money))
    return tuple(made)


def _known(
    template: ImageTemplate, found: Submission, services: Services, definition_id: str
) -> Iterator[_Used]:
    """What is known of the image's size, the best first. What cannot be found out is passed over."""
    image = found.routing.route.image
    try:
        if image is not None:
            yield _Used((used_size(allocated_size(image.vhd)),), "the finished image that is used again")
        for version in services.registry.list_versions(definition_id, limit=_LOOKED_AT):
            if version.state == "Succeeded" and version.replica() is not None:
                yield _of_version(version, f"version {version.version} of this definition")
                break
        yield from _of_source(template, found, services)
    except (OSError, GoldsmithError):  # gone meanwhile: an estimate is no reason to fail
        return


def _of_source(template: ImageTemplate, found: Submission, services: Services) -> Iterator[_Used]:
    source = template.properties.source
    if isinstance(source, ManagedImageSource):
        record = services.registry.find_image(source.image_id)
        sizes = (record.size_on_disk, *(disk.size_on_disk for disk in record.data_disks))
        yield _Used(tuple(used_size(size) for size in sizes), f"its source, the managed image {record.name}")
    elif isinstance(source, SharedImageVersionSource):
        version = services.registry.find_version(source.image_version_id)
        yield _of_version(version, f"its source, version {version.version}")
    else:
        disk = _base(found.source.identity, services.home.bases)
        if disk is not None:
            yield _Used((used_size(allocated_size(disk)),), "its source's disk on this machine")


def _of_version(version: VersionRecord, by: str) -> _Used:
    replica = version.replica()
    return _Used(used_of(replica) if replica else (), by)


def _base(identity: str, bases: Path) -> Path | None:
    """The disk of the base with that identity, when it is here."""
    from builder.sources.bases import BaseCache

    if not identity or not bases.is_dir():
        return None
    cache = BaseCache(bases)
    for folder in bases.iterdir():
        if folder.name.startswith("."):
            continue
        meta = cache.find(folder.name)
        if meta is not None and meta.identity == identity:
            return folder / meta.file
    return None
