"""The database under the registry: a SQLite file in the home, or PostgreSQL for a team."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path

from sqlalchemy import Engine, insert, select
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from builder.registry import migrate, postgres, sqlite
from builder.registry.errors import RegistryError
from builder.registry.schema import Base

__all__ = ["Database", "RegistryError"]

_WRITES = {sqlite.IMMEDIATE: True, postgres.WRITES: True}


class Database:
    """Opens (and the first time makes) the registry: the file `path`, or the database at `url`.

    With `snapshot` it is a copy in memory, taken when it is first used, which leaves the original as it
    is. Raises RegistryError when that cannot be.
    """

    def __init__(self, path: Path, url: str | None = None, *, snapshot: bool = False) -> None:
        self._path = path
        self._snapshot = snapshot
        self._url = postgres.parse(url) if url else None
        self.name = self._url.render_as_string(hide_password=True) if self._url else str(path)
        with self._translated():
            self._engine  # noqa: B018 - opened, and brought up to date, now

    @property
    def is_shared(self) -> bool:
        """Whether other machines use it as well: a path in it means nothing without its machine."""
        return self._url is not None

    @contextmanager
    def read(self) -> Iterator[Session]:
        """A session that only reads: one consistent view."""
        with self._translated(), Session(self._engine, expire_on_commit=False) as session, session.begin():
            yield session

    @contextmanager
    def write(self) -> Iterator[Session]:
        """A session that holds the write lock from its start, so what it read is still true when it
        writes. Commits at the end, rolls back on any error.
        """
        engine = self._engine.execution_options(**_WRITES)
        with self._translated(), Session(engine, expire_on_commit=False) as session, session.begin():
            yield session

    def close(self) -> None:
        """Let go of it; a later call opens it again."""
        if "_engine" in self.__dict__:
            self._engine.dispose()
            del self._engine

    @cached_property
    def _engine(self) -> Engine:
        made = self._open()
        with made.begin() as connection:
            at = migrate.found(connection)
        migrate.refuse_newer(at, self.name)
        if at != migrate.HEAD:
            with made.execution_options(**_WRITES).begin() as connection:
                migrate.prepare(connection, self.name)
        return made

    def _open(self) -> Engine:
        if self._url is None:
            return sqlite.engine_in_memory(self._path) if self._snapshot else sqlite.engine(self._path)
        server = postgres.engine(self._url)
        return _copied(server, self.name) if self._snapshot else server

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except DBAPIError as error:
            raise RegistryError(
                f"The registry {self.name} cannot be used: {_first_line(error)}.",
                hint="Does the server run, is the network there, and may this user use the database? "
                "registry_url says where it is."
                if self._url is not None
                else "Is the file writable and the disk not full? Another process may hold it for long; "
                "a damaged file can be moved away; take the VHDs out of images/ and regions/ then, before "
                "'build gc' clears what no entry names.",
            ) from error


def _copied(server: Engine, name: str) -> Engine:
    """All rows of a server's registry, in memory. Raises RegistryError when it has another form."""
    memory = sqlite.engine_in_memory(None)
    try:
        with server.connect() as source, memory.begin() as target:
            at = migrate.found(source)
            if at not in (None, migrate.HEAD):
                migrate.refuse_newer(at, name)
                raise RegistryError(
                    f"The registry {name} has an older form (format {at.lstrip('0')}).",
                    hint="Any other command brings it up to date, for example 'build gallery list'.",
                )
            if at is not None:
                Base.metadata.create_all(target)
                for table in Base.metadata.sorted_tables:
                    rows = [dict(row) for row in source.execute(select(table)).mappings()]
                    if rows:
                        target.execute(insert(table), rows)
                migrate.mark(target)
    finally:
        server.dispose()
    return memory


def _first_line(error: DBAPIError) -> str:
    lines = str(error.orig).strip().splitlines() or ["no reason given"]
    return lines[0].rstrip(".")
