"""Roles, scopes and decisions, without a database."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from builder.errors import UsageError
from builder.registry.access import (
    Assignment,
    Role,
    chain,
    decide,
    denied,
    is_below,
    least_role,
    parse_role,
    permits,
    short,
)
from builder.registry.caller import Caller, Principal, claimed, groups_of, of_system, user_id, user_name
from builder.registry.guard import scope_of
from registry.conftest import GALLERY, IMAGE, ME, WEB

V1 = f"{WEB}/versions/1.0.0"
GROUP = "/subscriptions/0000/resourceGroups/Images"
READ, WRITE, DELETE = (
    f"Microsoft.Compute/galleries/images/versions/{what}" for what in ("read", "write", "delete")
)
GRANT = "Microsoft.Authorization/roleAssignments/write"


def given(role: Role, scope: str, to: str = "user:alice") -> Assignment:
    return Assignment("1", scope, Principal.parse(to), role, datetime.now(UTC), "user:root")


@pytest.mark.parametrize(
    ("role", "may"),
    [
        ("Reader", {READ, "Microsoft.Authorization/roleAssignments/read"}),
        ("Contributor", {READ, WRITE, DELETE, "Microsoft.Authorization/roleAssignments/read"}),
        ("Owner", {READ, WRITE, DELETE, GRANT, "Microsoft.Authorization/roleAssignments/read"}),
    ],
)
def test_what_a_role_permits(role: Role, may: set[str]) -> None:
    actions = {READ, WRITE, DELETE, GRANT, "Microsoft.Authorization/roleAssignments/read"}
    assert {action for action in actions if permits(role, action)} == may


def test_the_smallest_role_for_an_action() -> None:
    assert [least_role(one) for one in (READ, WRITE, GRANT)] == ["Reader", "Contributor", "Owner"]


def test_a_scope_lies_in_others() -> None:
    group = GROUP.casefold()
    assert chain(V1) == (
        "/",
        "/subscriptions/0000",
        group,
        GALLERY.casefold(),
        WEB.casefold(),
        V1.casefold(),
    )
    assert chain("/") == ("/",)
    assert chain(IMAGE)[2:] == (group, IMAGE.casefold())
    assert is_below(V1.upper(), GALLERY)
    assert not is_below(GALLERY, WEB)
    assert not is_below(f"{WEB}2", WEB), "a name that only begins the same"


@pytest.mark.parametrize("scope", ["/", "/subscriptions/0000", GROUP.upper(), GALLERY, WEB, V1])
def test_a_role_is_inherited_downwards(scope: str) -> None:
    assert decide([given("Contributor", scope)], ME, WRITE, V1).allowed
    assert not decide([given("Reader", scope)], ME, WRITE, V1).allowed


@pytest.mark.parametrize(
    "scope", [f"{WEB}/versions/2.0.0", f"{GALLERY}/images/app", IMAGE, "/subscriptions/1"]
)
def test_a_role_elsewhere_is_none(scope: str) -> None:
    verdict = decide([given("Owner", scope)], ME, READ, V1)
    assert (verdict.allowed, verdict.why) == (False, "user:alice has no role there")


def test_others_have_nothing_of_it() -> None:
    others = [
        given("Owner", "/", "user:bob"),
        given("Owner", "/", "sp:alice"),
        given("Owner", "/", "group:alice"),
    ]
    assert not decide(others, ME, READ, V1).allowed


def test_a_group_has_it_for_all_in_it() -> None:
    who = Caller("User", "alice", find_groups=lambda: ["devs"])
    verdict = decide([given("Contributor", GALLERY, "group:devs")], who, WRITE, V1)
    assert (verdict.allowed, verdict.why) == (
        True,
        "user:alice is Contributor of Team.gallery through group:devs",
    )


def test_who_may_see_a_version_sees_what_it_lies_in() -> None:
    mine = [given("Reader", V1)]
    for action, scope in (("galleries/read", GALLERY), ("galleries/images/read", WEB)):
        assert decide(mine, ME, f"Microsoft.Compute/{action}", scope).allowed
    assert not decide(mine, ME, READ, f"{WEB}/versions/2.0.0").allowed
    assert not decide(mine, ME, "Microsoft.Compute/galleries/write", GALLERY).allowed


def test_why_not() -> None:
    assert decide([given("Reader", GALLERY)], ME, WRITE, V1).why == (
        "user:alice is Reader of Team.gallery, which does not permit it"
    )


def test_a_denial_in_azures_words() -> None:
    error = denied(ME, WRITE, V1, [given("Owner", "/", "user:root"), given("Owner", IMAGE, "user:eve")])
    assert error.message == (
        "The client 'alice' with object id '1000' does not have authorization to perform action "
        f"'Microsoft.Compute/galleries/images/versions/write' over scope '{V1}' or the scope is invalid. "
        "If access was recently granted, please refresh your credentials."
    )
    assert (error.code, int(error.exit_code)) == ("AuthorizationFailed", 2)
    assert error.hint == (
        "Ask user:root for it: build access grant Contributor --to user:alice --on Team.gallery/web/1.0.0"
    )


def test_commands_can_be_pasted() -> None:
    group = Principal("Group", "domain users")
    assert group.typed == "'group:domain users'"
    spaced = "/subscriptions/0/resourceGroups/my group"
    assert (denied(ME, WRITE, spaced, []).hint or "").endswith(f"--to user:alice --on '{spaced}'")


def test_short_forms() -> None:
    assert [short(one) for one in (GALLERY, WEB, V1, IMAGE, GROUP, "/")] == [
        "Team.gallery",
        "Team.gallery/web",
        "Team.gallery/web/1.0.0",
        IMAGE,
        GROUP,
        "/",
    ]


@pytest.mark.parametrize(
    ("argument", "scope", "exactly"),
    [
        (None, "/", False),
        ("team", "/", False),
        ("/", "/", True),
        (GROUP, GROUP, True),
        (V1, V1, True),
        (f"{WEB}/versions/latest", f"{WEB}/versions/latest", False),
        ("/subscriptions/x/wrong/y", "/", True),
        (f"{GALLERY}/images", "/", True),
    ],
)
def test_what_an_argument_names(argument: object, scope: str, *, exactly: bool) -> None:
    assert scope_of(argument) == (scope, exactly)


def test_principals() -> None:
    for text, kind in (
        ("user:al", "User"),
        ("GROUP:al", "Group"),
        ("ServicePrincipal:al", "ServicePrincipal"),
    ):
        assert Principal.parse(text) == Principal(kind, "al")  # type: ignore[arg-type]
    assert str(Principal.parse("serviceprincipal:ci")) == "sp:ci"
    for wrong in ("alice", "user:", "team:x", ""):
        with pytest.raises(UsageError, match="names nobody"):
            Principal.parse(wrong)
    with pytest.raises(UsageError, match="only a service principal can be set"):
        claimed("user:alice")
    assert parse_role("OWNER") == "Owner"
    with pytest.raises(UsageError, match="no role 'Admin'") as caught:
        parse_role("Admin")
    assert caught.value.hint == "One of Reader, Contributor, Owner."


def test_the_user_of_the_operating_system(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.getuid", lambda: 0)
    assert (of_system(5).name, of_system(5).owns_store) == ("root", True)
    monkeypatch.setattr("os.getuid", lambda: 987654)
    monkeypatch.setattr("os.getgroups", lambda: [0, 876543])
    monkeypatch.setattr("os.getegid", lambda: 0)
    nameless = of_system(5)
    assert (nameless.name, nameless.object_id, nameless.owns_store) == ("#987654", "987654", False)
    assert nameless.groups == {"root", "#876543"}
    assert nameless.landlord == Principal("User", user_name(5))
    assert of_system(987654).owns_store
    assert (user_id("root"), user_id("#12"), user_id("nobody of that name")) == (0, 12, None)
    assert ("root" in groups_of("root"), groups_of("nobody of that name")) == (True, [])
