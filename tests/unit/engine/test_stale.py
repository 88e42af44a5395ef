"""What is stale, why, and what helps; over a real registry, catalogue and cache of bases."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from registry.conftest import GALLERY, IMAGE, WEB, definition, gallery, image_record
from typer.testing import CliRunner

from builder.cli import gallery as verbs
from builder.registry import sqlite
from builder.registry.records import Delivery, VersionRecord
from builder.runs import RunDirectory
from builder.services import Services
from builder.sources.bases import BaseCache, BaseMeta
from builder.stale import Freshness, find_stale

BASE = WEB.replace("/web", "/base")
Make = Callable[..., VersionRecord]


@pytest.fixture
def make(services: Services, monkeypatch: pytest.MonkeyPatch) -> Iterator[Make]:
    monkeypatch.setattr(sqlite, "SYNCHRONOUS", "OFF")
    registry = services.registry
    registry.create_gallery(gallery(location="local"))
    registry.create_definition(definition())
    registry.create_definition(definition(BASE, "me:base:1"))

    def publish(of: str, number: str, source: dict[str, Any] | None = None, **more: Any) -> VersionRecord:
        made = registry.reserve_version(of, number)
        parent = str(source["id"]) if source and "id" in source else ""
        lineage = {"source": source} if source else None
        delivery = Delivery([], size=1, digest=f"{of[-4:]}{number}", parent=parent, lineage=lineage, **more)
        return registry.complete_version(made.id, delivery)

    yield publish
    registry.close()


def from_version(parent: VersionRecord, channel: str = "") -> dict[str, Any]:
    found = {
        "type": "SharedImageVersion",
        "id": parent.id,
        "version": parent.version,
        "digest": parent.digest,
    }
    return {**found, **({"channel": channel} if channel else {})}


def web(services: Services, **options: Any) -> Freshness:
    return next(one for one in find_stale(services, **options) if one.label.startswith("Team.gallery/web"))


def said(services: Services, **options: Any) -> tuple[str, str]:
    found = web(services, **options)
    return found.state, "; ".join(found.reasons)


def test_a_newer_version_of_the_source(services: Services, make: Make) -> None:
    first = make(BASE, "1.0.0")
    make(WEB, "1.0.0", from_version(first), template="web")
    assert said(services) == ("current", "")
    make(BASE, "1.1.0", exclude_from_latest=True)
    assert said(services) == ("current", "")
    newer = make(BASE, "1.10.0")
    found = web(services)
    assert (found.state, found.reasons) == ("stale", ("version 1.10.0 of its source is there",))
    assert (found.newer, found.source) == (newer.id, "Team.gallery/base/1.0.0")
    assert found.todo == "build run TEMPLATE (the template 'web')"
    services.registry.revoke_version(newer.id, "bad")
    assert said(services) == ("current", "")
    make(WEB, "2.0.0", from_version(newer))
    state, why = said(services)
    assert state == "stale"
    assert why == "Team.gallery/base/1.10.0, which it was made from, is revoked: bad"


def test_a_patch_of_its_own_latest_is_not_stale_because_of_itself(services: Services, make: Make) -> None:
    """Issue 7: source is its own latest, then updates."""
    first = make(WEB, "1.0.0")
    second = make(WEB, "1.0.1", from_version(first))
    make(WEB, "1.0.2", from_version(second))
    assert said(services) == ("current", "")
    states = {one.label[-5:]: one.state for one in find_stale(services, every=True)}
    assert states == {"1.0.2": "current", "1.0.1": "stale", "1.0.0": "unknown"}


@pytest.mark.parametrize(
    "source",
    [
        {"type": "PlatformImage"},
        {"type": "PlatformImage", "urn": "Debian:debian-12"},
        {"type": "SharedImageVersion", "version": "1.0.0"},
        {"type": "ManagedImage"},
        {"type": "ISO", "digest": 5},
        {"type": ["SharedImageVersion"]},
        {"description": "of a time before types", "digest": "d"},
    ],
)
def test_what_is_recorded_in_another_form_is_unknown(
    services: Services, make: Make, source: dict[str, Any]
) -> None:
    make(WEB, "1.0.0", source)
    assert web(services).state == "unknown"


def test_a_digest_less_source_whose_time_has_no_zone(services: Services, make: Make) -> None:
    first = make(BASE, "1.0.0")
    make(
        WEB,
        "1.0.0",
        {"type": "SharedImageVersion", "id": first.id, "version": "1.0.0", "created": "2026-01-01"},
    )
    assert web(services).state in ("stale", "unknown")


@pytest.mark.parametrize(
    ("file", "words"), [("/a b/web.json", "'/a b/web.json'"), ("<stdin>", "TEMPLATE (the template 'web')")]
)
def test_what_to_do_can_be_pasted(services: Services, make: Make, file: str, words: str) -> None:
    first = make(BASE, "1.0.0")
    run = RunDirectory.create(services.home)
    run.record.template.file = file
    run.save()
    make(WEB, "1.0.0", from_version(first), template="web", run_id=run.run_id)
    make(BASE, "1.1.0")
    assert web(services).todo == f"build run {words}"


def test_a_channel_decides_when_it_was_the_source(services: Services, make: Make) -> None:
    first = make(BASE, "1.0.0")
    services.registry.set_channel(BASE, "prod", "1.0.0")
    make(WEB, "1.0.0", from_version(first, "prod"))
    make(BASE, "2.0.0")
    assert said(services) == ("current", "")
    services.registry.set_channel(BASE, "prod", "2.0.0")
    assert said(services) == ("stale", "its channel @prod is at 2.0.0")
    services.registry.remove_channel(BASE, "prod")
    assert said(services)[0] == "unknown"


def test_a_source_that_is_gone_or_has_another_content(services: Services, make: Make) -> None:
    first = make(BASE, "1.0.0")
    make(WEB, "1.0.0", from_version(first))
    services.registry.delete_version(first.id)
    assert said(services) == (
        "unknown",
        "its source Team.gallery/base/1.0.0 was deleted, and no other is there",
    )
    make(BASE, "0.9.0")
    assert said(services) == ("current", "its source was deleted; no newer one is there")
    registry = services.registry
    made = registry.reserve_version(BASE, "1.0.0")
    registry.complete_version(made.id, Delivery([], size=1, digest="another"))
    assert said(services) == ("stale", "its source Team.gallery/base/1.0.0 has another content now")


def test_a_managed_image_that_was_made_anew(services: Services, make: Make) -> None:
    registry = services.registry
    registry.put_image(image_record(services.home))
    source = {"type": "ManagedImage", "id": IMAGE, "digest": "d", "created": "2026-01-02T03:04:05+00:00"}
    make(WEB, "1.0.0", source)
    assert said(services) == ("current", "")
    registry.put_image(image_record(services.home, digest="e"))
    assert said(services) == ("stale", "the managed image Images/Web was made anew on 2026-01-02 03:04 UTC")
    registry.put_image(replace(image_record(services.home, digest=""), created_at=datetime.now(UTC)))
    assert said(services)[0] == "stale"
    registry.delete_image(IMAGE)
    assert said(services) == ("unknown", "the managed image Images/Web was deleted")


def catalogue(services: Services, *versions: str, digit: str = "a") -> None:
    recipe = {"kind": "download", "url": "https://example.com/x.raw", "sha256": digit * 64}
    image = {"publisher": "Acme", "offer": "base", "sku": "1", "versions": dict.fromkeys(versions, recipe)}
    services.home.root.mkdir(parents=True, exist_ok=True)
    (services.home.root / "catalogue.json").write_text(json.dumps({"format": 1, "images": [image]}))


def marketplace(services: Services, version: str = "1.0.0", **changes: Any) -> dict[str, Any]:
    spec = ["file", "a" * 64, None]
    digest = hashlib.sha256(json.dumps(spec, sort_keys=True).encode()).hexdigest()
    urn = f"Acme:base:1:{version}"
    return {
        "type": "PlatformImage",
        "urn": urn,
        "version": version,
        "digest": digest,
        "recipe": "download",
    } | changes


def test_a_newer_version_in_the_catalogue(services: Services, make: Make) -> None:
    catalogue(services, "1.0.0")
    make(WEB, "1.0.0", marketplace(services))
    assert said(services) == ("current", "")
    catalogue(services, "1.0.0", "1.10.0")
    assert said(services) == ("stale", "the catalogue has version 1.10.0 of it")
    assert web(services).newer == "Acme:base:1:1.10.0"
    catalogue(services, "1.0.0", digit="b")
    assert said(services) == ("stale", "the same version comes as another disk now")
    (services.home.root / "catalogue.json").unlink()
    assert said(services)[0] == "unknown"


def test_a_base_of_packages_by_its_age_and_by_its_renewal(services: Services, make: Make) -> None:
    key, two_days_ago = "k" * 64, (datetime.now(UTC) - timedelta(days=2)).timestamp()
    folder = BaseCache(services.home.bases).folder(key)
    folder.mkdir(parents=True)
    (folder / "disk.raw").write_bytes(b"x")

    def base(identity: str) -> None:
        meta = BaseMeta(identity, "d", "disk.raw", "raw", 1, 1, two_days_ago)
        facts = {name: getattr(meta, name) for name in BaseMeta.__dataclass_fields__}
        (folder / "meta.json").write_text(json.dumps(facts))

    catalogue(services, "1.0.0")
    base(f"{key}-first")
    make(WEB, "1.0.0", marketplace(services, digest=f"{key}-first", recipe="bootstrap"))
    state, why = said(services)
    assert (state, why.rpartition(" ")[0]) == ("current", "its base is of")
    state, why = said(services, max_age=86400.0)
    assert state == "stale"
    assert why == "its base is 2 days old; 'build marketplace fetch Acme:base:1 --again' makes it anew"
    base(f"{key}-second")
    assert said(services)[1].startswith("its base was made anew on ")
    (folder / "disk.raw").unlink()
    assert said(services)[0] == "unknown"


def test_a_medium_that_is_another_file(services: Services, make: Make, tmp_path: Path) -> None:
    iso = tmp_path / "dvd.iso"
    iso.write_bytes(b"medium")
    digest = hashlib.sha256(b"medium").hexdigest()
    make(WEB, "1.0.0", {"type": "ISO", "uri": str(iso), "digest": digest, "version": "9.4"})
    assert said(services) == ("current", "")
    iso.write_bytes(b"another")
    assert said(services) == ("stale", f"the medium {iso} is another file now")
    iso.unlink()
    assert said(services) == ("unknown", f"the medium {iso} is not there any more")
    make(WEB, "2.0.0", {"type": "ISO", "uri": "https://example.com/dvd.iso", "digest": digest})
    assert said(services)[0] == "unknown"


def test_what_is_not_known_is_said(services: Services, make: Make) -> None:
    make(WEB, "1.0.0")
    assert said(services) == ("unknown", "nothing is recorded of what it was made from")
    make(WEB, "1.1.0", {"type": "x-Tape"})
    assert said(services) == ("unknown", "a source of type x-Tape does not tell")


def test_scopes_and_the_exit_code(services: Services, make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    first = make(BASE, "1.0.0", {"type": "x"})
    make(WEB, "1.0.0", from_version(first))
    make(BASE, "2.0.0", {"type": "x"})
    assert [one.label for one in find_stale(services, GALLERY.upper().replace("/SUB", "/sub"))] == [
        "Team.gallery/base/2.0.0",
        "Team.gallery/web/1.0.0",
    ]
    assert [one.state for one in find_stale(services, WEB)] == ["stale"]
    assert [one.label for one in find_stale(services, first.id)] == ["Team.gallery/base/1.0.0"]
    services.registry.put_image(image_record(services.home))
    assert [one.label for one in find_stale(services, IMAGE)] == ["Images/Web"]
    monkeypatch.setenv("GOLDSMITH_HOME", str(services.home.root))

    def run(*words: str) -> tuple[int, str]:
        result = CliRunner().invoke(verbs.app, list(words))
        return result.exit_code, result.output

    assert run("stale", "team.gallery/web")[0] == 0
    code, text = run("stale", "team.gallery/web", "--exit-code")
    assert (code, "version 2.0.0 of its source is there" in text) == (1, True)
    assert run("stale", "team.gallery/base", "--exit-code")[0] == 0
    code, text = run("stale", "web", "--json")
    assert (code, json.loads(text)[0]["state"]) == (0, "unknown")
    code, text = run("tree", "team.gallery/web")
    assert (code, text.splitlines()[-1].split()[0]) == (0, "Team.gallery/web/1.0.0")
    assert "latest" in text
    assert json.loads(run("tree", "--json")[1])[0]["depth"] == 0
