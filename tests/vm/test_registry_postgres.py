"""The registry of a team, in a real PostgreSQL server; no VM boots."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from harness import Cli
from postgres_server import Server, postgres
from sqlalchemy import create_engine, text
from test_registry_processes import PRELUDE, WEB, fill

from builder.errors import ConflictError, UsageError
from builder.gc import collect
from builder.registry import holder
from builder.registry.caller import Principal
from builder.registry.errors import AuthorizationError
from builder.registry.postgres import parse
from builder.registry.records import Delivery
from builder.registry.store import Registry, RegistryError
from builder.settings import Home

UNIT = Path(__file__).parents[1] / "unit" / "registry"
# Paths in a registry that homes share are absolute: what is about moving a home is about SQLite.
SQLITE_ONLY = (
    "test_database.py",
    "test_snapshot.py",
    "test_migrate.py",
    "test_cli.py",
    "test_gallery_cli.py",
    "test_access_cli.py",
    "test_rules.py",
)

pytestmark = pytest.mark.timeout(900)


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with postgres() as running:
        yield running


def empty(url: str) -> None:
    """Make the database as it was when the server made it."""
    engine = create_engine(parse(url))
    with engine.begin() as connection:
        connection.execute(text("DROP SCHEMA public CASCADE"))
        connection.execute(text("CREATE SCHEMA public"))
    engine.dispose()


@pytest.fixture
def team(server: Server, tmp_path: Path) -> Iterator[Registry]:
    empty(server.url)
    registry = Registry(Home(tmp_path / "home"), url=server.url)
    fill(registry)
    yield registry
    registry.close()


@pytest.mark.long
def test_every_rule_holds_as_it_does_in_a_file(server: Server) -> None:
    """The unit tests of the registry once more, in processes that have the server's address."""
    argv = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(UNIT)]
    argv += [
        *(f"--ignore={UNIT / name}" for name in SQLITE_ONLY),
        "-k",
        "not home_can_be_moved and not test_the_command",
    ]
    run = subprocess.run(
        argv,
        env={**os.environ, "GOLDSMITH_TEST_REGISTRY_URL": server.url},
        cwd=UNIT.parents[2],
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert run.returncode == 0, run.stdout
    passed = re.search(r"(\d+) passed", run.stdout)
    assert passed is not None
    assert int(passed.group(1)) > 45


def test_no_number_is_given_twice(team: Registry, server: Server) -> None:
    script = f"""{PRELUDE}
registry = Registry(Home(Path(sys.argv[1])), url={server.url!r})
for _ in range(10):
    version = registry.reserve_version(WEB)
    registry.complete_version(version.id, Delivery([], size=1))
    print(version.version, flush=True)
"""
    homes = [team.home.root.with_name(f"home{number}") for number in range(4)]
    children = [
        subprocess.Popen([sys.executable, "-c", script, home], stdout=subprocess.PIPE, text=True)
        for home in homes
    ]
    numbers = [line for child in children for line in child.communicate(timeout=240)[0].split()]
    assert [child.returncode for child in children] == [0] * 4
    assert sorted(numbers, key=lambda n: int(n.split(".")[2])) == [f"0.0.{n}" for n in range(1, 41)]


def test_it_is_made_once(server: Server, team: Registry, tmp_path: Path) -> None:
    empty(server.url)
    with ThreadPoolExecutor(4) as threads:
        opened = list(threads.map(lambda n: Registry(Home(tmp_path / str(n)), url=server.url), range(4)))
    assert [one.list_galleries() for one in opened] == [[]] * 4
    for one in opened:
        one.close()


def test_what_another_machine_holds_is_not_taken(team: Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as elsewhere:
        elsewhere.setattr(holder, "this_host", lambda: "another")
        elsewhere.setattr("builder.registry.versions.current_owner", lambda: "boot-of-another/1/1")
        held = team.reserve_version(WEB, "1.0.0")
    assert team.reclaim().versions == ()
    with pytest.raises(ConflictError, match="is being made by another build"):
        team.reserve_version(WEB, "1.0.0")
    with team._db.write() as session:
        session.execute(text("UPDATE versions SET created_at = '2026-01-01T00:00:00.000000+00:00'"))
    assert team.reclaim().versions == (held.id,)


def test_one_who_only_asks_changes_nothing(team: Registry, server: Server, tmp_path: Path) -> None:
    done = team.reserve_version(WEB, "1.0.0")
    team.complete_version(done.id, Delivery([], size=1))
    copy = Registry(Home(tmp_path / "other"), url=server.url, snapshot=True)
    assert copy.reserve_version(WEB).version == "1.0.1"
    assert [one.version for one in team.list_versions(WEB)] == ["1.0.0"]
    copy.close()


def test_a_newer_form_is_refused(team: Registry, server: Server, tmp_path: Path) -> None:
    with team._db.write() as session:
        session.execute(text("UPDATE alembic_version SET version_num = '0099'"))
    for snapshot in (False, True):
        with pytest.raises(RegistryError, match="written by a newer Goldsmith"):
            Registry(Home(tmp_path / "other"), url=server.url, snapshot=snapshot)


def test_the_command_finds_it_by_the_setting(team: Registry, server: Server, tmp_path: Path) -> None:
    cli = Cli(tmp_path / "mine", tmp_path)
    cli.home.mkdir()
    (cli.home / "settings.toml").write_text(f'registry_url = "{server.url}"\n')
    shown = cli("gallery", "list", "--json")
    assert [one["name"] for one in json.loads(shown.out)] == ["team"], shown.text
    assert not (cli.home / "registry.db").exists()
    assert cli("gc", "--json").code == 0
    (cli.home / "settings.toml").write_text('registry_url = "mysql://me:geheim@there/db"\n')
    wrong = cli("gallery", "list")
    assert (wrong.code, "a shared registry is kept in PostgreSQL" in wrong.text) == (3, True), wrong.text
    assert "geheim" not in wrong.text


@pytest.fixture
def logins(team: Registry, server: Server, tmp_path: Path) -> Iterator[dict[str, str]]:
    """Addresses of alice and bob, who may use the tables; bob is in the role devs."""
    with create_engine(parse(server.url)).begin() as connection:
        for line in (
            "CREATE ROLE images NOLOGIN",
            "CREATE ROLE devs NOLOGIN",
            "CREATE ROLE alice LOGIN IN ROLE images",
            "CREATE ROLE bob LOGIN IN ROLE devs",
            "GRANT images TO devs",
            "GRANT USAGE ON SCHEMA public TO images",
            "GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO images",
            "GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO images",
        ):
            connection.execute(text(line))
    yield {name: server.url.replace("//postgres@", f"//{name}@") for name in ("alice", "bob")}
    with create_engine(parse(server.url)).begin() as connection:
        connection.execute(text("DROP OWNED BY images, devs, alice, bob"))
        connection.execute(text("DROP ROLE alice, bob, devs, images"))


def test_each_login_has_its_own_roles(team: Registry, logins: dict[str, str], tmp_path: Path) -> None:
    """Everybody is whom the database knows them as, in the groups that the database knows."""
    alice = Registry(Home(tmp_path / "alice"), url=logins["alice"])
    bob = Registry(Home(tmp_path / "bob"), url=logins["bob"])
    assert (str(team.caller), team.caller.owns_store) == ("user:postgres", True)
    assert (str(bob.caller), bob.caller.owns_store, bob.caller.groups) == (
        "user:bob",
        False,
        {"devs", "images"},
    )
    assert bob.list_galleries() == []
    with pytest.raises(AuthorizationError, match="The client 'bob'"):
        bob.reserve_version(WEB)
    team.assign_role(WEB, "Contributor", Principal("Group", "devs"))
    assert bob.reserve_version(WEB).created_by == "user:bob"
    with pytest.raises(AuthorizationError, match="The client 'alice'"):
        alice.reserve_version(WEB)
    copy = Registry(Home(tmp_path / "copy"), url=logins["alice"], snapshot=True)
    with pytest.raises(AuthorizationError, match="The client 'alice'"):
        copy.reserve_version(WEB)
    why = team.check_access(
        Principal("User", "bob"), "Microsoft.Compute/galleries/images/versions/write", WEB
    )
    assert why.why == "user:bob is Contributor through group:devs"
    assert [team.is_known(Principal("User", name)) for name in ("bob", "eve")] == [True, False]
    denied = [(one.caller, one.outcome) for one in team.list_audit(denied=True)]
    assert denied == [("user:alice", "Denied"), ("user:bob", "Denied")]
    assert team.list_audit(limit=1)[0].details.startswith("reserve_version (")
    for one in (alice, bob, copy):
        one.close()


def test_an_audit_that_most_only_add_to(
    team: Registry, server: Server, logins: dict[str, str], tmp_path: Path
) -> None:
    with create_engine(parse(server.url)).begin() as connection:
        connection.execute(text("REVOKE UPDATE, DELETE ON audit FROM images"))
        connection.execute(text("UPDATE audit SET at = '2026-01-01T00:00:00.000000+00:00'"))
    bob = Registry(Home(tmp_path / "bob"), url=logins["bob"])
    with pytest.raises(AuthorizationError):
        bob.reserve_version(WEB)
    with pytest.raises(RegistryError, match="permission denied for table audit"):
        bob.prune_audit(90)
    assert collect(bob.home, bob).left == []
    assert len(team.list_audit()) == 3
    assert [item.name for item in collect(team.home, team).removed if item.kind == "audit"] == ["2 lines"]
    bob.close()


def test_a_service_principal_is_proved_by_its_login(
    team: Registry, logins: dict[str, str], tmp_path: Path
) -> None:
    claimed = Registry(Home(tmp_path / "1"), url=logins["bob"], claim="ServicePrincipal:bob")
    assert (str(claimed.caller), claimed.caller.groups) == ("sp:bob", frozenset())
    wrong = Registry(Home(tmp_path / "2"), url=logins["bob"], claim="ServicePrincipal:ci")
    with pytest.raises(UsageError, match="the database knows you as 'bob'"):
        wrong.list_galleries()
    for one in (claimed, wrong):
        one.close()


def test_the_first_of_a_team_owns_it(
    server: Server, team: Registry, logins: dict[str, str], tmp_path: Path
) -> None:
    with team._db.write() as session:
        session.execute(text("DELETE FROM role_assignments"))
    alice = Registry(Home(tmp_path / "alice"), url=logins["alice"])
    bob = Registry(Home(tmp_path / "bob"), url=logins["bob"])
    assert [one.name for one in bob.list_galleries()] == ["team"]
    alice.reserve_version(WEB)
    assert bob.list_galleries() == []
    assert [(one.role, str(one.principal), one.scope) for one in alice.list_roles()] == [
        ("Owner", "user:alice", "/")
    ]
    for one in (alice, bob):
        one.close()


def test_a_server_that_is_gone_is_said(tmp_path: Path) -> None:
    with postgres() as running:
        registry = Registry(Home(tmp_path / "home"), url=running.url)
        running.kill()
        with pytest.raises(RegistryError, match="cannot be used") as caught:
            registry.list_galleries()
        assert "Does the server run" in str(caught.value.hint)
        registry.close()
    with pytest.raises(RegistryError, match="cannot be used"):
        Registry(Home(tmp_path / "home"), url=running.url)


def test_a_password_is_not_shown() -> None:
    url = "postgresql://me:geheim@127.0.0.1:1/db"
    with pytest.raises(RegistryError) as caught:
        Registry(Home(Path("/nowhere")), url=url)
    assert "geheim" not in repr((caught.value.message, caught.value.details, caught.value.hint))
    assert parse(url).drivername == "postgresql+psycopg"
