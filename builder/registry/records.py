"""What the registry hands out: frozen facts, detached from the database. Sizes in bytes, times in UTC."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

from builder.registry.location import disk_of
from builder.sources.base import Generation, OsType

OsState = Literal["Generalized", "Specialized"]
VersionState = Literal["Creating", "Succeeded", "Deleting"]
ReplicationState = Literal["Unknown", "Replicating", "Completed", "Failed"]
CopyState = Literal["Pending", "Replicating", "Completed", "Failed"]


@dataclass(frozen=True, slots=True)
class GalleryRecord:
    """A gallery."""

    id: str
    name: str
    resource_group: str
    location: str
    description: str
    tags: Mapping[str, str]
    created_at: datetime
    created_by: str = ""


@dataclass(frozen=True, slots=True)
class DefinitionRecord:
    """An image definition."""

    id: str
    name: str
    gallery_id: str
    gallery_name: str
    location: str
    os_type: OsType
    os_state: OsState
    generation: Generation
    architecture: str
    publisher: str
    offer: str
    sku: str
    features: tuple[Mapping[str, Any], ...]
    description: str
    end_of_life: str | None
    plan: Mapping[str, str] | None
    tags: Mapping[str, str]
    created_at: datetime
    created_by: str = ""
    eula: str = ""
    privacy_statement_uri: str = ""
    release_note_uri: str = ""
    recommended: Mapping[str, Any] | None = None
    disallowed: Mapping[str, Any] | None = None

    @property
    def label(self) -> str:
        """How a person names it: gallery/definition."""
        return f"{self.gallery_name}/{self.name}"


@dataclass(frozen=True, slots=True)
class DataDiskRecord:
    """A data disk of a managed image or of a version's copy; `lun` is its number, from 0."""

    lun: int
    path: Path
    size: int
    size_on_disk: int
    digest: str


@dataclass(frozen=True, slots=True)
class CopyRecord:
    """One replica in a region, numbered from 1. `location` is a path or a URL; bytes are of all its disks."""

    number: int
    location: str
    state: CopyState
    bytes_done: int
    bytes_total: int
    error: str = ""
    completed_at: datetime | None = None
    verified_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class ReplicaRecord:
    """A version in one region. `count` is how many replicas were asked for, `path` the file of the first
    complete one; it is `usable` when there is one. Where that is at a URL, `location` says it.
    `exclude_from_latest` overrides the version's flag when it is not None.
    """

    region: str
    count: int
    storage_account_type: str
    path: Path
    size_on_disk: int
    exclude_from_latest: bool | None = None
    data_disks: tuple[DataDiskRecord, ...] = ()
    state: ReplicationState = "Completed"
    usable: bool = True
    copies: tuple[CopyRecord, ...] = ()

    @property
    def files(self) -> tuple[Path, ...]:
        """Every file of the copy that `path` is of: the OS disk first."""
        return (self.path, *(disk.path for disk in self.data_disks))

    @property
    def location(self) -> str:
        """Where the copy is that `path` is of: a path or a URL."""
        whole = [copy for copy in self.copies if copy.state == "Completed"]
        return next((copy.location for copy in whole or self.copies), str(self.path))

    @property
    def locations(self) -> tuple[str, ...]:
        """Every file of every copy, complete or not."""
        copies = [copy.location for copy in self.copies] or [str(self.path)]
        luns = (None, *(disk.lun for disk in self.data_disks))
        return tuple(disk_of(copy, lun) for copy in copies for lun in luns)


@dataclass(frozen=True, slots=True)
class CopyDisk:
    """A disk of a copy to make: the OS disk when `lun` is None. `size` is virtual, in bytes."""

    lun: int | None
    size: int
    digest: str


@dataclass(frozen=True, slots=True)
class CopyTask:
    """A copy that this process makes (or, where it only looks, checks). `sources` are the locations of the
    complete ones, the nearest first. `made_before`: it was complete once, so what lies there is ours.
    `damage`: what was found wrong with it since.
    """

    id: int
    version_id: str
    label: str
    region: str
    number: int
    location: str
    disks: tuple[CopyDisk, ...]
    sources: tuple[str, ...]
    made_before: bool
    damage: str = ""

    @property
    def name(self) -> str:
        """How a person names it: gallery/definition/version in region, replica n."""
        return f"{self.label} in {self.region}, replica {self.number}"


