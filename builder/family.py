"""The family tree of all gallery versions and managed images, from their sources down. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any, Literal

from builder.registry.records import ImageRecord, VersionRecord
from templates.arm_id import ResourceId, ResourceIdError, parse_image_version

Kind = Literal["source", "version", "image", "gone"]
Record = VersionRecord | ImageRecord


@dataclass(frozen=True, slots=True)
class Member:
    """One of the tree. `kind` source: a marketplace image or a medium; gone: it was deleted, or another
    content is under its id now, and something here was made from it. `marks` are what to know of it: latest,
    @channel, revoked, excluded from latest, end of life, being made, deleted, replaced.
    """

    kind: Kind
    id: str
    label: str
    marks: tuple[str, ...] = ()
    created: datetime | None = None
    reason: str = ""
    children: tuple[Member, ...] = ()


@dataclass(frozen=True)
class Known:
    """All that the registry has: versions, images, the channels of versions (by version id), and the ids of
    versions that are the latest of their definition.
    """

    versions: Sequence[VersionRecord]
    images: Sequence[ImageRecord]
    channels: Mapping[str, Sequence[str]] = field(default_factory=dict)
    latest: frozenset[str] = frozenset()


def family(known: Known, scope: str = "", now: datetime | None = None) -> list[Member]:
    """The trees of everything; with `scope` (the id of a gallery, definition, version or image) only of what
    is in it, what that was made from, and what was made from that.
    """
    everything: list[Record] = [*known.versions, *known.images]
    records = {one.id.casefold(): one for one in everything}
    above = {key: _place_above(one, records) for key, one in records.items()}
    below: dict[str, list[str]] = {}
    for key, place in above.items():
        below.setdefault(place.key, []).append(key)
    wanted = _wanted(records, above, below, scope.casefold())
    made = _Planting(known, records, above, below, wanted, now or datetime.now(UTC))
    return made.trees()


@dataclass(frozen=True, slots=True)
class _Place:
    """What something hangs on: a record's key, or that of a root which is no record."""

    key: str
    kind: Kind
    id: str
    label: str
    mark: str = ""


def _place_above(record: Record, records: Mapping[str, Record]) -> _Place:
    source = source_of(record)
    if not record.parent:
        label = root_label(record)
        return _Place(f"source {label.casefold()}", "source", str(source.get("urn", "")), label)
    parent = records.get(record.parent.casefold())
    wanted = str(source.get("digest", ""))
    is_other = parent is not None and wanted and parent.digest and wanted != parent.digest
    if parent is not None and parent is not record and not is_other:
        return _Place(record.parent.casefold(), "version", parent.id, "")
    name = str(source.get("id") or record.parent)
    mark = "deleted" if parent is None else "replaced"
    return _Place(f"gone {name.casefold()} {wanted}", "gone", name, label_of_id(name), mark)


def source_of(record: Record) -> Mapping[str, Any]:
    """What the record's lineage says of its source."""
    found = (record.lineage or {}).get("source")
    return found if isinstance(found, Mapping) else {}


def root_label(record: Record) -> str:
    """What a source that is no image of the registry is called."""
    source = source_of(record)
    if source.get("urn"):
        return str(source["urn"])
    if source.get("uri"):
        return f"{source['uri']} (ISO {source.get('version', '')})".replace(" )", ")")
    return record.source or "unknown source"


def label_of_id(arm_id: str) -> str:
    """An id as a person types it: gallery/definition/1.0.0 or group/image."""
    try:
        resource = ResourceId.parse(arm_id)
    except ResourceIdError:
        return arm_id
    return "/".join(resource.names if len(resource.names) > 1 else (resource.resource_group, resource.name))


def _wanted(
    records: Mapping[str, Record],
    above: Mapping[str, _Place],
    below: Mapping[str, Sequence[str]],
    scope: str,
) -> set[str]:
    if not scope:
        return set(records)
    todo = [key for key in records if key == scope or key.startswith(f"{scope}/")]
    found = set(todo)
    for key in todo:  # upwards
        while (key := above[key].key) in records and key not in found:
            found.add(key)
    while todo:  # downwards
        fresh = [child for key in todo for child in below.get(key, ()) if child not in found]
        found.update(fresh)
        todo = fresh
    return found


class _Planting:
    def __init__(
        self,
        known: Known,
        records: Mapping[str, Record],
        above: Mapping[str, _Place],
        below: Mapping[str, Sequence[str]],
        wanted: set[str],
        now: datetime,
    ) -> None:
        self._known = known
        self._records = records
        self._above = above
        self._below = below
        self._wanted = wanted
        self._now = now
        self._planted: set[str] = set()

    def trees(self) -> list[Member]:
        """Roots by name; each record stands once, also one of a circle."""
        roots: dict[str, _Place] = {}
        for key in self._wanted:
            place = self._above[key]
            if place.key not in self._records:
                roots[place.key] = place
        order = sorted(roots, key=lambda key: (roots[key].kind == "gone", key))
        found = [self._root(roots[key]) for key in order]
        for key in sorted(self._wanted):
            if key not in self._planted:
                found.append(self._grow(key))
        return found

    def _root(self, place: _Place) -> Member:
        marks = (place.mark,) if place.mark else ()
        return Member(place.kind, place.id, place.label, marks, children=tuple(self._children(place.key)))

    def _grow(self, start: str) -> Member:
        """Without recursion: a version that patches its own definition has a long line of ancestors."""
        order, todo = [], [start]
        while todo:
            key = todo.pop()
            if key in self._planted:
                continue
            self._planted.add(key)
            order.append(key)
            todo += [child for child in self._below.get(key, ()) if child in self._wanted]
        mine = set(order)
        done: dict[str, Member] = {}
        for key in reversed(order):
            children = [done[child] for child in self._below.get(key, ()) if child in mine and child in done]
            done[key] = replace(
                self._member(self._records[key]), children=tuple(sorted(children, key=_order))
            )
        return done[start]

    def _children(self, key: str) -> Iterator[Member]:
        fresh = [child for child in self._below.get(key, ()) if child in self._wanted]
        yield from sorted((self._grow(child) for child in fresh), key=_order)

    def _member(self, record: Record) -> Member:
        if isinstance(record, ImageRecord):
            label = f"{record.resource_group}/{record.name}"
            return Member("image", record.id, label, created=record.created_at)
        image = parse_image_version(record.id)
        label = f"{image.gallery_name}/{image.definition_name}/{record.version}"
        marks = tuple(self._marks(record))
        at = record.published_at or record.created_at
        return Member("version", record.id, label, marks, at, record.revoked_reason)

    def _marks(self, record: VersionRecord) -> Iterable[str]:
        if record.id in self._known.latest:
            yield "latest"
        yield from (f"@{name}" for name in self._known.channels.get(record.id, ()))
        if record.revoked_at is not None:
            yield "revoked"
        if record.exclude_from_latest:
            yield "excluded from latest"
        if record.end_of_life and _is_over(record.end_of_life, self._now):
            yield "end of life"
        if record.state != "Succeeded":
            yield "being made" if record.state == "Creating" else record.state.lower()


def _order(member: Member) -> tuple[str, ...]:
    """Versions by number, all by name."""
    head, _, last = member.label.rpartition("/")
    parts = last.split(".")
    number = tuple(part.zfill(10) for part in parts) if all(part.isdigit() for part in parts) else (last,)
    return (head.casefold(), *number)


def _is_over(date: str, now: datetime) -> bool:
    try:
        found = datetime.fromisoformat(date)
    except ValueError:
        return False
    return (found if found.tzinfo else found.replace(tzinfo=UTC)) <= now
