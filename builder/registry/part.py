"""What the parts of the registry stand on: the database, the home, and paths that survive a move."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any

from sqlalchemy import ColumnElement, func
from sqlalchemy.orm import InstrumentedAttribute

from builder import beacon
from builder.errors import NotFoundError
from builder.registry.caller import Caller
from builder.registry.database import Database
from builder.registry.limits import AZURES, Limits
from builder.registry.location import is_url
from builder.registry.records import DataDiskRecord, region_key
from builder.registry.schema import DataDiskRow
from builder.settings import Home
from templates.arm_id import ResourceId, ResourceIdError


class Part:
    """Base of the registry's parts."""

    def __init__(
        self,
        home: Home,
        *,
        url: str | None = None,
        snapshot: bool = False,
        limits: Limits = AZURES,
        caller: Caller | None = None,
        claim: str = "",
        folders: Sequence[Path] = (),
    ) -> None:
        self.home = home
        self.limits = limits
        self.folders = tuple(folders)
        """Folders outside the home that regions have by the settings."""
        self._db = Database(home.registry, url, snapshot=snapshot)
        self._is_snapshot = snapshot
        beacon.look_at(home.root)
        self._given = caller
        self._claim = claim

    @property
    def is_shared(self) -> bool:
        """Whether other machines use it as well."""
        return self._db.is_shared

    @cached_property
    def caller(self) -> Caller:
        """In whose name everything here is done. Raises UsageError, RegistryError."""
        return self._given or self._db.identify(self._claim)

    def _show_life(self) -> None:
        """Before a row names this process as its holder: let other containers see that it lives."""
        if not self._is_snapshot:
            beacon.light(self.home.root)

    def close(self) -> None:
        """Let go of the file; a later call opens it again."""
        self._db.close()

    def _root_of(self, path: Path) -> Path:
        """The folder of regions that `path` is in: up to there its folders go with it."""
        return next((root for root in self.folders if path.is_relative_to(root)), self.home.regions)

    def _stored(self, path: Path) -> str:
        """A path inside the home relative to it, so that the home can be moved. Absolute in a registry that
        other homes share.
        """
        absolute = path.absolute()
        if self._db.is_shared:
            return str(absolute)
        root = self.home.root
        return str(absolute.relative_to(root) if absolute.is_relative_to(root) else absolute)

    def _loaded(self, text: str) -> Path:
        return Path(text) if is_url(text) else self.home.root / text

    def _stored_location(self, location: str) -> str:
        """The same for a copy's place, which may be a URL."""
        return location if is_url(location) else self._stored(Path(location))

    def _loaded_location(self, text: str) -> str:
        return text if is_url(text) else str(self._loaded(text))

    def _data_disk_row(self, disk: DataDiskRecord) -> DataDiskRow:
        return DataDiskRow(
            lun=disk.lun,
            path=self._stored(disk.path),
            size=disk.size,
            size_on_disk=disk.size_on_disk,
            digest=disk.digest,
        )

    def _data_disk(self, row: DataDiskRow) -> DataDiskRecord:
        return DataDiskRecord(row.lun, self._loaded(row.path), row.size, row.size_on_disk, row.digest)


def as_json(facts: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """What a JSON column takes."""
    return None if facts is None else dict(facts)


def now() -> datetime:
    """The time, in UTC."""
    return datetime.now(UTC)


def arm_key(arm_id: str) -> str:
    """What ids are compared by. Raises ResourceIdError when it is none."""
    return ResourceId.parse(arm_id).key


def typed(arm_id: str, kind: str) -> ResourceId:
    """The id of a resource of type `kind`. Raises ResourceIdError when it is of another one."""
    resource = ResourceId.parse(arm_id)
    if not resource.is_a(kind):
        raise ResourceIdError(f"'{arm_id}' is the id of a {resource.type}, not of a {kind}")
    return resource


def in_subscription(key: InstrumentedAttribute[str], resource: ResourceId) -> ColumnElement[bool]:
    """That a key is of the subscription of `resource`: what limits count in."""
    return key.startswith(f"/subscriptions/{resource.subscription}/".casefold(), autoescape=True)


def same_region(location: InstrumentedAttribute[str], name: str) -> ColumnElement[bool]:
    """That a location is the region `name`, however it is written."""
    return func.lower(func.replace(location, " ", "")) == region_key(name)


def not_found(resource: ResourceId, hint: str | None = None) -> NotFoundError:
    """Azure's words for a resource that is not there."""
    names = "/".join(resource.names)
    return NotFoundError(
        f"The Resource '{resource.type}/{names}' under resource group '{resource.resource_group}' "
        "was not found.",
        details=(str(resource),),
        hint=hint,
    )