@dataclass(frozen=True, slots=True)
class NewRegion:
    """A region that a version is to be replicated to. `location` is where its first copy will lie."""

    name: str
    count: int
    storage_account_type: str
    location: str


@dataclass(frozen=True, slots=True)
class VersionRecord:
    """An image version. `state` Creating: a build holds the number and has not delivered yet. `parent` is
    the key of the gallery version or managed image it was made from, "" when it was something else.
    """

    id: str
    version: str
    definition_id: str
    location: str
    state: VersionState
    exclude_from_latest: bool
    replication_mode: Literal["Full", "Shallow"]
    os_type: OsType
    os_state: OsState
    generation: Generation
    size: int
    digest: str
    source: str
    template: str
    run_id: str
    tags: Mapping[str, str]
    created_at: datetime
    published_at: datetime | None
    replicas: tuple[ReplicaRecord, ...]
    end_of_life: str | None = None
    block_deletion_before_end_of_life: bool = False
    parent: str = ""
    lineage: Mapping[str, Any] | None = None
    revoked_at: datetime | None = None
    revoked_by: str = ""
    revoked_reason: str = ""
    created_by: str = ""

    def replica(self, region: str | None = None) -> ReplicaRecord | None:
        """The copy in `region`; without a region the one in the version's own location, else any."""
        wanted = region_key(region or self.location)
        for replica in self.replicas:
            if region_key(replica.region) == wanted:
                return replica
        return self.replicas[0] if region is None and self.replicas else None


@dataclass(frozen=True, slots=True)
class Delivery:
    """What `complete_version` records of a delivered version. Sizes in bytes."""

    replicas: Sequence[ReplicaRecord]
    size: int
    digest: str = ""
    source: str = ""
    template: str = ""
    run_id: str = ""
    exclude_from_latest: bool = False
    replication_mode: Literal["Full", "Shallow"] = "Full"
    tags: Mapping[str, str] = field(default_factory=dict)
    end_of_life: str | None = None
    parent: str = ""
    lineage: Mapping[str, Any] | None = None
    channels: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class ImageRecord:
    """A managed image. `plan` is the purchase plan of what it was made from (name, publisher, product)."""

    id: str
    name: str
    resource_group: str
    location: str
    os_type: OsType
    generation: Generation
    path: Path
    size: int
    size_on_disk: int
    digest: str
    source: str
    template: str
    run_id: str
    tags: Mapping[str, str]
    created_at: datetime
    data_disks: tuple[DataDiskRecord, ...] = ()
    os_state: OsState = "Generalized"
    parent: str = ""
    lineage: Mapping[str, Any] | None = None
    created_by: str = ""
    plan: Mapping[str, str] | None = None

    @property
    def files(self) -> tuple[Path, ...]:
        """Every file it has: the OS disk first."""
        return (self.path, *(disk.path for disk in self.data_disks))


@dataclass(frozen=True, slots=True)
class Ancestor:
    """What something was made from. `record` is None when it is gone: deleted, or another content is under
    its id now.
    """

    id: str
    record: VersionRecord | ImageRecord | None


@dataclass(frozen=True, slots=True)
class ChannelRecord:
    """A named pointer to a version."""

    name: str
    definition_id: str
    version_id: str
    version: str
    moved_at: datetime
    moved_by: str

    @property
    def scope(self) -> str:
        """What decides who may see it."""
        return self.definition_id


@dataclass(frozen=True, slots=True)
class ChannelMove:
    """One move of a channel: the numbers it pointed to before and afterwards, "" for nowhere. `run_id` is the
    build's that moved it, "" when a person did.
    """

    deed: Literal["set", "undo", "remove"]
    before: str
    after: str
    forced: bool
    run_id: str
    at: datetime
    by: str


@dataclass(frozen=True, slots=True)
class Reclaimed:
    """What `reclaim` took back from dead processes: ids of reserved versions."""

    versions: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Orphan:
    """A file (or an empty folder) of images/ or regions/ that no row names. `size` is what goes with it
    from the disk, in bytes: nothing while it has other names.
    """

    path: Path
    size: int


@dataclass(frozen=True, slots=True)
class AuditRecord:
    """A line of the audit. `action` is Azure's name of it, `outcome` Allowed or Denied."""

    at: datetime
    caller: str
    action: str
    scope: str
    outcome: str
    details: str


def region_key(name: str) -> str:
    """The form regions are compared in: 'West US 2' and 'westus2' are the same place.

    >>> region_key("West US 2")
    'westus2'
    """
    return name.replace(" ", "").lower()
