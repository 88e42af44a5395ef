"""Bringing the tables to the form that this Goldsmith knows (alembic)."""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import (
    Column,
    Connection,
    MetaData,
    PrimaryKeyConstraint,
    String,
    Table,
    column,
    insert,
    inspect,
    select,
    table,
)

from builder.registry.errors import RegistryError
from builder.registry.schema import Base, MetaRow

HEAD = "0004"
"""The newest migration. Known without importing alembic, which costs a tenth of a second."""
_KNOWN = ("0001", "0002", "0003", HEAD)
# As alembic itself makes it.
_VERSION = Table(
    "alembic_version",
    MetaData(),
    Column("version_num", String(32), nullable=False),
    PrimaryKeyConstraint("version_num", name="alembic_version_pkc"),
)
_META = table("meta", column("key"), column("value"))


def found(connection: Connection) -> str | None:
    """The migration that the tables stand at; None when there are none."""
    there = inspect(connection)
    if there.has_table("alembic_version"):
        marked: str | None = connection.scalar(select(_VERSION.c.version_num))
        return marked
    if not there.has_table("meta"):
        return None
    # From before migrations: formats 1 and 2 are what the first two make.
    number: str | None = connection.scalar(select(_META.c.value).where(_META.c.key == "format"))
    return f"{number:0>4}" if number is not None else None


def prepare(connection: Connection, name: str) -> None:
    """Make the tables, or bring them to `HEAD`. The caller holds the write lock and commits.

    Raises RegistryError when a newer Goldsmith made them.
    """
    at = found(connection)
    refuse_newer(at, name)
    if at is None:
        Base.metadata.create_all(connection)
        connection.execute(insert(MetaRow).values(key="format", value=str(int(HEAD))))
        mark(connection)
    elif at != HEAD:
        _alembic(connection, "stamp", at)
        _alembic(connection, "upgrade", HEAD)


def mark(connection: Connection) -> None:
    """Note that the tables stand at `HEAD`: what "stamp" does, without importing alembic."""
    _VERSION.create(connection)
    connection.execute(_VERSION.insert().values(version_num=HEAD))


def refuse_newer(at: str | None, name: str) -> None:
    """Raises RegistryError for tables of a form that is not known here."""
    if at is None or at in _KNOWN:
        return
    raise RegistryError(
        f"The registry {name} was written by a newer Goldsmith "
        f"(format {at.lstrip('0')}, this one knows {int(HEAD)}).",
        hint="Update Goldsmith, or use another home (GOLDSMITH_HOME).",
    )


def _alembic(connection: Connection, verb: str, revision: str) -> None:
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    {"stamp": command.stamp, "upgrade": command.upgrade}[verb](config, revision)
