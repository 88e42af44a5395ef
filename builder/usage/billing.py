"""What Azure bills of a gallery version: storage of every replica, and what leaves its region. Pure.

The rules are those of the reference page on galleries, part Billing: the service costs nothing; each disk of
each replica is stored as a snapshot of its *used* size; the first copy into every region beside the source's
is egress, more replicas in a region are free of it. The worked example there is a test.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from builder.registry.records import region_key

if TYPE_CHECKING:
    from builder.registry.records import ReplicaRecord, VersionRecord

EMPTY = 64 * 1024
"""A disk that takes no more bytes than this holds nothing: the footer of its VHD takes a block of the file
system, 64 KiB where that is largest."""


@dataclass(frozen=True, slots=True)
class WantedRegion:
    """A region of a version, there or to be: how many replicas, on which storage account type."""

    name: str
    replicas: int
    storage_account_type: str


@dataclass(frozen=True, slots=True)
class UsageLine:
    """A version in one region. Bytes: `used` of one replica (all its disks), `billed` of all its snapshots,
    `egress` that left `source_region` for the first copy, 0 in the source region itself.

    `snapshots` counts those that are billed: a disk that holds nothing has none.
    """

    region: str
    source_region: str
    storage_account_type: str
    replicas: int
    used: int
    snapshots: int
    billed: int
    egress: int


@dataclass(frozen=True, slots=True)
class VersionUsage:
    """A published version, and what each of its regions is billed as."""

    id: str
    version: str
    definition: str
    published_at: datetime | None
    lines: tuple[UsageLine, ...]


@dataclass(frozen=True, slots=True)
class Total:
    """Sums of lines: how many snapshots, and bytes."""

    snapshots: int
    billed: int
    egress: int


def bill(disks: Sequence[int], source_region: str, regions: Iterable[WantedRegion]) -> tuple[UsageLine, ...]:
    """What a version is billed as whose disks use `disks` bytes each (0: the disk is empty)."""
    held = [size for size in disks if size]
    source = region_key(source_region)
    return tuple(
        UsageLine(
            region=region.name,
            source_region=source_region,
            storage_account_type=region.storage_account_type,
            replicas=region.replicas,
            used=sum(held),
            snapshots=region.replicas * len(held),
            billed=region.replicas * sum(held),
            egress=sum(held) if region.replicas and region_key(region.name) != source else 0,
        )
        for region in regions
    )


def usage_of(version: VersionRecord, definition: str) -> VersionUsage:
    """What a published version is billed as. A region counts as many replicas as are complete there."""
    main = version.replica()
    regions = [WantedRegion(r.region, _complete(r), r.storage_account_type) for r in version.replicas]
    return VersionUsage(
        id=version.id,
        version=version.version,
        definition=definition,
        published_at=version.published_at,
        lines=bill(used_of(main) if main else (), main.region if main else version.location, regions),
    )


def used_of(replica: ReplicaRecord) -> tuple[int, ...]:
    """Bytes that each disk of a copy uses, the OS disk first; 0 for one that holds nothing."""
    return tuple(
        used_size(size) for size in (replica.size_on_disk, *(d.size_on_disk for d in replica.data_disks))
    )


def used_size(size_on_disk: int) -> int:
    """The bytes of a fixed VHD that takes `size_on_disk` bytes, 0 when it is empty."""
    return size_on_disk if size_on_disk > EMPTY else 0


def total(lines: Iterable[UsageLine]) -> Total:
    """The sums."""
    some = list(lines)
    return Total(
        sum(line.snapshots for line in some),
        sum(line.billed for line in some),
        sum(line.egress for line in some),
    )


def _complete(replica: ReplicaRecord) -> int:
    if not replica.copies:
        return replica.count
    return sum(copy.state == "Completed" for copy in replica.copies)
