"""The verbs `build access` and `build gallery audit`, through typer."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from builder.cli import access, gallery
from builder.errors import ConflictError, NotFoundError, UsageError
from builder.registry.caller import Caller, Principal
from builder.registry.errors import AuthorizationError
from builder.registry.store import Registry
from builder.settings import Home
from registry.conftest import GALLERY, ME, WEB, Publish

ZEROS = "00000000-0000-0000-0000-000000000000"
Be = Callable[[Caller], None]


@pytest.fixture(autouse=True)
def be(home: Home, monkeypatch: pytest.MonkeyPatch) -> Be:
    """Who types from now on; at first alice."""
    monkeypatch.setenv("GOLDSMITH_HOME", str(home.root))

    def become(caller: Caller) -> None:
        monkeypatch.setattr("builder.registry.database.Database.identify", lambda _self, _claim: caller)

    become(ME)
    return become


def call(*words: str, app: typer.Typer = access.app, code: int = 0) -> str:
    done = CliRunner().invoke(app, list(words))
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    assert done.exit_code == code, done.output
    return done.output


def call_json(*words: str, app: typer.Typer = access.app) -> Any:
    return json.loads(call(*words, "--json", app=app))


def test_given_and_taken_back(web: Registry) -> None:
    given = call("grant", "contributor", "--to", "user:nobody-of-that-name", "--on", "team.gallery/web")
    assert "user:nobody-of-that-name is Contributor of Team.gallery/web." in given
    assert "nobody of the name" in given
    undo = given.split("Undo: build access ")[1].split()
    taken = call(*undo)
    assert "is no longer Contributor of Team.gallery/web" in taken
    assert [one["role"] for one in call_json("list")] == ["Owner"]
    call(*taken.split("Undo: build access ")[1].split())
    assert [(one["role"], one["principal"]) for one in call_json("list", "Team.gallery")] == [
        ("Contributor", "user:nobody-of-that-name")
    ]


def test_what_stays_is_told(web: Registry) -> None:
    for scope, role in (("/", "Reader"), ("Team.gallery", "Contributor"), ("Team.gallery/web", "Owner")):
        call("grant", role, "--to", "group:root", "--on", scope)
    told = call("revoke", "Contributor", "--from", "group:root", "--on", "Team.gallery")
    assert "group:root is still Reader of /." in told
    assert "group:root is still Owner of Team.gallery/web." in told
    call("revoke", "--all", "--below", "--from", "group:root", "--on", "/")
    assert [one["principal"] for one in call_json("list")] == ["user:alice"]


def test_every_form_of_a_scope(publish: Publish) -> None:
    publish("1.0.0")
    for typed, meant in (
        ("/", "/"),
        ("TEAM.gallery", GALLERY),
        ("team.gallery/web", WEB),
        (WEB, WEB),
        ("team.gallery/web/1.0.0", f"{WEB}/versions/1.0.0"),
        ("group:images", f"/subscriptions/{ZEROS}/resourceGroups/images"),
    ):
        made = call_json("grant", "Reader", "--to", "sp:ci", "--on", typed)
        assert made["scope"].casefold() == meant.casefold()
    for wrong in ("a/b/c/d", "team.gallery//"):
        with pytest.raises(UsageError, match="is no scope"):
            call("grant", "Reader", "--to", "sp:ci", "--on", wrong)
    with pytest.raises(NotFoundError, match="no gallery 'none'"):
        call("list", "none")


def test_words_that_are_wrong(web: Registry) -> None:
    with pytest.raises(UsageError, match="no role 'Boss'"):
        call("grant", "Boss", "--to", "user:root", "--on", "/")
    with pytest.raises(UsageError, match="names nobody"):
        call("grant", "Owner", "--to", "root", "--on", "/")
    for words in (("revoke",), ("revoke", "Owner", "--all")):
        with pytest.raises(UsageError, match="Name one role"):
            call(*words, "--from", "user:alice", "--on", "/")
    with pytest.raises(ConflictError, match="last Owner"):
        call("revoke", "Owner", "--from", "user:alice", "--on", "/")


def test_what_somebody_may_and_why(web: Registry) -> None:
    call("grant", "Reader", "--to", "user:bob", "--on", "Team.gallery")
    shown = {one["action"]: one for one in call_json("check", "user:bob", "Team.gallery/web")}
    assert shown["Microsoft.Compute/galleries/images/read"]["why"] == "user:bob is Reader of Team.gallery"
    assert [one["allowed"] for one in shown.values()] == [True, False, False, False, False]
    publishing = "galleries/images/versions/write"
    assert "no" in call("check", "user:bob", "Team.gallery", "--action", publishing, code=1)
    call("check", "user:alice", "Team.gallery", "--action", publishing)
    words = {
        scope: set(call("check", "user:bob", scope).split("\n")[0].split()) for scope in ("/", "group:x")
    }
    assert words["/"] == words["group:x"]


def test_who_one_is(web: Registry, be: Be) -> None:
    assert call_json("whoami")["roles"][0]["scope"] == "/"
    assert "You are user:alice (1000).\nOwner of /" in call("whoami")
    be(Caller("User", "bob", find_groups=lambda: ["devs"]))
    assert "You have no role here yet" in call("whoami")
    web.assign_role(WEB, "Reader", Principal("Group", "devs"))
    told = call("whoami")
    assert "Groups: devs" in told
    assert "Reader of Team.gallery/web through group:devs" in told
    be(Caller("User", "root", owns_store=True))
    assert "The registry itself belongs to you" in call("whoami")


def test_one_who_may_not(web: Registry, be: Be) -> None:
    be(Caller("User", "bob"))
    for words in (
        ("grant", "Owner", "--to", "user:bob", "--on", "Team.gallery"),
        ("revoke", "Owner", "--from", "user:alice", "--on", "/"),
        ("list", "Team.gallery"),
        ("check", "user:alice", "/"),
    ):
        with pytest.raises(AuthorizationError, match=r"Microsoft\.Authorization/roleAssignments"):
            call(*words)
    assert "no roles here that you may see" in call("list")
    assert "no" in call("check", "user:bob", "Team.gallery"), "about oneself everybody may ask"


def test_the_audit(web: Registry, be: Be) -> None:
    be(Caller("User", "bob"))
    with pytest.raises(AuthorizationError):
        call("definition", "show", "Team.gallery/web", app=gallery.app)
    assert "Nothing that you may see" in call("audit", app=gallery.app)
    be(ME)
    denials = call_json("audit", "--denied", "--since", "1h", app=gallery.app)
    # The name of the gallery is asked for first.
    assert [(one["caller"], one["action"]) for one in denials] == [
        ("user:bob", "Microsoft.Compute/galleries/read")
    ]
    assert [one["outcome"] for one in call_json("audit", "--limit", "1", app=gallery.app)] == ["Denied"]
    assert "create_definition: created" in call("audit", "Team.gallery/web", app=gallery.app)
    with pytest.raises(UsageError, match="--since soon: no span of time"):
        call("audit", "--since", "soon", app=gallery.app)
    for endless in ("999999999999d", "9" * 400 + "w", "9" * 20 + "h"):
        with pytest.raises(UsageError, match="no span of time"):
            call("audit", "--since", endless, app=gallery.app)


def test_who_may_see_one_version_sees_its_family(publish: Publish, be: Be) -> None:
    publish("1.0.0")
    publish("1.0.1")
    call("grant", "Reader", "--to", "user:bob", "--on", "team.gallery/web/1.0.0")
    be(Caller("User", "bob"))
    assert [one["label"] for one in call_json("tree", app=gallery.app) if one["kind"] == "version"] == [
        "Team.gallery/web/1.0.0"
    ]
    assert [one["label"] for one in call_json("stale", app=gallery.app)] == ["Team.gallery/web/1.0.0"]


def test_a_forced_deletion_asks_before_anything_is_gone(publish: Publish, web: Registry, be: Be) -> None:
    publish("1.0.0")
    call("grant", "Contributor", "--to", "user:bob", "--on", "team.gallery/web/1.0.0")
    be(Caller("User", "bob"))
    with pytest.raises(AuthorizationError, match="galleries/images/delete"):
        call("definition", "delete", "team.gallery/web", "--force", "--yes", app=gallery.app)
    with pytest.raises(AuthorizationError, match="galleries/delete"):
        call("delete", "team.gallery", "--force", "--yes", app=gallery.app)
    assert [one.version for one in web.list_versions(WEB)] == ["1.0.0"]
