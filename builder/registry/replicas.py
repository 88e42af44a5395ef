"""Replicas of versions: planned, made one by one by whoever has claimed them, and checked."""

from __future__ import annotations

import uuid
from collections.abc import Collection, Iterable, Mapping, Sequence
from itertools import islice

from sqlalchemy import Select, and_, or_, select
from sqlalchemy.orm import Session

from builder.errors import ConflictError, NotFoundError, PreflightError
from builder.owner import current_owner
from builder.registry import holder
from builder.registry.location import first_of
from builder.registry.part import arm_key, not_found, now
from builder.registry.records import (
    CopyDisk,
    CopyTask,
    NewRegion,
    VersionRecord,
    region_key,
)
from builder.registry.schema import CopyRow, DataDiskRow, MetaRow, ReplicaRow, VersionRow
from builder.registry.version_rows import COMPLETED, FAILED, PENDING, REPLICATING, VersionRows, pending
from templates.arm_id import ResourceId

IDENTITY = "registry-id"
_ERROR_LENGTH = 500


class Replicas(VersionRows):
    """The registry's part for the copies of versions. One process makes one copy: `claim_copy` gives it
    away under the write lock; what a process that is gone had claimed can be claimed again.
    """

    def identity(self) -> str:
        """What names this registry to others, for ever: its places carry it."""
        with self._db.read() as session:
            row = session.get(MetaRow, IDENTITY)
            if row is not None:
                return row.value
        with self._db.write() as session:
            row = session.get(MetaRow, IDENTITY)
            if row is None:
                row = MetaRow(key=IDENTITY, value=str(uuid.uuid4()))
                session.add(row)
            return row.value

    def list_incomplete(self, region: str | None = None) -> list[VersionRecord]:
        """The published versions with a copy that is not complete, by their ids."""
        here = [ReplicaRow.version_key == VersionRow.key, ReplicaRow.state != COMPLETED]
        if region is not None:
            here.append(ReplicaRow.region_key == region_key(region))
        query = (
            select(VersionRow)
            .where(VersionRow.state == "Succeeded", select(ReplicaRow.id).where(*here).exists())
            .order_by(VersionRow.key)
        )
        with self._db.read() as session:
            return [self._version(row) for row in session.scalars(query)]

    def named_locations(self) -> tuple[set[str], set[str]]:
        """Locations of all copies of all versions, whoever may see them; and, as
        `/gallery/definition/1.0.0/`, the folders in which builds may be making the first copy of a version.
        """
        named: set[str] = set()
        reserved: set[str] = set()
        with self._db.read() as session:
            for row in session.scalars(select(VersionRow)):
                if row.state != "Succeeded":
                    definition = row.definition
                    number = row.id.rsplit("/", 1)[1]
                    reserved.add(f"/{definition.gallery.name}/{definition.name}/{number}/".casefold())
                named |= self._locations(row)
        return named, reserved

    def has_copies(self, place: str) -> bool:
        """Whether any copy was ever complete in a place, a folder or URL."""
        below = f"{self._stored_location(place)}/"
        query = (
            select(CopyRow.id)
            .where(CopyRow.location.startswith(below, autoescape=True), CopyRow.completed_at.is_not(None))
            .limit(1)
        )
        with self._db.read() as session:
            return session.scalars(query).first() is not None

    def claim_copy(
        self,
        versions: Collection[str],
        *,
        region: str | None = None,
        tried: Collection[int] = (),
        failed: bool = True,
    ) -> CopyTask | None:
        """Take a copy to make, the first ones of the regions before the others; None when there is none.

        Takes what is pending, what a process had that is gone, and, with `failed`, what failed; but nothing
        in `tried`. A second copy waits while the first one of its region is made: it is made from that.
        """
        keys = [arm_key(one) for one in versions]
        self._show_life()
        with self._db.write() as session:
            for row, replica, version in session.execute(_candidates(keys, region)):
                if row.id in tried or (row.state == FAILED and not failed) or _held(row):
                    continue
                if any(one.number < row.number and _in_the_making(one, tried) for one in replica.copies):
                    continue
                row.state, row.owner, row.host = REPLICATING, current_owner(), holder.this_host()
                row.started_at, row.error = now(), ""
                self._settle(replica)
                return self._task(row, replica, version)
        return None

    def complete_plan(self, versions: Iterable[str]) -> None:
        """Add the copies that a region's count asks for and that nothing names yet (a registry from before
        there were copies has one a region).
        """
        with self._db.write() as session:
            for version in versions:
                row = session.get(VersionRow, arm_key(version))
                for replica in row.replicas if row is not None else ():
                    self._fit(replica)

    def copy_progress(self, copy_id: int, done: int, total: int) -> bool:
        """Note how far a claimed copy is, in bytes. False: it is not this process's any more."""
        with self._db.write() as session:
            row = _mine(session, copy_id)
            if row is not None:
                row.bytes_done, row.bytes_total = done, total
            return row is not None

    def copy_done(self, copy_id: int, total: int, size_on_disk: int = 0) -> bool:
        """A claimed copy is complete and was checked. False: it is not this process's any more."""
        with self._db.write() as session:
            row = _mine(session, copy_id)
            if row is None:
                return False
            row.state, row.error, row.owner, row.host = COMPLETED, "", "", ""
            row.bytes_done = row.bytes_total = total
            row.completed_at = row.verified_at = now()
            replica = session.get_one(ReplicaRow, row.replica_id)
            if size_on_disk and row.number == min(c.number for c in replica.copies if c.state == COMPLETED):
                replica.size_on_disk = size_on_disk
            self._settle(replica)
            return True

    def copy_failed(self, copy_id: int, error: str) -> None:
        """A claimed copy could not be made, `error` says why; what has arrived of it may be gone on with."""
        self._give_back(copy_id, FAILED, error)

    def copy_released(self, copy_id: int) -> None:
        """Give a claimed copy back: whoever makes copies next goes on with it."""
        self._give_back(copy_id, PENDING, "")

    def copy_checked(self, copy_id: int, error: str = "") -> None:
        """A complete copy was read again: it is sound, or `error` says what is wrong and it fails."""
        with self._db.write() as session:
            row = session.get(CopyRow, copy_id)
            if row is None or row.state != COMPLETED:
                return
            row.verified_at = now()
            if error:
                row.state, row.error = FAILED, error[:_ERROR_LENGTH]
                row.completed_at = row.completed_at or now()  # one from before copies had times
                self._settle(session.get_one(ReplicaRow, row.replica_id))

    def copy_damaged(self, version_id: str, location: str, error: str) -> None:
        """The complete copy of a version at `location` is not what it should be."""
        with self._db.read() as session:
            version = session.get(VersionRow, arm_key(version_id))
            found = [
                copy.id
                for replica in (version.replicas if version is not None else ())
                for copy in replica.copies
                if self._loaded_location(copy.location) == location
            ]
        for copy_id in found:
            self.copy_checked(copy_id, error)

    def complete_copies(self, versions: Collection[str], region: str | None = None) -> list[CopyTask]:
        """The copies of some versions that are complete, or were so before they were damaged."""
        keys = [arm_key(one) for one in versions]
        damaged = and_(CopyRow.state == FAILED, CopyRow.completed_at.is_not(None))
        there = or_(CopyRow.state == COMPLETED, damaged)
        with self._db.read() as session:
            rows = session.execute(_copies(keys, region).where(there))
            return [self._task(row, replica, version) for row, replica, version in rows]

    def change_regions(
        self,
        version_id: str,
        *,
        add: Sequence[NewRegion] = (),
        remove: Collection[str] = (),
        counts: Mapping[str, int] | None = None,
        storage: Mapping[str, str] | None = None,
    ) -> tuple[VersionRecord, tuple[str, ...]]:
        """Other regions, replica counts or kinds of storage for a published version, and the locations of
        files that nothing names any more. Copies to make are pending then. Raises NotFoundError,
        PreflightError with Azure's messages, ConflictError for a copy that is being made.
        """
        resource = ResourceId.parse(version_id)
        with self._db.write() as session:
            row = session.get(VersionRow, resource.key)
            if row is None or row.state != "Succeeded":
                raise not_found(resource)
            before = self._locations(row)
            _check_change(row, add, remove)
            gone = {region_key(name) for name in remove}
            for replica in [one for one in row.replicas if one.region_key in gone]:
                _refuse_held(replica, replica.copies)
                row.replicas.remove(replica)
            for key, count in (counts or {}).items():
                replica = _of_region(row, key)
                replica.count = _checked(count, self.limits.replicas)
                self._fit(replica)
            for key, kind in (storage or {}).items():
                _of_region(row, key).storage_account_type = kind
            row.replicas += [self._new_region(row, region) for region in add]
            _check_counts(row, self.limits.replicas)
            session.flush()
            record = self._version(row)
        return record, tuple(sorted(before - {at for one in record.replicas for at in one.locations}))

    def _give_back(self, copy_id: int, state: str, error: str) -> None:
        with self._db.write() as session:
            row = _mine(session, copy_id)
            if row is not None:
                row.state, row.error, row.owner, row.host = state, error[:_ERROR_LENGTH], "", ""
                self._settle(session.get_one(ReplicaRow, row.replica_id))

    def _task(self, row: CopyRow, replica: ReplicaRow, version: VersionRow) -> CopyTask:
        definition = version.definition
        disks = [CopyDisk(None, version.size, version.digest)]
        disks += [CopyDisk(disk.lun, disk.size, disk.digest) for disk in replica.data_disks]
        home = region_key(definition.location)
        whole = sorted(
            (
                (one.region_key != replica.region_key, one.region_key != home, copy.location)
                for one in version.replicas
                for copy in one.copies
                if copy.state == COMPLETED and copy.id != row.id
            ),
        )
        return CopyTask(
            id=row.id,
            version_id=version.id,
            label=f"{definition.gallery.name}/{definition.name}/{version.id.rsplit('/', 1)[1]}",
            region=replica.region,
            number=row.number,
            location=self._loaded_location(row.location),
            disks=tuple(disks),
            sources=tuple(self._loaded_location(location) for _, _, location in whole),
            made_before=row.completed_at is not None,
            damage=row.error if row.state == FAILED else "",
        )

    def _fit(self, replica: ReplicaRow) -> None:
        """As many copies as its count says. Those that are not complete go first, then the last ones."""
        by_worth = sorted(replica.copies, key=lambda one: (one.state != COMPLETED, one.number))
        extra = by_worth[replica.count :]
        _refuse_held(replica, extra)
        known = by_worth[0]
        first = first_of(known.location, known.number)
        for one in extra:
            replica.copies.remove(one)
        taken = {one.number for one in replica.copies}
        free = (number for number in range(1, replica.count + 1) if number not in taken)
        missing = replica.count - len(taken)
        replica.copies += [pending(first, number) for number in islice(free, missing)]
        self._settle(replica)

    def _new_region(self, version: VersionRow, region: NewRegion) -> ReplicaRow:
        location = self._stored_location(region.location)
        row = ReplicaRow(
            region=region.name,
            region_key=region_key(region.name),
            count=_checked(region.count, self.limits.replicas),
            storage_account_type=region.storage_account_type,
            path=location,
            size_on_disk=0,
            exclude_from_latest=None,
            data_disks=[
                DataDiskRow(lun=d.lun, path=d.path, size=d.size, size_on_disk=d.size_on_disk, digest=d.digest)
                for d in (version.replicas[0].data_disks if version.replicas else ())
            ],
            copies=[pending(location, number) for number in range(1, region.count + 1)],
        )
        self._settle(row)
        return row

    def _locations(self, row: VersionRow) -> set[str]:
        return {at for replica in row.replicas for at in self._replica(replica).locations}


