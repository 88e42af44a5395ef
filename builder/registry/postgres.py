"""A registry that a team shares, in PostgreSQL."""

from __future__ import annotations

import importlib.util
from typing import Any

from sqlalchemy import URL, Engine, create_engine, event, make_url, text
from sqlalchemy.exc import ArgumentError

from builder.registry.errors import RegistryError

LOCK_SECONDS = 30
CONNECT_SECONDS = 10
STATEMENT_SECONDS = 120
WRITES = "goldsmith_writes"
# One writer at a time in a database, as in SQLite: what was read is still true when something is written.
_LOCK = 0x676F6C64
_INSTALL = "python -m pip install 'psycopg[binary]'"


def parse(address: str) -> URL:
    """The address of a database, with its driver. Raises RegistryError when it is none."""
    try:
        url = make_url(address)
    except ArgumentError as error:
        raise RegistryError("registry_url is no address of a database.", hint=_FORM) from error
    if url.drivername in ("postgres", "postgresql"):
        url = url.set(drivername="postgresql+psycopg")
    if url.drivername != "postgresql+psycopg":
        raise RegistryError(
            f"registry_url names '{url.drivername}'; a shared registry is kept in PostgreSQL.", hint=_FORM
        )
    return url


_FORM = "Write it as postgresql://user:password@host:5432/database, or leave it out for a file in the home."


def engine(url: URL) -> Engine:
    """Raises RegistryError when the driver is missing. Nothing is connected yet."""
    if importlib.util.find_spec("psycopg") is None:
        raise RegistryError("The driver of PostgreSQL is not installed.", hint=_INSTALL)
    made = create_engine(
        url,
        pool_pre_ping=True,
        pool_size=2,
        connect_args={
            "connect_timeout": CONNECT_SECONDS,
            "options": f"-c lock_timeout={LOCK_SECONDS}s -c statement_timeout={STATEMENT_SECONDS}s "
            f"-c idle_in_transaction_session_timeout={STATEMENT_SECONDS}s",
            "application_name": "goldsmith",
        },
    )

    @event.listens_for(made, "begin")
    def _on_begin(connection: Any) -> None:  # noqa: ANN401 - sqlalchemy.Connection
        if connection.get_execution_options().get(WRITES, False):
            connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_LOCK})")
        else:
            connection.exec_driver_sql("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")

    return made


def login(engine: Engine) -> tuple[str, str, bool]:
    """Who is logged in: name and number, and whether they are superuser or the database is theirs. It is
    the session's user: SET ROLE does not make anybody another one.
    """
    with engine.connect() as connection:
        row = connection.execute(text(_LOGIN)).one()
    return str(row[0]), str(row[1]), bool(row[2])


def groups_of(engine: Engine, name: str) -> list[str]:
    """The roles that the role `name` is a member of, directly or through others."""
    with engine.connect() as connection:
        return [str(found) for found in connection.scalars(text(_GROUPS), {"name": name})]


def has_role(engine: Engine, name: str) -> bool:
    """Whether the server has a role of that name."""
    with engine.connect() as connection:
        query = text("SELECT 1 FROM pg_roles WHERE rolname = :name")
        return connection.scalar(query, {"name": name}) is not None


_LOGIN = """
SELECT session_user, r.oid, r.rolsuper OR d.datdba = r.oid
FROM pg_roles r, pg_database d WHERE r.rolname = session_user AND d.datname = current_database()
"""
_GROUPS = """
WITH RECURSIVE above (oid) AS (
    SELECT m.roleid FROM pg_auth_members m JOIN pg_roles r ON r.oid = m.member WHERE r.rolname = :name
    UNION SELECT m.roleid FROM pg_auth_members m JOIN above ON m.member = above.oid
)
SELECT rolname FROM pg_roles JOIN above USING (oid) ORDER BY rolname
"""
