from __future__ import annotations

import os
import sqlite3
import stat
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import text

from builder.registry import sqlite
from builder.registry.database import Database
from builder.registry.sqlite import on_network
from builder.registry.store import Registry, RegistryError
from builder.settings import Home
from registry.conftest import gallery
from templates.errors import ExitCode


def test_what_was_written_is_there_for_the_next(home: Home, registry: Registry) -> None:
    made = registry.create_gallery(gallery())
    assert Registry(home).list_galleries() == [made]


def test_a_newer_format_is_refused(home: Home, registry: Registry) -> None:
    registry.close()
    with closing(sqlite3.connect(home.registry)) as connection, connection:
        connection.execute("UPDATE alembic_version SET version_num = '0099'")
    with pytest.raises(RegistryError, match=r"newer Goldsmith \(format 99, this one knows \d+\)") as caught:
        Registry(home)
    assert caught.value.exit_code == ExitCode.ENVIRONMENT


def test_a_damaged_file_is_an_error_a_person_understands(home: Home) -> None:
    home.root.mkdir(parents=True)
    home.registry.write_bytes(b"this is no database at all, not at all" * 100)
    with pytest.raises(RegistryError, match="cannot be used: file is not a database"):
        Registry(home)


def test_a_home_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(RegistryError, match="cannot be made"):
        Registry(Home(tmp_path / "file" / "home"))


def test_a_commit_reaches_the_disk(
    home: Home, monkeypatch: pytest.MonkeyPatch, synchronous_as_shipped: str
) -> None:
    monkeypatch.setattr(sqlite, "SYNCHRONOUS", synchronous_as_shipped)
    with Database(home.registry).read() as session:
        assert session.scalar(text("PRAGMA synchronous")) == 2  # FULL
        assert session.scalar(text("PRAGMA foreign_keys")) == 1


def test_the_log_is_written_ahead_on_a_local_disk(home: Home, registry: Registry) -> None:
    with sqlite3.connect(home.registry) as connection:
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)


MOUNTS = """\
22 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw
30 22 0:40 / /net rw - nfs4 server:/x rw
31 30 254:1 / /net/local\\040disk rw - xfs /dev/vdb rw
32 22 0:41 / /ssh rw - fuse.sshfs host: rw
"""


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/home/me/registry.db", False),
        ("/net/home/registry.db", True),
        ("/net/local disk/registry.db", False),
        ("/network/registry.db", False),
        ("/ssh/registry.db", True),
    ],
)
def test_network_file_systems_are_known(path: str, expected: bool) -> None:
    assert on_network(Path(path), MOUNTS) is expected


@pytest.mark.parametrize(("umask", "mode"), [(0o022, 0o644), (0o002, 0o664), (0o077, 0o600)])
def test_the_umask_says_who_may_write(home: Home, umask: int, mode: int) -> None:
    """SQLite by itself makes files of 0644 at most: no group could share a home."""
    before = os.umask(umask)
    try:
        opened = Registry(home)
        opened.create_gallery(gallery())
        kinds = ("registry.db", "registry.db-wal", "registry.db-shm")
        assert [stat.S_IMODE((home.root / name).stat().st_mode) for name in kinds] == [mode] * 3
        opened.close()
    finally:
        os.umask(before)