def _copies(keys: Sequence[str], region: str | None) -> Select[CopyRow, ReplicaRow, VersionRow]:
    query = (
        select(CopyRow, ReplicaRow, VersionRow)
        .join(ReplicaRow, ReplicaRow.id == CopyRow.replica_id)
        .join(VersionRow, VersionRow.key == ReplicaRow.version_key)
        .where(VersionRow.key.in_(keys), VersionRow.state == "Succeeded")
        .order_by(CopyRow.number, CopyRow.id)
    )
    return query if region is None else query.where(ReplicaRow.region_key == region_key(region))


def _candidates(keys: Sequence[str], region: str | None) -> Select[CopyRow, ReplicaRow, VersionRow]:
    return _copies(keys, region).where(CopyRow.state != COMPLETED)


def _held(row: CopyRow) -> bool:
    return row.state == REPLICATING and holder.lives(row.owner, row.host, row.started_at)


def _in_the_making(row: CopyRow, tried: Collection[int]) -> bool:
    return _held(row) or (row.state == PENDING and row.id not in tried)


def _mine(session: Session, copy_id: int) -> CopyRow | None:
    row = session.get(CopyRow, copy_id)
    held = row is not None and row.state == REPLICATING and row.owner == current_owner()
    return row if held else None


def _refuse_held(replica: ReplicaRow, copies: Iterable[CopyRow]) -> None:
    if any(_held(copy) for copy in copies):
        raise ConflictError(
            f"A replica in {replica.region} is being made at this moment.",
            hint="Wait for it ('build gallery status'), or stop the process that makes it.",
        )


