"""Ancestry: what was made from what, and which of it must not be built on any more."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice

from sqlalchemy import select
from sqlalchemy.orm import Session, lazyload

from builder.errors import ConflictError, UsageError
from builder.registry import rules
from builder.registry.images import Images
from builder.registry.part import arm_key, not_found, now
from builder.registry.records import Ancestor, ImageRecord, VersionRecord
from builder.registry.roles import Roles
from builder.registry.schema import ImageRow, VersionRow
from builder.registry.version_rows import VersionRows
from templates.arm_id import ResourceId, parse_image_version

SUCCEEDED = "Succeeded"
# SQLite takes 999 values in one statement where it is old.
_AT_ONCE = 500

Row = VersionRow | ImageRow


class Lineage(VersionRows, Images, Roles):
    """The registry's part for ancestry. Ids are those of gallery versions and managed images."""

    def ancestors(self, arm_id: str) -> list[Ancestor]:
        """What it was made from, the nearest first, as far up as galleries and managed images go. The last
        one's `record` is None when it has been deleted, or replaced by another content, since.

        Raises NotFoundError when `arm_id` itself is not there.
        """
        with self._db.read() as session:
            row = _row(session, arm_key(arm_id))
            if row is None:
                raise not_found(ResourceId.parse(arm_id))
            above = list(_upwards(session, row))
            _load_whole(session, [found for _, found in above if found is not None])
            return [self._ancestor(name, found) for name, found in above]

    def descendants(self, arm_id: str, *, limit: int | None = None) -> list[VersionRecord | ImageRecord]:
        """What was made from it, directly or not, the nearest first; of one that is gone as well. At most
        `limit`.
        """
        with self._db.read() as session:
            key = arm_key(arm_id)
            below = _downwards(session, key, _row(session, key))[:limit]
            _load_whole(session, below)
            return [self._made(row) for row in below]

    def newest_version(self, definition_id: str) -> VersionRecord | None:
        """The highest published version that is neither excluded from latest nor revoked, wherever it is."""
        query = select(VersionRow).where(
            VersionRow.definition_key == arm_key(definition_id),
            VersionRow.state == SUCCEEDED,
            VersionRow.exclude_from_latest.is_(False),
            VersionRow.revoked_at.is_(None),
        )
        query = query.order_by(VersionRow.major.desc(), VersionRow.minor.desc(), VersionRow.patch.desc())
        with self._db.read() as session:
            row = session.scalars(query.limit(1)).first()
            return None if row is None else self._version(row)

    def revoked_versions(self) -> list[VersionRecord]:
        """Every version that is revoked, by id."""
        query = select(VersionRow).where(VersionRow.revoked_at.is_not(None)).order_by(VersionRow.key)
        with self._db.read() as session:
            return [self._version(row) for row in session.scalars(query)]

    def is_any_revoked(self) -> bool:
        """Whether any version is revoked, whoever may see it."""
        with self._db.read() as session:
            query = select(VersionRow.key).where(VersionRow.revoked_at.is_not(None)).limit(1)
            return session.scalars(query).first() is not None

    def find_by_key(self, key: str) -> VersionRecord | ImageRecord | None:
        """The version or managed image under that id (in any spelling), None when there is none."""
        with self._db.read() as session:
            row = _row(session, key.casefold())
            return None if row is None else self._made(row)

    def revoke_version(
        self, arm_id: str, reason: str, *, descendants: bool = False
    ) -> tuple[VersionRecord, ...]:
        """Let nobody build on a version any more; with `descendants` nor on the versions made from it.
        Those that were revoked now, the named one first. One that is revoked already keeps its reason.

        Raises UsageError without a reason, NotFoundError, ConflictError when it is not published or (named
        itself, alone) revoked already, AuthorizationError for a descendant that is not the caller's.
        """
        text = reason.strip()
        if not text:
            raise UsageError(
                "A version is revoked for a reason.", hint='Say it: --reason "CVE-2026-1234 in openssl"'
            )
        if descendants:
            self._require_below(arm_id)
        with self._db.write() as session:
            row = _published(session, arm_id)
            below = [one for one in _downwards(session, row.key, row) if isinstance(one, VersionRow)]
            wanted = [row, *(below if descendants else ())]
            fresh = [one for one in wanted if one.revoked_at is None and one.state == SUCCEEDED]
            if not fresh:
                raise ConflictError(
                    f"{row.id} is revoked already, by {row.revoked_by} for: {row.revoked_reason}",
                    hint="'build gallery version unrevoke' takes it back.",
                )
            at, who = now(), str(self.caller)
            for one in fresh:
                one.revoked_at, one.revoked_by = at, who
                one.revoked_reason = text if one is row else f"made from {_label(row)}: {text}"
            return tuple(self._version(one) for one in fresh)

    def unrevoke_version(self, arm_id: str) -> VersionRecord:
        """Allow it as a source again. Raises NotFoundError, ConflictError when it is not revoked."""
        with self._db.write() as session:
            row = _published(session, arm_id)
            if row.revoked_at is None:
                raise ConflictError(f"{row.id} is not revoked.")
            row.revoked_at, row.revoked_by, row.revoked_reason = None, "", ""
            return self._version(row)

    def _require_below(self, arm_id: str) -> None:
        with self._db.read() as session:
            row = _published(session, arm_id)
            wanted = [one.id for one in _downwards(session, row.key, row) if isinstance(one, VersionRow)]
        for one in wanted:
            self.require_access("galleries/images/versions/write", one)

    def _ancestor(self, name: str, row: Row | None) -> Ancestor:
        return Ancestor(name, None if row is None else self._made(row))

    def _made(self, row: Row) -> VersionRecord | ImageRecord:
        return self._version(row) if isinstance(row, VersionRow) else self._image(row)


