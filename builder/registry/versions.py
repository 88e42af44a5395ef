"""Image versions: numbered once, made in full or not at all, found by number or as `latest`."""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import Select, func, or_, select, tuple_
from sqlalchemy.orm import Session

from builder.errors import ConflictError, InUseError
from builder.owner import current_owner
from builder.registry import channels, holder, rules
from builder.registry.galleries import DECLARE_HINT
from builder.registry.latest import NEWEST_FIRST, SUCCEEDED, latest, not_in_region
from builder.registry.location import is_url
from builder.registry.part import arm_key, as_json, in_subscription, not_found, now, same_region
from builder.registry.places import remove_file
from builder.registry.publishing import refuse_blocked
from builder.registry.records import Delivery, VersionRecord, region_key
from builder.registry.schema import DefinitionRow, VersionRow
from builder.registry.version_rows import VersionRows
from templates.arm_id import GalleryImageId, ResourceId, parse_gallery_image, parse_image_version
from templates.model.distribute import SourceVersioning

CREATING = "Creating"


class Versions(VersionRows):
    """The registry's part for image versions."""

    def reserve_version(
        self,
        definition_id: str,
        name: str | None = None,
        versioning: rules.Versioning | None = None,
        run_id: str = "",
        source_version: str | None = None,
    ) -> VersionRecord:
        """Take a number: `name`, or the next one by `versioning` (see `rules.next_version`).

        The version stands in state Creating and belongs to this process until `complete_version`
        or `abandon_version`; a reservation whose process died is taken over. Atomic across processes.
        Raises NotFoundError, ConflictError, BadNameError, PreflightError.
        """
        self._show_life()
        with self._db.write() as session:
            definition = _definition(session, parse_gallery_image(definition_id))
            if name is not None:
                number = rules.parse_version(name)
                stale = self._refuse_taken(session, definition, number, run_id)
                if stale is not None:
                    session.delete(stale)
                    session.flush()
            else:
                number = rules.next_version(
                    _line(session, definition, versioning, source_version), versioning, source_version
                )
            self.limits.check("versions", _count(session, definition), definition.location)
            row = _new_row(definition, number, run_id)
            session.add(row)
            session.flush()
            return self._version(row)

    def complete_version(self, version_id: str, delivery: Delivery) -> VersionRecord:
        """Publish a reserved version. Its files must be on disk already."""
        with self._db.write() as session:
            row = _require(session, version_id)
            if row.state != CREATING or row.owner != current_owner():
                raise ConflictError(
                    f"The version {row.id} is not reserved by this build (state {row.state})."
                )
            row.state = SUCCEEDED
            row.published_at = now()
            row.size, row.digest = delivery.size, delivery.digest
            row.source, row.template = delivery.source, delivery.template
            row.run_id = delivery.run_id or row.run_id
            row.exclude_from_latest = delivery.exclude_from_latest
            row.replication_mode = delivery.replication_mode
            row.tags = dict(delivery.tags)
            row.end_of_life = delivery.end_of_life
            row.parent_key, row.lineage = delivery.parent.casefold(), as_json(delivery.lineage)
            row.replicas = [self._replica_row(replica) for replica in delivery.replicas]
            for channel in delivery.channels:
                channels.advance(session, row, channel, str(self.caller))
            session.flush()
            return self._version(row)

    def abandon_version(self, version_id: str) -> bool:
        """Give a reservation of this process back; whether there was one. A published version stays."""
        with self._db.write() as session:
            row = session.get(VersionRow, arm_key(version_id))
            mine = row is not None and row.state == CREATING and row.owner == current_owner()
            if mine:
                session.delete(row)
            return mine

    def find_version(self, arm_id: str, region: str | None = None) -> VersionRecord:
        """The version with that id; `latest` is the highest Major, Minor, Patch that is not excluded
        and, when a `region` asks, has a copy there (a region's own exclusion beats the version's).

        Raises NotFoundError with Azure's messages, ConflictError when it is still being made.
        """
        image = parse_image_version(arm_id)
        with self._db.read() as session:
            definition = _definition(session, image)
            if image.is_latest:
                return self._version(latest(session, definition, region))
            row = _by_number(session, definition.key, rules.parse_version(image.version or ""))
            if row is None:
                raise not_found(
                    image.definition.child("versions", image.version or ""),
                    f"See 'build gallery version list {definition.gallery.name}/{definition.name}'.",
                )
            if row.state != SUCCEEDED:
                raise ConflictError(f"The version {row.id} is still being made (state {row.state}).")
            usable = {replica.region_key for replica in row.replicas if replica.usable}
            if region is not None and region_key(region) not in usable:
                raise not_in_region(row.id, region)
            return self._version(row)

    def list_versions(
        self, definition_id: str | None = None, *, limit: int | None = None, after: str | None = None
    ) -> list[VersionRecord]:
        """The versions of a definition (or of all), the newest number first, at most `limit`: a page, when
        `after` is the id of the last version of the page before.
        """
        query: Select[VersionRow] = select(VersionRow)
        query = query.order_by(VersionRow.definition_key, *NEWEST_FIRST).limit(limit)
        if after is not None:
            query = _below(query, after)
        if definition_id is not None:
            query = query.where(VersionRow.definition_key == arm_key(definition_id))
        with self._db.read() as session:
            return [self._version(row) for row in session.scalars(query)]

    def delete_version(self, arm_id: str, *, force: bool = False) -> VersionRecord:
        """Forget a version and remove its files, but not those at URLs (`replication.removal`). Raises
        NotFoundError, BlockedBeforeEndOfLifeError, ConflictError while it is made or, unless `force` is
        given, a channel points to it.
        """
        image = parse_image_version(arm_id)
        with self._db.write() as session:
            definition = _definition(session, image)
            row = _by_number(session, definition.key, rules.parse_version(image.version or ""))
            if row is None:
                raise not_found(image.definition.child("versions", image.version or ""))
            if row.state == CREATING and holder.is_held(row):
                raise ConflictError(f"The version {row.id} is being made by a running build ({row.run_id}).")
            refuse_blocked(row)
            channels.release(session, row, str(self.caller), force=force)
            record = self._version(row)
            session.delete(row)
        # Row first: a crash in between leaves an orphan for gc, never a version without its file.
        for location in (at for replica in record.replicas for at in replica.locations):
            if not is_url(location):
                remove_file(Path(location), self._root_of(Path(location)))
        return record

    def _refuse_taken(
        self, session: Session, definition: DefinitionRow, number: rules.Number, run_id: str
    ) -> VersionRow | None:
        """The stale reservation in the way, if any; raises ConflictError for a living one or a version."""
        row = _by_number(session, definition.key, number)
        if row is None:
            return None
        label = f"{rules.format_version(number)} of {definition.gallery.name}/{definition.name}"
        if row.state == CREATING:
            if not holder.is_held(row):
                return row
            if row.owner == current_owner() and row.run_id == run_id:
                raise ConflictError(
                    f"Two targets of this build make version {label}.",
                    hint="Keep one of them, or leave /versions/... out of one to get the next number.",
                )
            raise InUseError(
                f"Version {label} is being made by another build ({row.run_id or row.owner}).",
                hint="Wait for it, or leave /versions/... out of galleryImageId to get the next number.",
            )
        raise ConflictError(
            f"Version {label} already exists.",
            details=(
                row.id,
                "Changing property 'galleryImageVersion.properties.storageProfile.osDiskImage.source.id' "
                "is not allowed",
            ),
            hint="Versions never change: name another one, or leave /versions/... out of galleryImageId.",
        )