def _of_region(row: VersionRow, name: str) -> ReplicaRow:
    for replica in row.replicas:
        if replica.region_key == region_key(name):
            return replica
    listed = ", ".join(replica.region for replica in row.replicas)
    raise NotFoundError(f"{row.id} has no replicas in {name}; it is in {listed}.")


def _check_change(row: VersionRow, add: Sequence[NewRegion], remove: Collection[str]) -> None:
    for name in remove:
        _of_region(row, name)
    gone = {region_key(name) for name in remove}
    left = [one.region for one in row.replicas if one.region_key not in gone]
    location = row.definition.location
    if region_key(location) in gone:
        raise PreflightError(
            f"Gallery image version publishing profile regions {', '.join(left)} must contain the "
            f"location of image version {location}",
            hint="The region of the image definition cannot be removed.",
        )
    names = [*left, *(region.name for region in add)]
    if len({region_key(name) for name in names}) != len(names):
        raise PreflightError(
            "Duplicate regions are not allowed in target publishing regions", details=tuple(names)
        )


def _checked(count: int, most: int) -> int:
    """One region's: before there are as many rows, while others wait for the lock."""
    if count < 1:
        raise PreflightError("A region has at least one replica.", hint="Remove the region instead.")
    if count > most:
        raise _too_many(count, most)
    return count


def _too_many(total: int, most: int) -> PreflightError:
    return PreflightError(
        f"A version may have {most} replicas; {total} are asked for.", hint="The setting limit_replicas."
    )


def _check_counts(row: VersionRow, most: int) -> None:
    total = sum(replica.count for replica in row.replicas)
    if total > most:
        raise _too_many(total, most)
    if row.replication_mode == "Shallow" and total != 1:
        raise PreflightError(
            "Replication mode Shallow makes no copies: it allows one region with one replica.",
            hint="Build it again with replicationMode Full.",
        )
