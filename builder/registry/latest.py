"""Which version is `latest`, and why no other one is.

The rule (aib-behaviour section 8): the highest Major, then Minor, then Patch, among published versions that
are not excluded and, when a region asks, are there; a region's own flag beats the version's. Ours on top: a
copy counts when it is complete, and a revoked version is passed over.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal

from sqlalchemy import ColumnElement, Row, Select, and_, case, func, select
from sqlalchemy.orm import Session

from builder.errors import NotFoundError
from builder.registry import rules
from builder.registry.galleries import DECLARE_HINT
from builder.registry.part import not_found
from builder.registry.records import region_key
from builder.registry.schema import DefinitionRow, ReplicaRow, VersionRow
from builder.registry.version_rows import VersionRows
from templates.arm_id import parse_gallery_image
from templates.gallery_rules import parse_date

SUCCEEDED = "Succeeded"
NEWEST_FIRST = (VersionRow.major.desc(), VersionRow.minor.desc(), VersionRow.patch.desc())
Verdict = Literal[
    "latest", "older", "creating", "revoked", "excluded", "excludedInRegion", "notInRegion", "notReplicated"
]


@dataclass(frozen=True, slots=True)
class Candidate:
    """A version that is `latest`, or could have been. `reason` is for people; `end_of_life` has passed or
    will, which changes nothing.
    """

    version: str
    id: str
    verdict: Verdict
    reason: str
    end_of_life: str | None = None


@dataclass(frozen=True, slots=True)
class Explanation:
    """Every version of a definition, the newest first, as `region` sees it (None: whoever names none)."""

    definition_id: str
    region: str | None
    latest: str | None
    candidates: tuple[Candidate, ...]


class Latest(VersionRows):
    """The registry's part that explains `latest`."""

    def explain_latest(self, definition_id: str, region: str | None = None) -> Explanation:
        """Why each version is or is not `latest`. Raises NotFoundError."""
        image = parse_gallery_image(definition_id)
        with self._db.read() as session:
            definition = session.get(DefinitionRow, image.definition.key)
            if definition is None:
                raise not_found(image.definition, DECLARE_HINT)
            candidates = tuple(_candidates(session, definition, region))
        chosen = next((one.version for one in candidates if one.verdict == "latest"), None)
        return Explanation(definition.id, region, chosen, candidates)


def latest(session: Session, definition: DefinitionRow, region: str | None) -> VersionRow:
    """The row that `latest` names. Raises NotFoundError with Azure's messages."""
    published = _published(definition.key)
    if region is None:
        found = _first(session, published.where(VersionRow.exclude_from_latest.is_(False), _is_somewhere()))
    else:
        on = and_(ReplicaRow.version_key == VersionRow.key, ReplicaRow.region_key == region_key(region))
        here = published.join(ReplicaRow, on).where(ReplicaRow.usable.is_(True))
        excluded = func.coalesce(ReplicaRow.exclude_from_latest, VersionRow.exclude_from_latest)
        found = _first(session, here.where(excluded.is_(False)))
        if found is None and _first(session, published) and not _first(session, here):
            raise not_in_region(definition.id, region)
    if found is None:
        label = f"{definition.gallery.name}/{definition.name}"
        raise NotFoundError(
            f'There is no latest image version exists for "{definition.id}"',
            hint="Publish a version that is not excluded from latest, or name one. Why there is none: "
            f"build gallery latest {label} --explain",
        )
    return found


def not_in_region(arm_id: str, region: str) -> NotFoundError:
    """Azure's words."""
    return NotFoundError(
        f"The gallery image {arm_id} is not available in {region} region. Please contact image owner to "
        "replicate to this region, or change your requested region."
    )


def _published(definition_key: str) -> Select[VersionRow]:
    query: Select[VersionRow] = select(VersionRow).where(
        VersionRow.definition_key == definition_key,
        VersionRow.state == SUCCEEDED,
        VersionRow.revoked_at.is_(None),
    )
    return query.order_by(*NEWEST_FIRST)


