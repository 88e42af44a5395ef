"""Image versions between their rows and their records."""

from __future__ import annotations

from typing import Any, cast

from builder.registry import rules
from builder.registry.location import disk_of, numbered
from builder.registry.part import Part, now
from builder.registry.records import CopyRecord, ReplicaRecord, VersionRecord, region_key
from builder.registry.schema import CopyRow, ReplicaRow, VersionRow

PENDING, REPLICATING, COMPLETED, FAILED = "Pending", "Replicating", "Completed", "Failed"


class VersionRows(Part):
    """What the parts that work with versions share."""

    def _replica_row(self, replica: ReplicaRecord) -> ReplicaRow:
        """Of a region that is delivered. Without `copies` its first one is complete at `path`, and the others
        are to be made beside it.
        """
        first = replica.copies[0].location if replica.copies else str(replica.path)
        row = ReplicaRow(
            region=replica.region,
            region_key=region_key(replica.region),
            count=replica.count,
            storage_account_type=replica.storage_account_type,
            path=self._stored_location(first),
            size_on_disk=replica.size_on_disk,
            exclude_from_latest=replica.exclude_from_latest,
            data_disks=[self._data_disk_row(disk) for disk in replica.data_disks],
        )
        total = replica.size_on_disk + sum(disk.size_on_disk for disk in replica.data_disks)
        made = replica.copies or (CopyRecord(1, first, "Completed", total, total, completed_at=now()),)
        row.copies = [
            CopyRow(
                number=copy.number,
                location=self._stored_location(copy.location),
                state=copy.state,
                bytes_done=copy.bytes_done,
                bytes_total=copy.bytes_total,
                error="",
                owner="",
                host="",
                completed_at=copy.completed_at,
                verified_at=copy.verified_at,
            )
            for copy in made
        ]
        row.copies += [pending(row.copies[0].location, n) for n in range(len(made) + 1, replica.count + 1)]
        self._settle(row)
        return row

    def _settle(self, row: ReplicaRow) -> None:
        """Say what its copies make of a region: Azure's state, whether it is usable, which file is used."""
        in_order = sorted(row.copies, key=lambda copy: copy.number)
        states = {copy.state for copy in in_order}
        whole = [copy for copy in in_order if copy.state == COMPLETED]
        under_way = states & {PENDING, REPLICATING}
        row.state = REPLICATING if under_way else FAILED if FAILED in states else COMPLETED
        row.usable = bool(whole)
        location = (whole or in_order)[0].location
        row.path = location
        for disk in row.data_disks:
            disk.path = disk_of(location, disk.lun)

    def _version(self, row: VersionRow) -> VersionRecord:
        return VersionRecord(
            id=row.id,
            version=rules.format_version((row.major, row.minor, row.patch)),
            definition_id=row.definition.id,
            location=row.definition.location,
            state=cast("Any", row.state),
            exclude_from_latest=row.exclude_from_latest,
            replication_mode=cast("Any", row.replication_mode),
            os_type=cast("Any", row.definition.os_type),
            os_state=cast("Any", row.definition.os_state),
            generation=cast("Any", row.definition.generation),
            size=row.size,
            digest=row.digest,
            source=row.source,
            template=row.template,
            run_id=row.run_id,
            tags=dict(row.tags),
            created_at=row.created_at,
            published_at=row.published_at,
            replicas=tuple(self._replica(replica) for replica in row.replicas),
            end_of_life=row.end_of_life,
            block_deletion_before_end_of_life=row.block_deletion_before_end_of_life,
            parent=row.parent_key,
            lineage=row.lineage,
            revoked_at=row.revoked_at,
            revoked_by=row.revoked_by,
            revoked_reason=row.revoked_reason,
            created_by=row.created_by,
        )

    def _replica(self, row: ReplicaRow) -> ReplicaRecord:
        return ReplicaRecord(
            region=row.region,
            count=row.count,
            storage_account_type=row.storage_account_type,
            path=self._loaded(row.path),
            size_on_disk=row.size_on_disk,
            exclude_from_latest=row.exclude_from_latest,
            data_disks=tuple(self._data_disk(disk) for disk in row.data_disks),
            state=cast("Any", row.state),
            usable=row.usable,
            copies=tuple(self._copy(copy) for copy in row.copies),
        )

    def _copy(self, row: CopyRow) -> CopyRecord:
        return CopyRecord(
            number=row.number,
            location=self._loaded_location(row.location),
            state=cast("Any", row.state),
            bytes_done=row.bytes_done,
            bytes_total=row.bytes_total,
            error=row.error,
            completed_at=row.completed_at,
            verified_at=row.verified_at,
        )


def pending(first: str, number: int) -> CopyRow:
    """A copy that is yet to be made, of a region whose first one is (or will be) at `first`."""
    return CopyRow(
        number=number,
        location=numbered(first, number),
        state=PENDING,
        bytes_done=0,
        bytes_total=0,
        error="",
        owner="",
        host="",
    )