def _definition(session: Session, image: GalleryImageId) -> DefinitionRow:
    row = session.get(DefinitionRow, image.definition.key)
    if row is None:
        raise not_found(image.definition, DECLARE_HINT)
    return row


def _require(session: Session, version_id: str) -> VersionRow:
    resource = ResourceId.parse(version_id)
    row = session.get(VersionRow, resource.key)
    if row is None:
        raise not_found(resource)
    return row


def _by_number(session: Session, definition_key: str, number: rules.Number) -> VersionRow | None:
    major, minor, patch = number
    query = select(VersionRow).where(
        VersionRow.definition_key == definition_key,
        VersionRow.major == major,
        VersionRow.minor == minor,
        VersionRow.patch == patch,
    )
    return session.scalars(query).first()


def _line(
    session: Session, definition: DefinitionRow, versioning: rules.Versioning | None, source: str | None
) -> list[rules.Number]:
    """The highest number that the next one has to be above; none when there is none."""
    query = select(VersionRow.major, VersionRow.minor, VersionRow.patch)
    query = query.where(VersionRow.definition_key == definition.key)
    if isinstance(versioning, SourceVersioning):
        major, minor, _ = rules.source_number(source)
        query = query.where(VersionRow.major == major, VersionRow.minor == minor)
    elif versioning is not None and versioning.major != -1:
        query = query.where(VersionRow.major == versioning.major)
    row = session.execute(query.order_by(*NEWEST_FIRST).limit(1)).first()
    return [(row.major, row.minor, row.patch)] if row is not None else []


def _count(session: Session, definition: DefinitionRow) -> int:
    query = select(func.count()).select_from(VersionRow).join(DefinitionRow)
    home = in_subscription(DefinitionRow.key, ResourceId.parse(definition.id))
    query = query.where(home, same_region(DefinitionRow.location, definition.location))
    return session.scalar(query) or 0


def _below(query: Select[VersionRow], after: str) -> Select[VersionRow]:
    """What comes after the version `after` in the order of the list."""
    image = parse_image_version(after)
    key = image.definition.key
    number = tuple_(VersionRow.major, VersionRow.minor, VersionRow.patch)
    lower = number < rules.parse_version(image.version or "")
    here = VersionRow.definition_key == key
    return query.where(or_(VersionRow.definition_key > key, here & lower))


def _new_row(definition: DefinitionRow, number: rules.Number, run_id: str) -> VersionRow:
    resource = ResourceId.parse(definition.id).child("versions", rules.format_version(number))
    major, minor, patch = number
    return VersionRow(
        key=resource.key,
        id=str(resource),
        definition=definition,
        major=major,
        minor=minor,
        patch=patch,
        state=CREATING,
        owner=current_owner(),
        host=holder.this_host(),
        run_id=run_id,
        exclude_from_latest=False,
        replication_mode="Full",
        size=0,
        digest="",
        source="",
        template="",
        tags={},
        block_deletion_before_end_of_life=False,
        parent_key="",
        revoked_by="",
        revoked_reason="",
        created_at=now(),
        created_by="",
    )