def _is_somewhere() -> ColumnElement[bool]:
    """That a copy of a version is complete; one without any region is nobody's to judge. Asked of one version
    after the other: PostgreSQL would read all replicas there are for an EXISTS in an OR.
    """
    usable = select(func.max(case((ReplicaRow.usable.is_(True), 1), else_=0)))
    usable = usable.where(ReplicaRow.version_key == VersionRow.key)
    return func.coalesce(usable.scalar_subquery(), 1) == 1


def _first(session: Session, query: Select[VersionRow]) -> VersionRow | None:
    found: VersionRow | None = session.scalars(query.limit(1)).first()
    return found


_NOTHING = "the highest version that nothing speaks against"
_Facts = Row[str, int, int, int, str, bool, str | None, datetime | None, str]
_Copy = Row[str, str, bool, str, bool | None]


def _candidates(session: Session, definition: DefinitionRow, region: str | None) -> Iterator[Candidate]:
    copies = _copies(session, definition, region)
    newest = ""
    for row in session.execute(
        select(
            VersionRow.id,
            VersionRow.major,
            VersionRow.minor,
            VersionRow.patch,
            VersionRow.state,
            VersionRow.exclude_from_latest,
            VersionRow.end_of_life,
            VersionRow.revoked_at,
            VersionRow.revoked_reason,
        )
        .where(VersionRow.definition_key == definition.key)
        .order_by(*NEWEST_FIRST)
    ):
        version = rules.format_version((row.major, row.minor, row.patch))
        verdict, reason = _against(row, copies.get(row.id, []), region)
        if verdict == "latest" and newest:
            verdict, reason = "older", f"older than {newest}"
        elif verdict == "latest":
            newest = version
        yield Candidate(version, row.id, verdict, f"{reason}{_end_of_life(row)}", row.end_of_life)


def _copies(session: Session, definition: DefinitionRow, region: str | None) -> dict[str, list[_Copy]]:
    query = (
        select(
            VersionRow.id,
            ReplicaRow.region,
            ReplicaRow.usable,
            ReplicaRow.state,
            ReplicaRow.exclude_from_latest,
        )
        .join(ReplicaRow, ReplicaRow.version_key == VersionRow.key)
        .where(VersionRow.definition_key == definition.key)
    )
    if region is not None:
        query = query.where(ReplicaRow.region_key == region_key(region))
    found: dict[str, list[_Copy]] = {}
    for row in session.execute(query):
        found.setdefault(row.id, []).append(row)
    return found


def _against(row: _Facts, copies: list[_Copy], region: str | None) -> tuple[Verdict, str]:
    """What speaks against a version; "latest" when nothing does but a newer one."""
    if row.state != SUCCEEDED:
        return "creating", f"still being made (state {row.state})"
    if row.revoked_at is not None:
        return "revoked", f"revoked {row.revoked_at:%Y-%m-%d}: {row.revoked_reason or 'no reason given'}"
    if region is not None:
        return _against_in(row, copies, region)
    if row.exclude_from_latest:
        return "excluded", "excluded from latest"
    if copies and not any(copy.usable for copy in copies):
        return "notReplicated", "no copy of it is complete"
    return "latest", _NOTHING


def _against_in(row: _Facts, copies: list[_Copy], region: str) -> tuple[Verdict, str]:
    if not copies:
        return "notInRegion", f"no copy in {region}"
    (copy,) = copies
    if not copy.usable:
        return "notReplicated", f"its copy in {copy.region} is not complete ({copy.state})"
    if copy.exclude_from_latest:
        return "excludedInRegion", f"excluded from latest in {copy.region}"
    if not row.exclude_from_latest:
        return "latest", _NOTHING
    if copy.exclude_from_latest is None:
        return "excluded", "excluded from latest"
    return "latest", f"{_NOTHING}: it is excluded from latest, but not in {copy.region}"


def _end_of_life(row: _Facts) -> str:
    when = parse_date(row.end_of_life) if row.end_of_life else None
    if when is None or when > datetime.now(UTC):
        return ""
    return f"; its end of life, {row.end_of_life}, has passed"
