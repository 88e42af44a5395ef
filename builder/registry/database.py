"""The database under the registry: a SQLite file in the home, or PostgreSQL for a team."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import Engine, insert, select
from sqlalchemy.exc import DBAPIError

from builder.errors import UsageError
from builder.registry import caller, migrate, postgres, sqlite
from builder.registry.caller import Caller, Principal
from builder.registry.errors import RegistryError
from builder.registry.schema import AuditRow, Base
from builder.registry.watch import WatchedSession

if TYPE_CHECKING:
    from builder.registry.guard import Guard

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
        self._calls = threading.local()
        self.name = self._url.render_as_string(hide_password=True) if self._url else str(path)
        with self._translated():
            self._engine  # noqa: B018 - opened, and brought up to date, now

    @property
    def is_shared(self) -> bool:
        """Whether other machines use it as well: a path in it means nothing without its machine."""
        return self._url is not None

    @contextmanager
    def under(self, guard: Guard) -> Iterator[None]:
        """What this thread opens meanwhile is opened for that call: its roles are looked up there."""
        before = self._guard
        self._calls.guard = guard
        try:
            yield
        finally:
            self._calls.guard = before

    @contextmanager
    def read(self) -> Iterator[WatchedSession]:
        """A session that only reads: one consistent view."""
        made = WatchedSession(self._engine, expire_on_commit=False)
        with self._translated(), made as session, session.begin():
            if self._guard is not None:
                self._guard.enter(session, writes=False)
            yield session

    @contextmanager
    def write(self) -> Iterator[WatchedSession]:
        """A session that holds the write lock from its start, so what it read is still true when it
        writes. Commits at the end, rolls back on any error.
        """
        engine = self._engine.execution_options(**_WRITES)
        made = WatchedSession(engine, expire_on_commit=False)
        with self._translated(), made as session, session.begin():
            if self._guard is not None:
                self._guard.enter(session, writes=True)
            yield session
            if self._guard is not None:
                self._guard.leave(session)

    def identify(self, claim: str = "") -> Caller:
        """Who uses it: the operating system's user or, of a database, the one who logged in; with `claim`
        a service principal. Raises UsageError for a claim that the database contradicts.
        """
        found = self._logged_in() if self._url is not None else caller.of_system(self._file_owner())
        if not claim:
            return found
        principal = caller.claimed(claim)
        if self._url is not None and principal.name != found.name:
            raise UsageError(
                f"The setting caller claims to be {principal}, but the database knows you as '{found.name}'.",
                hint=f"Log in as '{principal.name}' (registry_url), or leave the setting out.",
            )
        return replace(found, kind=principal.kind, name=principal.name, find_groups=tuple, owns_store=False)

    def groups_of(self, name: str) -> list[str]:
        """The groups that somebody is in: roles of a database, else of the operating system."""
        if self._url is None:
            return caller.groups_of(name)
        with self._server() as server:
            return postgres.groups_of(server, name)

    def knows(self, principal: Principal) -> bool:
        """Whether there is a user or group of that name."""
        if self._url is None:
            return caller.is_known(principal)
        with self._server() as server:
            return postgres.has_role(server, principal.name)

    def owns(self, name: str) -> bool:
        """Whether the registry itself belongs to the user called `name`."""
        if self._url is not None:
            return self.identify().name == name and self.identify().owns_store
        uid = caller.user_id(name)
        return uid is not None and uid in (0, self._file_owner())

    @property
    def _guard(self) -> Guard | None:
        found: Guard | None = getattr(self._calls, "guard", None)
        return found

    def _file_owner(self) -> int | None:
        try:
            return self._path.stat().st_uid
        except OSError:
            return None

    @contextmanager
    def _server(self) -> Iterator[Engine]:
        """The database itself, also behind a copy of it."""
        assert self._url is not None  # noqa: S101 - only asked then
        with self._translated():
            if not self._snapshot:
                yield self._engine
                return
            engine = postgres.engine(self._url)
            try:
                yield engine
            finally:
                engine.dispose()

    def _logged_in(self) -> Caller:
        with self._server() as server:
            name, number, owns = postgres.login(server)
        return Caller(
            "User",
            name,
            find_groups=lambda: self.groups_of(name),
            object_id=number,
            origin=caller.of_system(None).origin,
            owns_store=owns,
        )

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
                    if table is AuditRow.__table__:
                        continue  # long, and nobody asks a copy for it
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
