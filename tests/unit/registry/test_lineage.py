"""Ancestry over a real registry: up, down, past what is gone, and what is revoked."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from builder.errors import ConflictError, NotFoundError, UsageError
from builder.registry.records import Delivery, VersionRecord
from builder.registry.store import Registry
from builder.settings import Home
from registry.conftest import GROUP, IMAGE, WEB, image_record

Make = Callable[..., VersionRecord]


@pytest.fixture
def make(web: Registry) -> Make:
    """Publish a version with this digest, made from that parent (whose digest is recorded with it)."""

    def publish(number: str, digest: str, parent: str = "", parent_digest: str = "") -> VersionRecord:
        made = web.reserve_version(WEB, number)
        source = {"type": "SharedImageVersion", "id": parent, "digest": parent_digest}
        lineage = {"source": source} if parent else None
        delivery = Delivery([], size=4, digest=digest, parent=parent.upper(), lineage=lineage)
        return web.complete_version(made.id, delivery)

    return publish


def chain(make: Make) -> tuple[VersionRecord, VersionRecord, VersionRecord]:
    first = make("1.0.0", "d1")
    second = make("1.1.0", "d2", first.id, "d1")
    return first, second, make("1.2.0", "d3", second.id, "d2")


def versions(found: object) -> list[str]:
    return [one.version for one in found]  # type: ignore[attr-defined]


def test_ancestry_up_and_down(web: Registry, make: Make, home: Home) -> None:
    first, second, third = chain(make)
    image = replace(
        image_record(home), parent=second.id, lineage={"source": {"id": second.id, "digest": "d2"}}
    )
    web.put_image(image)
    assert [a.record and a.record.id for a in web.ancestors(third.id.upper().replace("/SUB", "/sub"))] == [
        second.id,
        first.id,
    ]
    assert [one.id for one in web.descendants(first.id)] == [second.id, third.id, IMAGE]
    assert {one.id for one in web.descendants(second.id)} == {third.id, IMAGE}
    assert [a.id for a in web.ancestors(IMAGE)] == [second.id, first.id]
    assert web.ancestors(first.id) == []
    with pytest.raises(NotFoundError):
        web.ancestors(f"{GROUP}/images/none")


def test_a_parent_that_is_gone_is_still_named(web: Registry, make: Make) -> None:
    first, second, third = chain(make)
    web.delete_version(second.id)
    assert [(a.id, a.record) for a in web.ancestors(third.id)] == [(second.id, None)]
    assert versions(web.descendants(second.id)) == ["1.2.0"]
    assert web.descendants(first.id) == []


def test_another_content_under_the_parents_id_is_not_the_parent(web: Registry, make: Make) -> None:
    _first, second, third = chain(make)
    web.delete_version(second.id)
    make("1.1.0", "something else")
    assert [(a.id, a.record) for a in web.ancestors(third.id)] == [(second.id, None)]
    assert web.descendants(second.id) == []


def test_an_image_made_from_itself_ends_the_walk(web: Registry, home: Home) -> None:
    lineage = {"source": {"type": "ManagedImage", "id": IMAGE, "digest": "d"}}
    web.put_image(replace(image_record(home), parent=IMAGE, lineage=lineage))
    assert [(a.id, a.record) for a in web.ancestors(IMAGE)] == [(IMAGE, None)]
    assert web.descendants(IMAGE) == []


def test_many_children_are_found_in_parts(web: Registry, make: Make) -> None:
    first = make("1.0.0", "d1")
    for number in range(1, 4):
        make(f"2.0.{number}", f"c{number}", first.id, "d1")
        make(f"3.0.{number}", f"g{number}", f"{WEB}/versions/2.0.{number}", f"c{number}")
    assert sorted(versions(web.descendants(first.id))) == [
        f"{major}.0.{patch}" for major in (2, 3) for patch in (1, 2, 3)
    ]


def test_revoking_needs_a_reason_and_notes_who_and_when(web: Registry, make: Make) -> None:
    first, *_ = chain(make)
    with pytest.raises(UsageError, match="for a reason"):
        web.revoke_version(first.id, "  ")
    (revoked,) = web.revoke_version(first.id, " CVE-1 ")
    assert (revoked.revoked_reason, bool(revoked.revoked_by), bool(revoked.revoked_at)) == (
        "CVE-1",
        True,
        True,
    )
    with pytest.raises(ConflictError, match="revoked already"):
        web.revoke_version(first.id, "again")
    assert web.unrevoke_version(first.id).revoked_at is None
    with pytest.raises(ConflictError, match="not revoked"):
        web.unrevoke_version(first.id)
    with pytest.raises(NotFoundError):
        web.revoke_version(f"{WEB}/versions/9.9.9", "x")
    web.reserve_version(WEB, "5.0.0")
    with pytest.raises(ConflictError, match="still being made"):
        web.revoke_version(f"{WEB}/versions/5.0.0", "x")


def test_revoking_with_descendants(web: Registry, make: Make, home: Home) -> None:
    first, second, third = chain(make)
    web.put_image(replace(image_record(home), parent=first.id))
    web.revoke_version(second.id, "own reason")
    done = web.revoke_version(first.id, "CVE-1", descendants=True)
    assert [one.id for one in done] == [first.id, third.id]
    assert done[1].revoked_reason == "made from Team.gallery/web/1.0.0: CVE-1"
    record = web.find_by_key(second.id)
    assert isinstance(record, VersionRecord)
    assert record.revoked_reason == "own reason"
    assert web.newest_version(WEB) is None


def test_the_newest_good_version(web: Registry, make: Make) -> None:
    _first, second, third = chain(make)
    web.revoke_version(third.id, "bad")
    newest = web.newest_version(WEB)
    assert newest is not None
    assert newest.id == second.id