def is_same(lineage: object, parent_digest: str) -> bool:
    """Whether the content that something was made from is the one its parent's id names now. Without both
    digests it is taken to be.
    """
    source = lineage.get("source") if isinstance(lineage, dict) else None
    wanted = source.get("digest", "") if isinstance(source, dict) else ""
    return not wanted or not parent_digest or wanted == parent_digest


def _row(session: Session, key: str) -> Row | None:
    """Without its replicas and disks, which are looked up when somebody asks: families may be large."""
    light = (lazyload("*"),)
    return session.get(VersionRow, key, options=light) or session.get(ImageRow, key, options=light)


def _load_whole(session: Session, rows: Sequence[Row]) -> None:
    """What records need of many rows, in few statements instead of some for each."""
    for kind in (VersionRow, ImageRow):
        for some in _in_parts([row.key for row in rows if isinstance(row, kind)]):
            query = select(kind).where(kind.key.in_(some)).execution_options(populate_existing=True)
            session.scalars(query).all()


def _published(session: Session, arm_id: str) -> VersionRow:
    image = parse_image_version(arm_id)
    resource = image.definition.child("versions", image.version or "")
    row = session.get(VersionRow, resource.key)
    if row is None:
        raise not_found(resource, "Give a version's number; 'latest' is refused here.")
    if row.state != SUCCEEDED:
        raise ConflictError(f"The version {row.id} is still being made (state {row.state}).")
    return row


def _upwards(session: Session, row: Row) -> Iterator[tuple[str, Row | None]]:
    seen = {row.key}
    while row.parent_key:
        parent = _row(session, row.parent_key)
        source = (row.lineage or {}).get("source") or {}
        name = parent.id if parent is not None else str(source.get("id") or row.parent_key)
        if parent is None or parent.key in seen or not is_same(row.lineage, parent.digest):
            yield name, None
            return
        yield name, parent
        seen.add(parent.key)
        row = parent


def _downwards(session: Session, key: str, top: Row | None) -> list[Row]:
    found: dict[str, Row] = {}
    level: dict[str, Row | None] = {key: top}
    while level:
        fresh = {row.key: row for row in _children(session, level) if row.key not in found and row.key != key}
        found |= fresh
        level = dict(fresh)
    return list(found.values())


def _children(session: Session, parents: dict[str, Row | None]) -> list[Row]:
    """What was made from any of these, by id; not what was made from another content of that id."""
    found: list[Row] = []
    for some in _in_parts(sorted(parents)):
        for kind in (VersionRow, ImageRow):
            query = select(kind).where(kind.parent_key.in_(some)).order_by(kind.key)
            found += session.scalars(query.options(lazyload("*")))
    kept = []
    for row in found:
        parent = parents[row.parent_key]
        if parent is None or is_same(row.lineage, parent.digest):
            kept.append(row)
    return kept


def _in_parts(keys: Sequence[str]) -> Iterable[list[str]]:
    rest = iter(keys)
    while some := list(islice(rest, _AT_ONCE)):
        yield some


def _label(row: VersionRow) -> str:
    number = rules.format_version((row.major, row.minor, row.patch))
    return f"{row.definition.gallery.name}/{row.definition.name}/{number}"
