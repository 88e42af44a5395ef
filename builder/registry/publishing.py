"""What may change of a version that is published: who gets it as `latest`, how long it is of use, tags."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime

from builder.as_json import camel
from builder.errors import ConflictError, NotFoundError
from builder.registry import rules
from builder.registry.latest import SUCCEEDED
from builder.registry.part import not_found, typed
from builder.registry.records import VersionRecord, region_key
from builder.registry.schema import VersionRow
from builder.registry.version_rows import VersionRows
from templates.arm_id import VERSION_TYPE
from templates.gallery_rules import parse_date


class BlockedBeforeEndOfLifeError(ConflictError):
    """A version that its safety profile keeps."""

    code = "DeleteGalleryImageVersionBlockedBeforeEndOfLife"


class Publishing(VersionRows):
    """The registry's part that changes published versions. Regions are `Replicas`'."""

    def update_version(
        self,
        version_id: str,
        *,
        end_of_life: str | None = None,
        exclude_from_latest: bool | None = None,
        exclude_in: Mapping[str, bool | None] | None = None,
        block_deletion_before_end_of_life: bool | None = None,
        tags: Mapping[str, str] | None = None,
        **fixed: object,
    ) -> VersionRecord:
        """Change what is given; the rest stays. `end_of_life` "" takes it away; `exclude_in` has a flag for
        each region, None for one that does as the version does.

        Raises NotFoundError (a region it is not in, too), BadValueError for an end of life that is past, and
        ConflictError with Azure's message for anything else, or while it is being made.
        """
        resource = typed(version_id, VERSION_TYPE)
        for name in fixed:
            raise ConflictError(
                f"Changing property 'galleryImageVersion.properties.{camel(name)}' is not allowed",
                details=(str(resource),),
                hint="May change: end of life, exclude from latest, regions and their replicas, tags, and "
                "whether it may be deleted before its end of life.",
            )
        with self._db.write() as session:
            row = session.get(VersionRow, resource.key)
            if row is None:
                raise not_found(resource)
            if row.state != SUCCEEDED:
                raise ConflictError(f"The version {row.id} is still being made (state {row.state}).")
            if end_of_life is not None:
                if end_of_life != (row.end_of_life or ""):
                    rules.check_end_of_life(end_of_life or None, datetime.now(UTC))
                row.end_of_life = end_of_life or None
            if exclude_from_latest is not None:
                row.exclude_from_latest = exclude_from_latest
            for region, flag in (exclude_in or {}).items():
                _exclude_in(row, region, flag=flag)
            if block_deletion_before_end_of_life is not None:
                row.block_deletion_before_end_of_life = block_deletion_before_end_of_life
            if tags is not None:
                row.tags = dict(tags)
            session.flush()
            return self._version(row)


def refuse_blocked(row: VersionRow | VersionRecord) -> None:
    """Raises BlockedBeforeEndOfLifeError for a version that is to be kept until a time that is not yet."""
    when = parse_date(row.end_of_life) if row.end_of_life else None
    if not row.block_deletion_before_end_of_life or when is None or when <= datetime.now(UTC):
        return
    raise BlockedBeforeEndOfLifeError(
        f"The gallery image version {row.id} cannot be deleted before its end of life, {row.end_of_life}.",
        hint="build gallery version update ... --no-block-deletion-before-end-of-life",
    )


def _exclude_in(row: VersionRow, region: str, *, flag: bool | None) -> None:
    for replica in row.replicas:
        if replica.region_key == region_key(region):
            replica.exclude_from_latest = flag
            return
    there = ", ".join(replica.region for replica in row.replicas) or "none"
    raise NotFoundError(
        f"The version {row.id} is not in the region '{region}'.", details=(f"Its regions: {there}",)
    )
