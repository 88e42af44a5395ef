"""Whether what a version was made from has something newer by now, as far as this machine knows."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from builder.errors import GoldsmithError, PreflightError
from builder.family import Record, label_of_id, source_of
from builder.registry.lookup import newest_seen
from builder.registry.records import ImageRecord, VersionRecord

if TYPE_CHECKING:
    from builder.registry.store import Registry
    from builder.services import Services

State = Literal["current", "stale", "unknown"]


@dataclass(frozen=True, slots=True)
class Freshness:
    """What is known of one version or managed image. `reasons` says why in words, `source` what it was made
    from, `newer` what there is instead, `todo` the command that helps; both "" when there is none.
    """

    id: str
    label: str
    state: State
    source: str
    reasons: tuple[str, ...]
    newer: str = ""
    todo: str = ""


@dataclass(frozen=True, slots=True)
class _Verdict:
    state: State
    reason: str
    newer: str = ""


def find_stale(
    services: Services, scope: str = "", *, every: bool = False, max_age: float | None = None
) -> list[Freshness]:
    """How fresh the newest good version of each definition is, with `every` all versions and managed images.

    `scope` is the id of a gallery, definition, version or image. Nothing is fetched. A source made of
    packages counts as old when its base is older than `max_age` (seconds). Raises NotFoundError for a scope
    that is not there.
    """
    look = _Look(services, max_age)
    return [look.at(record) for record in _chosen(services.registry, scope, every=every)]


def _chosen(registry: Registry, scope: str, *, every: bool) -> list[Record]:
    if "/versions/" in scope.casefold():
        return [registry.find_version(scope)]
    if scope and "/galleries/" not in scope.casefold():
        return [registry.find_image(scope)]
    definitions = registry.list_definitions()
    wanted = [
        one for one in definitions if not scope or f"{one.id}/".casefold().startswith(f"{scope}/".casefold())
    ]
    if every:
        found: list[Record] = [
            version
            for one in wanted
            for version in registry.list_versions(one.id)
            if version.state == "Succeeded"
        ]
        return found if scope else [*found, *registry.list_images()]
    newest = (newest_seen(registry, one.id) for one in wanted)
    return [version for version in newest if version is not None]


class _Look:
    """Looks at many; what several were made from is looked up once."""

    def __init__(self, services: Services, max_age: float | None) -> None:
        self._services = services
        self._registry = services.registry
        self._max_age = max_age
        self._newest: dict[str, VersionRecord | None] = {}
        self._bases: dict[str, _Verdict] = {}

    def at(self, record: Record) -> Freshness:
        """How fresh one is."""
        source = source_of(record)
        verdict = self._verdict(record, source)
        reasons = [verdict.reason] if verdict.reason else []
        revoked = self._revoked.get(record.id, [])
        state: State = "stale" if revoked else verdict.state
        return Freshness(
            id=record.id,
            label=label_of_id(record.id),
            state=state,
            source=str(
                source.get("urn") or source.get("uri") or label_of_id(str(source.get("id") or record.source))
            ),
            reasons=(*revoked, *reasons),
            newer=verdict.newer,
            todo=self._todo(record) if state == "stale" else "",
        )

    def _verdict(self, record: Record, source: Mapping[str, Any]) -> _Verdict:
        if not source:
            return _Verdict("unknown", "nothing is recorded of what it was made from")
        kinds: dict[str, Callable[[Record, Mapping[str, Any]], _Verdict]] = {
            "SharedImageVersion": self._version,
            "ManagedImage": self._image,
            "PlatformImage": self._marketplace,
            "ISO": self._medium,
        }
        look = kinds.get(str(source.get("type")))
        if look is None:
            return _Verdict("unknown", f"a source of type {source.get('type', '?')} does not tell")
        try:
            return look(record, source)
        except GoldsmithError as error:
            return _Verdict("unknown", error.message)
        except (LookupError, ValueError, TypeError):  # of another version, or written by somebody else
            return _Verdict("unknown", "what is recorded of its source is not understood")

    # -- galleries and managed images ----------------------------------------------------------------

    def _version(self, record: Record, source: Mapping[str, Any]) -> _Verdict:
        arm_id = str(source["id"])
        definition_id = arm_id.rpartition("/versions/")[0]
        used = _number(str(source.get("version", "")))
        if source.get("channel"):
            there = self._registry.channel_version(definition_id, str(source["channel"]))
            what = f"its channel @{source['channel']} is at {there.version}"
            # Back is a move, too: what it left is not to be used any more.
            return (
                _Verdict("stale", what, there.id)
                if _number(there.version) != used
                else _Verdict("current", "")
            )
        newest = self._newest_of(definition_id)
        if newest is not None and _number(newest.version) > max(used, _own_number(record, definition_id)):
            return _Verdict("stale", f"version {newest.version} of its source is there", newest.id)
        now = self._registry.find_by_key(arm_id)
        if now is None and newest is None:
            return _Verdict("unknown", f"its source {label_of_id(arm_id)} was deleted, and no other is there")
        if now is not None and _differs(now, source):
            return _Verdict("stale", f"its source {label_of_id(arm_id)} has another content now", now.id)
        return _Verdict("current", "" if now is not None else "its source was deleted; no newer one is there")

    def _newest_of(self, definition_id: str) -> VersionRecord | None:
        key = definition_id.casefold()
        if key not in self._newest:
            self._newest[key] = self._registry.newest_version(definition_id)
        return self._newest[key]

    def _image(self, _record: Record, source: Mapping[str, Any]) -> _Verdict:
        now = self._registry.find_by_key(str(source["id"]))
        if not isinstance(now, ImageRecord):
            return _Verdict("unknown", f"the managed image {label_of_id(str(source['id']))} was deleted")
        made = f"{now.created_at:%Y-%m-%d %H:%M} UTC"
        if _differs(now, source):
            return _Verdict(
                "stale", f"the managed image {label_of_id(now.id)} was made anew on {made}", now.id
            )
        return _Verdict("current", "")

    @cached_property
    def _revoked(self) -> dict[str, list[str]]:
        """Why what was made from revoked versions is stale, by id."""
        found: dict[str, list[str]] = {}
        for bad in self._registry.revoked_versions():
            found.setdefault(bad.id, []).append(f"it is revoked: {bad.revoked_reason}")
            why = f"{label_of_id(bad.id)}, which it was made from, is revoked: {bad.revoked_reason}"
            for one in self._registry.descendants(bad.id):
                found.setdefault(one.id, []).append(why)
        return found

    # -- marketplace and media -------------------------------------------------------------------------

    def _marketplace(self, _record: Record, source: Mapping[str, Any]) -> _Verdict:
        from builder.sources.catalogue import load_catalogue
        from builder.sources.catalogue.catalogue import sorted_versions

        publisher, offer, sku, version = str(source["urn"]).split(":")
        prefer = self._services.settings.source_recipe
        entry = load_catalogue(self._services.home).lookup(publisher, offer, sku, prefer=prefer)
        order = sorted_versions(entry.image)
        if version not in order or order.index(version) > 0:
            newest = f"{entry.image.urn}:{order[0]}"
            return _Verdict("stale", f"the catalogue has version {order[0]} of it", newest)
        return self._base(source, (publisher, offer, sku, version))

    def _base(self, source: Mapping[str, Any], urn: tuple[str, str, str, str]) -> _Verdict:
        """Of the same version: whether the disk it comes as is still the same."""
        from builder.extensions import make_source
        from builder.sources.bases import BaseCache
        from templates.model import PlatformImageSource

        used = str(source.get("digest", ""))
        base = BaseCache(self._services.home.bases).find(used.partition("-")[0])
        if base is not None and base.identity != used:
            return _Verdict("stale", f"its base was made anew on {_day(base.created)}")
        if base is None or source.get("recipe") not in ("bootstrap", "download"):
            publisher, offer, sku, version = urn
            model = PlatformImageSource(
                type="PlatformImage", publisher=publisher, offer=offer, sku=sku, version=version
            )
            now = make_source(model, replace(self._services, read_only=True)).resolve()
            if now.identity == used:
                return _Verdict("current", "")
            if source.get("recipe") != "bootstrap" and now.identity:
                return _Verdict("stale", "the same version comes as another disk now")
            return _Verdict(
                "unknown", "its base is not kept here any more: how old its packages are is not known"
            )
        age = datetime.now(UTC) - datetime.fromtimestamp(base.created, UTC)
        moves = "-" in used  # a recipe that gives another disk tomorrow
        if moves and self._max_age is not None and age.total_seconds() > self._max_age:
            again = f"build marketplace fetch {':'.join(urn[:3])} --again"
            return _Verdict("stale", f"its base is {age.days} days old; '{again}' makes it anew")
        return _Verdict("current", f"its base is of {_day(base.created)}" if moves else "")

    def _medium(self, _record: Record, source: Mapping[str, Any]) -> _Verdict:
        from builder.sources.iso_file import IsoFile

        uri, wanted = str(source["uri"]), str(source.get("digest", ""))
        if "://" in uri:
            return _Verdict(
                "unknown", f"{uri} is not asked whether it has changed; the template names its sha256"
            )
        path = Path(uri).expanduser()
        if not path.is_file():
            return _Verdict("unknown", f"the medium {uri} is not there any more")
        try:
            IsoFile(uri, wanted, self._services).verify(path)  # read once, and remembered
        except PreflightError:
            return _Verdict("stale", f"the medium {uri} is another file now")
        return _Verdict("current", "")

    def _todo(self, record: Record) -> str:
        """The command that builds it anew: its run's template, as far as the run is known here."""
        from builder.runs import RunDirectory

        try:
            file = (
                RunDirectory(self._services.home.runs / record.run_id).read().template.file
                if record.run_id
                else ""
            )
        except GoldsmithError:
            file = ""
        known = Path(file).is_absolute()  # else it came from standard input, or from a folder nobody noted
        return (
            f"build run {shlex.quote(file)}"
            if known
            else f"build run TEMPLATE (the template '{record.template}')"
        )


def _differs(now: Record, source: Mapping[str, Any]) -> bool:
    wanted, created = str(source.get("digest", "")), str(source.get("created", ""))
    if wanted and now.digest:
        return wanted != now.digest
    return bool(created) and now.created_at > datetime.fromisoformat(created)


def _own_number(record: Record, definition_id: str) -> tuple[int, ...]:
    """A version made from its own definition is not stale because of itself."""
    if isinstance(record, VersionRecord) and record.definition_id.casefold() == definition_id.casefold():
        return _number(record.version)
    return ()


def _number(version: str) -> tuple[int, ...]:
    parts: Sequence[str] = version.split(".")
    return tuple(int(part) for part in parts) if all(part.isdigit() for part in parts) else ()


def _day(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).date().isoformat()
