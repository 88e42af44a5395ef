"""From every format there was to the one there is."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection, create_engine, text
from sqlalchemy.pool import StaticPool

from builder.registry import migrate
from builder.registry.caller import Caller, Principal
from builder.registry.errors import AuthorizationError
from builder.registry.migrations import versions
from builder.registry.schema import Base
from builder.registry.store import Registry
from builder.settings import Home
from registry.conftest import GALLERY, IMAGE, WEB, image_record, open_registry, with_data_disks


@pytest.fixture
def connection() -> Iterator[Connection]:
    engine = create_engine("sqlite://", poolclass=StaticPool)
    with engine.begin() as opened:
        yield opened
    engine.dispose()


def at_format(home: Home, number: int) -> None:
    """A registry as a Goldsmith of that format left it: one definition with a version in two regions."""
    home.root.mkdir(parents=True)
    engine = create_engine(f"sqlite:///{home.registry}")
    with engine.begin() as opened:
        migrate._alembic(opened, "upgrade", f"{number:04}")
        opened.execute(text("DROP TABLE alembic_version"))
        opened.execute(text(f"INSERT INTO meta VALUES ('format', '{number}')"))
        gallery, web = GALLERY.lower(), WEB.lower()
        opened.execute(
            text(
                "INSERT INTO galleries VALUES "
                f"('{gallery}', '{GALLERY}', 'Team.gallery', 'team.gallery', 'Images', 'westus', 'ours', "
                "'{}', '2026-01-02T03:04:05.000000+00:00')"
            )
        )
        opened.execute(
            text(
                f"INSERT INTO definitions VALUES ('{web}', '{WEB}', 'web', '{gallery}', 'westus', 'Linux', "
                "'Generalized', 'V2', 'x64', 'me', 'web', '1', 'me/web/1', '[]', '', NULL, NULL, '{}', "
                "'2026-01-02T03:04:05.000000+00:00')"
            )
        )
        opened.execute(
            text(
                f"INSERT INTO versions VALUES ('{web}/versions/1.0.0', '{WEB}/versions/1.0.0', '{web}', "
                "1, 0, 0, 'Succeeded', 'b/1/1', 'run', 0, 'Full', 4, 'd', 's', 't', '{}', "
                "'2026-01-02T03:04:05.000000+00:00', '2026-01-02T03:04:06.000000+00:00')"
            )
        )
        for identity, region, count in ((1, "westus", 1), (2, "eastus", 2)):
            opened.execute(
                text(
                    f"INSERT INTO replicas VALUES ({identity}, '{web}/versions/1.0.0', '{region}', "
                    f"'{region}', {count}, 'Standard_LRS', 'regions/{region}/os.vhd', 4096, NULL)"
                )
            )
    engine.dispose()


def test_the_migrations_make_what_the_models_say(connection: Connection) -> None:
    migrate._alembic(connection, "upgrade", migrate.HEAD)
    context = MigrationContext.configure(connection)
    assert compare_metadata(context, Base.metadata) == []


def test_a_new_registry_stands_at_the_newest(connection: Connection) -> None:
    migrate.prepare(connection, "it")
    assert migrate.found(connection) == migrate.HEAD
    context = MigrationContext.configure(connection)
    assert context.get_current_revision() == migrate.HEAD
    assert compare_metadata(context, Base.metadata) == []


def test_the_newest_is_the_last_of_the_files() -> None:
    numbers = sorted(path.name[1:5] for path in Path(versions.__file__).parent.glob("m*.py"))
    assert numbers[-1] == migrate.HEAD
    assert tuple(numbers) == migrate._KNOWN


@pytest.mark.parametrize("number", [1, 2])
def test_an_older_registry_keeps_all_it_has(home: Home, number: int) -> None:
    at_format(home, number)
    opened = Registry(home)
    version = opened.find_version(f"{WEB}/versions/latest")
    assert (version.version, version.tags, version.size) == ("1.0.0", {}, 4)
    assert [(one.region, one.count) for one in version.replicas] == [("westus", 1), ("eastus", 2)]
    opened.put_image(with_data_disks(image_record(home), 0))
    assert [disk.lun for disk in opened.find_image(IMAGE).data_disks] == [0]
    opened.close()
    with closing(sqlite3.connect(home.registry)) as file:
        assert file.execute("SELECT value FROM meta").fetchall() == [(str(int(migrate.HEAD)),)], (
            "for a Goldsmith of before"
        )
        copies = file.execute("SELECT replica_id, number, location, state FROM copies").fetchall()
        states = file.execute("SELECT region, state, usable FROM replicas").fetchall()
    assert copies == [
        (1, 1, "regions/westus/os.vhd", "Completed"),
        (2, 1, "regions/eastus/os.vhd", "Completed"),
    ]
    assert states == [("westus", "Completed", 1), ("eastus", "Replicating", 1)]


def test_one_who_only_looks_changes_nothing(home: Home) -> None:
    at_format(home, 2)
    before = home.registry.read_bytes()
    copy = Registry(home, snapshot=True)
    assert [one.version for one in copy.list_versions(WEB)] == ["1.0.0"]
    copy.close()
    assert [one.version for one in copy.list_versions(WEB)] == ["1.0.0"], "opened again"
    copy.close()
    assert home.registry.read_bytes() == before


def test_a_migration_that_fails_changes_nothing(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    at_format(home, 2)
    with closing(sqlite3.connect(home.registry)) as file, file:
        file.execute("CREATE TABLE audit (it INTEGER)")  # what the last step of the migration makes
    with pytest.raises(Exception, match="audit already exists"):
        Registry(home)
    with closing(sqlite3.connect(home.registry)) as file:
        tables = {name for (name,) in file.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
        assert "copies" not in tables
        assert file.execute("SELECT value FROM meta").fetchall() == [("2",)]


def test_a_registry_from_before_roles_is_its_owners(web: Registry, home: Home) -> None:
    with closing(sqlite3.connect(home.registry)) as file, file:
        file.execute("DELETE FROM role_assignments")
    mine = Principal("User", "bob")
    bob = open_registry(home, Caller("User", "bob", landlord=mine))
    carol = open_registry(home, Caller("User", "carol", landlord=mine))
    assert carol.find_gallery(GALLERY).id == GALLERY, "until somebody has written to it"
    with pytest.raises(AuthorizationError):
        carol.reserve_version(WEB)
    assert bob.list_roles() == []
    bob.reserve_version(WEB)
    assert [(one.role, one.scope, one.principal) for one in bob.list_roles()] == [("Owner", "/", mine)]
    bob.close()
    carol.close()
