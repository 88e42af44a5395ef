"""Image versions between their rows and their records."""

from __future__ import annotations

from typing import Any, cast

from builder.registry import rules
from builder.registry.part import Part
from builder.registry.records import CopyRecord, ReplicaRecord, VersionRecord, region_key
from builder.registry.schema import CopyRow, ReplicaRow, VersionRow


class VersionRows(Part):
    """What the parts that work with versions share."""

    def _replica_row(self, replica: ReplicaRecord) -> ReplicaRow:
        return ReplicaRow(
            region=replica.region,
            region_key=region_key(replica.region),
            count=replica.count,
            storage_account_type=replica.storage_account_type,
            path=self._stored(replica.path),
            size_on_disk=replica.size_on_disk,
            exclude_from_latest=replica.exclude_from_latest,
            data_disks=[self._data_disk_row(disk) for disk in replica.data_disks],
        )

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
        here = "://" not in row.location
        return CopyRecord(
            number=row.number,
            location=str(self._loaded(row.location)) if here else row.location,
            state=cast("Any", row.state),
            bytes_done=row.bytes_done,
            bytes_total=row.bytes_total,
            error=row.error,
            completed_at=row.completed_at,
            verified_at=row.verified_at,
        )
