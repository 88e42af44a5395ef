"""A registry in one SQLite file, which several processes of a machine may use at once."""

from __future__ import annotations

import sqlite3
import time
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, create_engine, event
from sqlalchemy.pool import StaticPool

from builder.registry.errors import RegistryError

BUSY_SECONDS = 30.0
# A version that was reported must outlive a power cut; its files are synced before it is recorded.
SYNCHRONOUS = "FULL"
IMMEDIATE = "goldsmith_immediate"
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


def engine(path: Path) -> Engine:
    """Opens the file, or makes it. Raises RegistryError when its folder cannot be made."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if not path.exists():
            # SQLite itself would deny the group to write, whatever the umask says; its log takes our mode.
            path.touch(mode=0o666)
    except OSError as error:
        raise RegistryError(
            f"The registry {path} cannot be made: {error.strerror}.", hint="Set GOLDSMITH_HOME."
        ) from error
    made = create_engine(f"sqlite:///{path}", connect_args={"timeout": BUSY_SECONDS})
    _listen(made, "DELETE" if on_network(path) else "WAL")
    return made


def engine_in_memory(path: Path | None) -> Engine:
    """A copy of what the file holds at the moment it is first used; empty without a file."""
    # One connection for all: in memory each would be a database of its own.
    made = create_engine("sqlite://", creator=partial(_copy, path), poolclass=StaticPool)
    _listen(made, "WAL")
    return made


def _copy(path: Path | None) -> sqlite3.Connection:
    end = time.monotonic() + BUSY_SECONDS

    def lose_patience(status: int, _left: int, _all: int) -> None:  # the driver itself would wait for ever
        if status in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED) and time.monotonic() >= end:
            raise sqlite3.OperationalError("database is locked")

    memory = sqlite3.connect(":memory:", check_same_thread=False)
    if path is not None and path.exists():
        # "rw", though nothing is written: a last reader that may not write leaves the log's files behind.
        address = f"{path.absolute().as_uri()}?mode=rw"
        with closing(sqlite3.connect(address, uri=True, timeout=BUSY_SECONDS)) as file:
            file.backup(memory, progress=lose_patience)
    return memory


def _listen(made: Engine, journal: str) -> None:
    @event.listens_for(made, "connect")
    def _on_connect(connection: Any, _record: Any) -> None:  # noqa: ANN401 - a DBAPI connection
        # The driver's own transactions begin too late and never IMMEDIATE; ours begin below.
        connection.isolation_level = None
        cursor = connection.cursor()
        cursor.execute(f"PRAGMA journal_mode={journal}")
        cursor.execute(f"PRAGMA synchronous={SYNCHRONOUS}")
        cursor.execute("PRAGMA foreign_keys=ON")
        cursor.close()

    @event.listens_for(made, "begin")
    def _on_begin(connection: Any) -> None:  # noqa: ANN401 - sqlalchemy.Connection
        immediate = connection.get_execution_options().get(IMMEDIATE, False)
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
