"""The family tree: from sources down, past what is gone, once each, and however long a line is."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from builder.cli.gallery_tree import _facts, _lines
from builder.family import Known, Member, family
from builder.registry.records import ImageRecord, VersionRecord

GROUP = "/subscriptions/0/resourceGroups/rg/providers/Microsoft.Compute"
NOW = datetime(2026, 6, 1, tzinfo=UTC)
DEBIAN = {"type": "PlatformImage", "urn": "Debian:debian-12:12:1.0", "digest": "b"}


def version(name: str, parent: str = "", used: str = "", **changes: Any) -> VersionRecord:
    """`name` is definition/number; its digest is its name, unless it says otherwise."""
    definition, number = name.split("/")
    arm_id = f"{GROUP}/galleries/g/images/{definition}"
    source = (
        {"type": "SharedImageVersion", "id": id_of(parent), "digest": used or parent} if parent else DEBIAN
    )
    fields: dict[str, Any] = {
        "id": f"{arm_id}/versions/{number}", "version": number, "definition_id": arm_id, "location": "local",
        "state": "Succeeded", "exclude_from_latest": False, "replication_mode": "Full", "os_type": "Linux",
        "os_state": "Generalized", "generation": "V2", "size": 1, "digest": name, "source": "s",
        "template": "t", "run_id": "", "tags": {}, "created_at": NOW, "published_at": NOW, "replicas": (),
        "parent": id_of(parent).upper() if parent else "", "lineage": {"source": source},
    }  # fmt: skip
    return VersionRecord(**{**fields, **changes})


def id_of(name: str) -> str:
    definition, _, number = name.partition("/")
    return f"{GROUP}/galleries/g/images/{definition}/versions/{number}"


def image(name: str, parent: str, used: str) -> ImageRecord:
    return ImageRecord(
        id=f"{GROUP}/images/{name}", name=name, resource_group="rg", location="local", os_type="Linux",
        generation="V2", path=Path("x"), size=1, size_on_disk=1, digest=name, source="s", template="t",
        run_id="", tags={}, created_at=NOW, parent=parent, lineage={"source": {"id": parent, "digest": used}},
    )  # fmt: skip


def lines(*records: VersionRecord | ImageRecord, scope: str = "", **known: Any) -> list[str]:
    versions = [one for one in records if isinstance(one, VersionRecord)]
    images = [one for one in records if isinstance(one, ImageRecord)]
    return list(_lines(family(Known(versions, images, **known), scope, NOW), guides=False))


def test_from_the_marketplace_down_versions_by_number() -> None:
    base, web = version("base/1.0.0"), version("web/1.0.0", "base/1.0.0")
    assert lines(
        version("base/1.10.0"), version("base/1.9.0"), base, web, image("copy", web.id, web.digest),
        channels={base.id: ["prod", "dev"]}, latest=frozenset({id_of("base/1.10.0")}),
    ) == [
        "Debian:debian-12:12:1.0",
        "  g/base/1.0.0  2026-06-01  [@prod, @dev]",
        "    g/web/1.0.0  2026-06-01",
        "      rg/copy  managed image  2026-06-01",
        "  g/base/1.9.0  2026-06-01",
        "  g/base/1.10.0  2026-06-01  [latest]",
    ]  # fmt: skip


def test_what_is_to_know_of_a_version_is_marked() -> None:
    bad = version("a/1.0.0", revoked_at=NOW, revoked_reason="CVE-1", exclude_from_latest=True)
    old = version("a/2.0.0", end_of_life="2026-01-01", state="Creating")
    young = version("a/3.0.0", end_of_life="2027-01-01T00:00:00Z")
    assert lines(bad, old, young)[1:] == [
        "  g/a/1.0.0  2026-06-01  [revoked, excluded from latest]  CVE-1",
        "  g/a/2.0.0  2026-06-01  [end of life, being made]",
        "  g/a/3.0.0  2026-06-01",
    ]


def test_a_parent_that_is_deleted_or_replaced_is_named() -> None:
    assert lines(version("web/1.0.0", "base/1.0.0")) == [
        "g/base/1.0.0  [deleted]",
        "  g/web/1.0.0  2026-06-01",
    ]
    assert lines(version("base/1.0.0"), version("web/1.0.0", "base/1.0.0", "another")) == [
        "Debian:debian-12:12:1.0",
        "  g/base/1.0.0  2026-06-01",
        "g/base/1.0.0  [replaced]",
        "  g/web/1.0.0  2026-06-01",
    ]


def test_an_image_made_from_itself_and_a_circle_stand_once() -> None:
    me = f"{GROUP}/images/me"
    assert lines(image("me", me, "me")) == [
        "rg/me  [replaced]",
        "  rg/me  managed image  2026-06-01",
    ]
    a, b = f"{GROUP}/images/a", f"{GROUP}/images/b"
    assert lines(image("a", b, "b"), image("b", a, "a")) == [
        "rg/a  managed image  2026-06-01",
        "  rg/b  managed image  2026-06-01",
    ]


def test_of_a_scope_what_it_came_from_and_what_came_of_it() -> None:
    records = (
        version("base/1.0.0"),
        version("base/2.0.0"),
        version("web/1.0.0", "base/1.0.0"),
        version("db/1.0.0", "base/1.0.0"),
        version("app/1.0.0", "web/1.0.0"),
        version("app/2.0.0", "db/1.0.0"),
    )
    labels = [line.split()[0] for line in lines(*records, scope=f"{GROUP}/galleries/G/images/web")]
    assert labels == ["Debian:debian-12:12:1.0", "g/base/1.0.0", "g/web/1.0.0", "g/app/1.0.0"]
    assert lines(*records, scope=f"{GROUP}/galleries/other") == []
    assert lines(*records, scope=f"{GROUP}/galleries/g/images/we") == []


def test_roots_of_other_kinds() -> None:
    iso = {"source": {"type": "ISO", "uri": "~/dvd.iso", "version": "9.4"}}
    assert lines(version("a/1.0.0", lineage=iso))[0] == "~/dvd.iso (ISO 9.4)"
    assert lines(version("a/1.0.0", lineage=None, source="Debian 12"))[0] == "Debian 12"
    assert lines(version("a/1.0.0", lineage=None, source=""))[0] == "unknown source"


def test_a_line_of_thousands_of_patches() -> None:
    records = [version("a/0.0.0")]
    records += [version(f"a/0.0.{n}", f"a/0.0.{n - 1}") for n in range(1, 5000)]
    facts = list(_facts(family(Known(records, ()))))
    assert len(facts) == 5001
    assert (facts[-1]["depth"], facts[-1]["parent"]) == (5000, id_of("a/0.0.4998"))


def test_guides_on_a_terminal() -> None:
    leaf = Member("version", "l", "leaf")
    roots = [
        Member("source", "", "root", children=(replace(leaf, label="one", children=(leaf,)), leaf)),
    ]
    assert list(_lines(roots, guides=True)) == ["root", "├─ one", "│  └─ leaf", "└─ leaf"]
