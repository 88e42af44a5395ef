"""Two people at one registry: what each may do is asked where it is done."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import text

from builder.errors import ConflictError, NotFoundError
from builder.registry.access import AUDIT_READ
from builder.registry.caller import Caller, Principal
from builder.registry.errors import AuthorizationError
from builder.registry.records import Delivery
from builder.registry.store import Registry
from builder.settings import Home
from registry.conftest import (
    GALLERY,
    GROUP,
    IMAGE,
    ME,
    WEB,
    Publish,
    definition,
    gallery,
    image_record,
    open_registry,
)
from templates.arm_id import ResourceIdError

BOB = Principal("User", "bob")
V1, V2 = f"{WEB}/versions/1.0.0", f"{WEB}/versions/2.0.0"
RESOURCE_GROUP = GROUP.split("/providers")[0]


@pytest.fixture
def bob(registry: Registry, home: Home) -> Iterator[Registry]:
    """The same registry as another user sees it, who is in the group devs."""
    opened = open_registry(home, Caller("User", "bob", find_groups=lambda: ["devs"], object_id="1001"))
    yield opened
    opened.close()


def test_the_first_user_owns_everything(registry: Registry) -> None:
    assert registry.list_roles() == []
    assert registry.check_access(ME.principal, AUDIT_READ, "/").why.startswith(
        "the registry has no Owner yet"
    )
    made = registry.create_gallery(gallery())
    assert made.created_by == "user:alice"
    (only,) = registry.list_roles()
    assert (only.scope, only.role, only.principal) == ("/", "Owner", ME.principal)


DENIED: dict[str, Callable[[Registry, Home], object]] = {
    "galleries/write": lambda r, _: r.create_gallery(gallery(f"{GROUP}/galleries/other")),
    "galleries/read": lambda r, _: r.find_gallery_by_name("team.gallery"),
    "galleries/delete": lambda r, _: r.delete_gallery(GALLERY),
    "galleries/images/write": lambda r, _: r.create_definition(definition(f"{GALLERY}/images/b", "a:b:c")),
    "galleries/images/read": lambda r, _: r.find_definition(WEB),
    "galleries/images/delete": lambda r, _: r.delete_definition(WEB),
    "galleries/images/versions/write": lambda r, _: r.reserve_version(WEB),
    "galleries/images/versions/read": lambda r, _: r.find_version(f"{WEB}/versions/latest"),
    "galleries/images/versions/delete": lambda r, _: r.delete_version(V1),
    "images/write": lambda r, home: r.put_image(image_record(home)),
    "images/read": lambda r, _: r.find_image(IMAGE),
    "images/delete": lambda r, _: r.delete_image(IMAGE),
}


@pytest.mark.parametrize("action", DENIED)
def test_a_second_user_has_nothing(publish: Publish, bob: Registry, home: Home, action: str) -> None:
    publish("1.0.0")
    with pytest.raises(
        AuthorizationError, match=rf"'bob' with object id '1001'.*'Microsoft\.Compute/{action}'"
    ):
        DENIED[action](bob, home)


def test_the_lists_of_a_second_user_are_empty(publish: Publish, bob: Registry) -> None:
    publish("1.0.0")
    assert (bob.list_galleries(), bob.list_definitions(), bob.list_versions(), bob.list_images()) == ([],) * 4
    with pytest.raises(AuthorizationError):
        bob.list_versions(WEB)


@pytest.mark.parametrize("scope", ["/", RESOURCE_GROUP, GALLERY, WEB])
def test_a_contributor_publishes(publish: Publish, web: Registry, bob: Registry, scope: str) -> None:
    publish("1.0.0")
    web.assign_role(scope, "Reader", BOB)
    assert bob.find_version(f"{WEB}/versions/latest").version == "1.0.0"
    with pytest.raises(AuthorizationError) as caught:
        bob.reserve_version(WEB)
    assert caught.value.hint == (
        "Ask user:alice for it: build access grant Contributor --to user:bob --on Team.gallery/web"
    )
    web.assign_role(scope, "Contributor", BOB)
    made = bob.complete_version(bob.reserve_version(WEB).id, Delivery([], size=4))
    assert (made.version, made.created_by) == ("1.0.1", "user:bob")
    with pytest.raises(AuthorizationError, match="roleAssignments/write"):
        bob.assign_role(WEB, "Reader", Principal("User", "eve"))


def test_who_makes_something_owns_it(web: Registry, bob: Registry) -> None:
    web.assign_role(GALLERY, "Contributor", BOB)
    bob.create_definition(definition(f"{GALLERY}/images/app", "me:app:1"))
    bob.assign_role(f"{GALLERY}/images/app", "Reader", Principal("User", "eve"))
    with pytest.raises(AuthorizationError):
        bob.assign_role(WEB, "Reader", Principal("User", "eve"))
    taken = web.remove_role(GALLERY, None, BOB, below=True)
    assert [(one.role, one.scope) for one in taken] == [
        ("Contributor", GALLERY),
        ("Owner", f"{GALLERY}/images/app"),
    ]
    with pytest.raises(AuthorizationError):
        bob.find_definition(f"{GALLERY}/images/app")


def test_a_role_that_is_taken_meanwhile_counts(web: Registry, bob: Registry) -> None:
    web.assign_role(WEB, "Contributor", BOB)
    reserved = bob.reserve_version(WEB, "1.0.0")
    done = bob.complete_version(bob.reserve_version(WEB, "2.0.0").id, Delivery([], size=4))
    web.remove_role(WEB, "Contributor", BOB)
    with pytest.raises(AuthorizationError):
        bob.complete_version(reserved.id, Delivery([], size=4))
    assert bob.abandon_version(reserved.id), "its own number it may give back"
    assert [(one.role, one.scope) for one in web.list_roles(WEB)] == [("Owner", done.id)]


def test_roles_go_with_what_they_are_on(web: Registry, bob: Registry) -> None:
    web.assign_role(GALLERY, "Contributor", BOB)
    made = bob.create_definition(definition(f"{GALLERY}/images/app", "me:app:1"))
    web.delete_definition(made.id)
    web.create_definition(definition(f"{GALLERY}/images/app", "me:app:1"))
    assert [one.role for one in web.list_roles(made.id, inherited=True) if one.principal == BOB] == [
        "Contributor"
    ]


def test_a_group_may_and_its_members(web: Registry, bob: Registry) -> None:
    web.assign_role(WEB, "Contributor", Principal("Group", "devs"))
    assert bob.reserve_version(WEB).version == "0.0.1"
    verdict = bob.check_access(BOB, "Microsoft.Compute/galleries/images/versions/write", WEB)
    assert verdict.why == "user:bob is Contributor through group:devs"


def test_one_version_alone_can_be_shared(publish: Publish, web: Registry, bob: Registry) -> None:
    publish("1.0.0")
    publish("2.0.0")
    web.assign_role(V1, "Reader", BOB)
    assert bob.find_version(V1).version == "1.0.0"
    assert bob.find_definition(WEB).name == "web"
    assert bob.find_gallery_by_name("Team.gallery").id == GALLERY
    for listed in (bob.list_versions(), bob.list_versions(WEB), bob.list_versions(WEB, limit=1)):
        assert [one.version for one in listed] == ["1.0.0"], "the limit is of what one sees"
    with pytest.raises(AuthorizationError, match=r"over scope '.*/versions/2\.0\.0'"):
        bob.find_version(V2)
    with pytest.raises(AuthorizationError, match=r"over scope '.*/versions/2\.0\.0'"):
        bob.find_version(f"{WEB}/versions/latest")
    with pytest.raises(AuthorizationError):
        bob.delete_version(V1)


def test_what_is_not_there_is_not_told_to_everybody(web: Registry, bob: Registry) -> None:
    with pytest.raises(AuthorizationError):
        bob.find_version(f"{WEB}/versions/9.9.9")
    with pytest.raises(NotFoundError):
        web.find_version(f"{WEB}/versions/9.9.9")
    for one in (web, bob):
        with pytest.raises(ResourceIdError):
            one.find_definition("/no/arm/id")


def test_a_role_is_given_once_and_taken_back(web: Registry, bob: Registry) -> None:
    first = web.assign_role(GALLERY, "Reader", BOB)
    assert web.assign_role(GALLERY.upper(), "Reader", BOB) == first
    assert bob.find_gallery(GALLERY).id == GALLERY
    assert web.remove_role(GALLERY.lower(), "Reader", BOB) == [first]
    with pytest.raises(AuthorizationError):
        bob.find_gallery(GALLERY)
    with pytest.raises(NotFoundError, match=r"user:bob has no role Reader on Team\.gallery itself"):
        web.remove_role(GALLERY, "Reader", BOB)


def test_a_role_on_nothing_is_refused(web: Registry) -> None:
    with pytest.raises(NotFoundError, match="to give a role on"):
        web.assign_role(f"{GALLERY}/images/none", "Reader", BOB)
    for wrong in ("team", "/subscriptions", f"{WEB}/versions/latest"):
        with pytest.raises(ResourceIdError, match="nothing a role can be given on"):
            web.assign_role(wrong, "Reader", BOB)
    assert web.assign_role("/subscriptions/0/resourceGroups/yet-to-come", "Reader", BOB).principal == BOB


def test_the_last_owner_stays(web: Registry) -> None:
    with pytest.raises(ConflictError, match="last Owner"):
        web.remove_role("/", "Owner", ME.principal)
    web.assign_role("/", "Owner", BOB)
    web.remove_role("/", "Owner", ME.principal)
    with pytest.raises(AuthorizationError):
        web.find_gallery(GALLERY)


def test_who_may_ask_about_others(web: Registry, bob: Registry) -> None:
    web.assign_role(WEB, "Reader", BOB)
    write = "Microsoft.Compute/galleries/images/versions/write"
    verdict = web.check_access(BOB, write, WEB)
    assert (verdict.allowed, verdict.why) == (False, "user:bob is Reader, which does not permit it")
    assert web.check_access(BOB, write.replace("write", "read"), WEB).allowed
    assert bob.check_access(ME.principal, write, WEB).allowed, "a Reader may read assignments"
    with pytest.raises(AuthorizationError, match="roleAssignments/read"):
        bob.check_access(ME.principal, write, GALLERY)
    assert [one.scope for one in bob.list_roles()] == [WEB]
    assert {one.scope for one in web.list_roles(WEB, inherited=True)} == {"/", WEB}


def test_something_can_be_asked_for_beforehand(web: Registry, bob: Registry) -> None:
    web.require_access("galleries/images/versions/write", WEB)
    with pytest.raises(AuthorizationError, match="versions/write"):
        bob.require_access("galleries/images/versions/write", WEB)


def test_the_audit_tells_what_was_done_and_what_was_not(web: Registry, bob: Registry, home: Home) -> None:
    reserved = web.reserve_version(WEB, "1.0.0")
    web.complete_version(reserved.id, Delivery([], size=4))
    with pytest.raises(ConflictError):
        web.reserve_version(WEB, "1.0.0")
    with pytest.raises(AuthorizationError):
        bob.delete_version(V1)
    web.list_versions()
    told = [
        (one.caller, one.outcome, one.action.split("/", 1)[1], one.scope, one.details)
        for one in reversed(web.list_audit())
    ]
    version = "galleries/images/versions"
    assert told == [
        ("user:alice", "Allowed", "galleries/write", GALLERY, f"create_gallery: created {GALLERY}"),
        ("user:alice", "Allowed", "galleries/images/write", WEB, f"create_definition: created {WEB}"),
        ("user:alice", "Allowed", f"{version}/write", WEB, f"reserve_version: created {V1}"),
        ("user:alice", "Allowed", f"{version}/write", V1, f"complete_version: changed {V1}"),
        ("user:bob", "Denied", f"{version}/delete", V1, "delete_version"),
    ]
    assert [one.outcome for one in web.list_audit(WEB, denied=True)] == ["Denied"]
    assert len(web.list_audit(GALLERY, limit=2)) == 2
    assert web.list_audit(since=datetime.now(UTC) + timedelta(hours=1)) == []
    assert bob.list_audit() == []
    with pytest.raises(AuthorizationError, match="eventtypes/values/read"):
        bob.list_audit(WEB)


def test_giving_and_taking_roles_is_in_the_audit(web: Registry) -> None:
    web.assign_role(WEB, "Reader", BOB)
    web.assign_role(WEB, "Reader", BOB)
    web.remove_role(WEB, "Reader", BOB)
    taken, given = web.list_audit(limit=2)
    assert given.details == f"assign_role: Reader to user:bob on {WEB}"
    assert taken.details == f"remove_role: Reader from user:bob on {WEB}"


def test_the_audit_does_not_grow_for_ever(web: Registry) -> None:
    assert web.prune_audit(1) == 0
    with web._db.write() as session:
        session.execute(text("UPDATE audit SET at = '2026-01-01T00:00:00.000000+00:00'"))
    assert (web.prune_audit(1, dry_run=True), len(web.list_audit())) == (2, 2)
    assert web.prune_audit(1) == 2
    assert web.list_audit() == []


def test_housekeeping_demands_nothing(web: Registry, bob: Registry) -> None:
    web.reserve_version(WEB, "1.0.0")
    with web._db.write() as session:
        session.execute(text("UPDATE versions SET owner = 'gone/1/1'"))
    before = len(web.list_audit())
    assert bob.reclaim(dry_run=True).versions == (V1,)
    assert len(web.list_audit()) == before
    assert bob.reclaim().versions == (V1,)
    assert (bob.reclaim().versions, bob.remove_orphans(lambda _: False)) == ((), [])
    assert [(one.caller, one.details) for one in web.list_audit(limit=1)] == [
        ("user:bob", f"reclaim: deleted {V1}")
    ]
    assert len(web.list_audit()) == before + 1


def test_a_service_principal_is_somebody_of_its_own(web: Registry, home: Home) -> None:
    ci = open_registry(home, Caller("ServicePrincipal", "ci"))
    with pytest.raises(AuthorizationError, match="'ci' with object id 'ci'"):
        ci.reserve_version(WEB)
    web.assign_role(WEB, "Contributor", Principal("ServicePrincipal", "ci"))
    assert ci.reserve_version(WEB).created_by == "sp:ci"
    ci.close()


def test_whom_the_file_belongs_to_may_do_anything(web: Registry, home: Home) -> None:
    host = open_registry(home, replace(ME, name="root", owns_store=True))
    host.assign_role("/", "Owner", Principal("User", "root"))
    assert host.check_access(Principal("User", "root"), AUDIT_READ, "/").why.startswith("the registry itself")
    host.close()
