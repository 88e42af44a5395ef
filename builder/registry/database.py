"""The database under the registry: one SQLite file that several processes may use at once."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, create_engine, event, inspect
from sqlalchemy.exc import DatabaseError
from sqlalchemy.orm import Session
from sqlalchemy.pool import StaticPool

from builder.errors import EnvironmentProblem
from builder.registry.schema import Base, MetaRow

FORMAT = 2
"""1: without data disks, which a Goldsmith that knows only that would take for orphans."""
_BUSY_SECONDS = 30
# A version that was reported must outlive a power cut; its files are synced before it is recorded.
SYNCHRONOUS = "FULL"
_IMMEDIATE = "goldsmith_immediate"
# Shared memory of the write-ahead log does not work across machines (sqlite.org/wal.html, section 8).
_NETWORK = {
    "nfs",
    "nfs4",
    "cifs",
    "smb3",
    "smbfs",
    "9p",
    "afs",
    "ceph",
    "glusterfs",
    "lustre",
    "virtiofs",
    "vboxsf",
}


class RegistryError(EnvironmentProblem):
    """The registry cannot be read or written."""

    code = "Registry"


class Database:
    """Opens (and the first time makes) the registry; or a copy in memory (`snapshot`), which leaves the
    file as it is. Raises RegistryError when that cannot be.
    """

    def __init__(self, path: Path, *, snapshot: bool = False) -> None:
        self.path = path
        if snapshot:
            # One connection for all: in memory each would be a database of its own.
            self._engine = create_engine("sqlite://", creator=partial(_copy, path), poolclass=StaticPool)
        else:
            _make_folder(path.parent)
            self._engine = create_engine(f"sqlite:///{path}", connect_args={"timeout": _BUSY_SECONDS})
        _listen(self._engine, "DELETE" if on_network(path) else "WAL")
        with self._translated():
            self._prepare()

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
        engine = self._engine.execution_options(**{_IMMEDIATE: True})
        with self._translated(), Session(engine, expire_on_commit=False) as session, session.begin():
            yield session

    def close(self) -> None:
        """Let go of the file."""
        self._engine.dispose()

    def _prepare(self) -> None:
        with self.read() as session:
            known = inspect(session.connection()).has_table("meta")
            row = session.get(MetaRow, "format") if known else None
            found = row.value if row else None
        if found is None:
            with self.write() as session:
                Base.metadata.create_all(session.connection())
                if session.get(MetaRow, "format") is None:
                    session.add(MetaRow(key="format", value=str(FORMAT)))
            return
        if not found.isdigit() or int(found) > FORMAT:
            raise RegistryError(
                f"The registry {self.path} was written by a newer Goldsmith "
                f"(format {found}, this one knows {FORMAT}).",
                hint="Update Goldsmith, or use another home (GOLDSMITH_HOME).",
            )
        if int(found) < FORMAT:
            self._migrate()

    def _migrate(self) -> None:
        """From format 1: there is a table more, and nothing in it."""
        with self.write() as session:
            row = session.get(MetaRow, "format")
            if row is not None and int(row.value) < FORMAT:  # else another process was faster
                Base.metadata.create_all(session.connection())
                row.value = str(FORMAT)

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except DatabaseError as error:
            raise RegistryError(
                f"The registry {self.path} cannot be used: {error.orig}.",
                hint="Is the file writable and the disk not full? Another process may hold it for long; "
                "a damaged file can be moved away; take the VHDs out of images/ and regions/ then, before "
                "'build gc' clears what no entry names.",
            ) from error


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise RegistryError(
            f"The folder {folder} cannot be made: {error.strerror}.", hint="Set GOLDSMITH_HOME."
        ) from error


def _copy(path: Path) -> sqlite3.Connection:
    """What the file holds at this moment, in memory; nothing when there is no file."""
    end = time.monotonic() + _BUSY_SECONDS

    def lose_patience(status: int, _left: int, _all: int) -> None:  # the driver itself would wait for ever
        if status in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED) and time.monotonic() >= end:
            raise sqlite3.OperationalError("database is locked")

    memory = sqlite3.connect(":memory:", check_same_thread=False)
    if path.exists():
        # "rw", though nothing is written: a last reader that may not write leaves the log's files behind.
        address = f"{path.absolute().as_uri()}?mode=rw"
        with closing(sqlite3.connect(address, uri=True, timeout=_BUSY_SECONDS)) as file:
            file.backup(memory, progress=lose_patience)
    return memory


def _listen(engine: Engine, journal: str) -> None:
    @event.listens_for(engine, "connect")
    def _on_connect(connection: Any, _record: Any) -> None:  # noqa: ANN401 - a DBAPI connection
        # The driver's own transactions begin too late and never IMMEDIATE; ours begin below.
        connection.isolation_level = None
        cursor = connection.cursor()
        cursor.execute(f"PRAGMA journal_mode={journal}")
        cursor.execute(f"PRAGMA synchronous={SYNCHRONOUS}")
        cursor.execute("PRAGMA foreign_keys=ON")
        cursor.close()

    @event.listens_for(engine, "begin")
    def _on_begin(connection: Any) -> None:  # noqa: ANN401 - sqlalchemy.Connection
        immediate = connection.get_execution_options().get(_IMMEDIATE, False)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if immediate else "BEGIN")


def on_network(path: Path, mounts: str | None = None) -> bool:
    """Whether `path` lies on a network file system, by the mount table (proc_pid_mountinfo(5))."""
    try:
        table = mounts if mounts is not None else Path("/proc/self/mountinfo").read_text()
    except OSError:
        return False
    kind, longest = "", -1
    target = path.absolute()
    for line in table.splitlines():
        left, _, right = line.partition(" - ")
        fields = left.split(" ")
        if len(fields) < 5 or not right:
            continue
        point = Path(fields[4].replace("\\040", " "))
        if target.is_relative_to(point) and len(str(point)) >= longest:
            kind, longest = right.split(" ")[0], len(str(point))
    return kind in _NETWORK or kind.startswith("fuse.")
