"""A copy of the registry in memory: all its rules, and nothing on disk changes."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from builder.errors import ConflictError, NotFoundError
from builder.registry import sqlite
from builder.registry.database import RegistryError
from builder.registry.store import Registry
from builder.settings import Home
from registry.conftest import WEB, Publish, definition, gallery


def names(home: Home) -> list[Path]:
    return sorted(home.root.rglob("*"))


def test_of_nothing_is_empty(home: Home) -> None:
    copy = Registry(home, snapshot=True)
    assert copy.list_galleries() == []
    copy.create_gallery(gallery(location="local"))
    copy.create_definition(definition())
    assert copy.reserve_version(WEB).version == "0.0.1"
    assert copy.reserve_version(WEB).version == "0.0.2"
    assert not home.root.exists()


def test_what_is_done_in_it_stays_in_it(web: Registry, publish: Publish, home: Home) -> None:
    publish("1.0.0")
    copy = Registry(home, snapshot=True)
    with pytest.raises(ConflictError, match="already exists"):
        copy.reserve_version(WEB, "1.0.0")
    held = copy.reserve_version(WEB)
    assert held.version == "1.0.1"
    assert copy.abandon_version(held.id)
    assert [one.version for one in web.list_versions()] == ["1.0.0"]
    assert web.reserve_version(WEB).version == "1.0.1"
    assert [one.version for one in copy.list_versions()] == ["1.0.0"], "it is a picture of one moment"


def test_no_file_is_left_beside_the_registry(web: Registry, home: Home) -> None:
    web.close()
    before, content = names(home), home.registry.read_bytes()
    copy = Registry(home, snapshot=True)
    assert copy.find_definition(WEB).name == "web"
    copy.close()
    assert names(home) == before
    assert home.registry.read_bytes() == content


def test_a_damaged_file_is_said(home: Home) -> None:
    home.root.mkdir()
    home.registry.write_bytes(b"no database, but long enough to be read as the head of one" * 20)
    with pytest.raises(RegistryError, match="cannot be used"):
        Registry(home, snapshot=True)


def test_a_file_that_stays_locked_is_not_waited_for_without_end(
    web: Registry, home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    web.close()
    monkeypatch.setattr(sqlite, "BUSY_SECONDS", 0.1)
    with closing(sqlite3.connect(home.registry, isolation_level=None)) as holder:
        holder.execute("PRAGMA journal_mode=DELETE")
        holder.execute("BEGIN EXCLUSIVE")
        with pytest.raises(RegistryError, match="locked"):
            Registry(home, snapshot=True)


def test_closed_and_asked_again(web: Registry, home: Home) -> None:
    copy = Registry(home, snapshot=True)
    copy.delete_definition(WEB)
    with pytest.raises(NotFoundError):
        copy.find_definition(WEB)
    copy.close()
    assert copy.find_definition(WEB).name == "web", "a new copy of what is on disk"
