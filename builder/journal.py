"""The write-ahead journal: what exists outside this process's memory, and how it is taken away.

A line is on disk before the resource exists, so whatever dies in between (Ctrl-C, SIGKILL, power)
leaves a list of what may have to go. JSON lines:

    {"op": "intent", "token": T, "kind": "process", "facts": {...}, "bootId": B, "ticks": N}
    {"op": "created", "token": T, "facts": {...}}
    {"op": "gone", "token": T}
"""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from threading import Lock
from typing import Any, Literal, get_args

from builder.owner import Owner, command_line, find_by_argument, host_boot_id, uptime_ticks

Kind = Literal["process", "port", "file", "directory", "blob"]
Outcome = Literal["killed", "deleted", "gone", "left"]

# The order in which things go: who may still write first, containers after contents.
_ORDER: dict[str, int] = {kind: rank for rank, kind in enumerate(get_args(Kind))}
# A token shorter than this could match an innocent argument ("1", "disk").
_MIN_TOKEN = 16
# Names that `disk.extents.clone` gives to what it has not finished.
PART_NAME = re.compile(r"\..+\.[0-9a-f]{8}\.part")
_KILL_WAIT_SECONDS = 5.0
# /proc/uptime has 10 ms, a process start is rounded down: allow a second of both.
_TICK_SLACK = 100


@dataclass(frozen=True, slots=True)
class Entry:
    """One resource. `facts` say where it is: `path` (file, directory), `url` (blob), `port`,
    `program` (process); a blob whose upload has a `note` (builder/blob/note.py) is left to that. Nothing
    makes ports yet. A file with `part` true is an unfinished copy and may lie anywhere. `process` is known
    once `created` was written. `boot_id` and `ticks` (clock ticks since that boot) tell when the intent was
    written.
    """

    kind: Kind
    token: str
    facts: Mapping[str, Any] = field(default_factory=dict)
    process: Owner | None = None
    boot_id: str = ""
    ticks: int = 0


@dataclass(frozen=True, slots=True)
class Reaped:
    """What became of an entry; `note` says why something was left."""

    entry: Entry
    outcome: Outcome
    note: str = ""


class Journal:
    """One journal file, appended to and fsynced line by line; safe from any thread."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = Lock()

    def intent(self, kind: Kind, token: str, **facts: Any) -> None:  # noqa: ANN401 - JSON values
        """Say on disk that `token` is about to exist. A process's token must be one whole argument
        of its command line (QEMU: `-uuid TOKEN`). No secrets in facts: a SAS does not belong here.
        """
        if kind == "process" and len(token) < _MIN_TOKEN:
            raise ValueError(f"a process token needs {_MIN_TOKEN} characters, e.g. a UUID")
        self._append(
            {
                "op": "intent",
                "token": token,
                "kind": kind,
                "facts": facts,
                "bootId": host_boot_id(),
                "ticks": uptime_ticks(),
            }
        )

    def created(self, token: str, *, pid: int | None = None, **facts: Any) -> None:  # noqa: ANN401
        """Say that `token` exists now; for a process, give its pid."""
        owner = Owner.of(pid) if pid is not None else None
        if owner is not None:
            facts["process"] = owner.to_json()
        self._append({"op": "created", "token": token, "facts": facts})

    def gone(self, token: str) -> None:
        """Say that `token` does not exist any more (or never did)."""
        self._append({"op": "gone", "token": token})

    def open_entries(self) -> list[Entry]:
        """What may still exist, oldest first."""
        return replay(self.path)

    def delete(self) -> None:
        """Remove the journal; only when nothing is open any more."""
        self.path.unlink(missing_ok=True)

    def _append(self, record: Mapping[str, Any]) -> None:
        line = json.dumps(record, separators=(",", ":")).encode() + b"\n"
        with self._lock:
            new = not self.path.exists()
            descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
            try:
                # A line torn by a power loss must not swallow the next one.
                if not new and _last_byte(descriptor) not in (b"", b"\n"):
                    line = b"\n" + line
                os.write(descriptor, line)
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
            if new:
                fsync_directory(self.path.parent)


def replay(path: Path) -> list[Entry]:
    """The open entries of a journal file. A torn line is passed over: what it announces was not
    created yet, what it closes is found gone by the reaper.
    """
    try:
        raw = path.read_bytes()
    except FileNotFoundError:
        return []
    entries: dict[str, Entry] = {}
    for line in raw.splitlines():
        try:
            record = json.loads(line)
            token, op = str(record["token"]), record["op"]
            if op == "intent" and record["kind"] in _ORDER:
                entries[token] = Entry(
                    record["kind"],
                    token,
                    dict(record["facts"]),
                    boot_id=str(record["bootId"]),
                    ticks=int(record["ticks"]),
                )
            elif op == "created" and token in entries:
                facts = dict(record["facts"])
                process = Owner.from_json(facts.pop("process", None))
                old = entries[token]
                entries[token] = replace(old, facts={**old.facts, **facts}, process=process or old.process)
            elif op == "gone":
                entries.pop(token, None)
        except (ValueError, KeyError, TypeError):
            continue
    return list(entries.values())


def reap(
    entries: Iterable[Entry],
    *,
    roots: Sequence[Path],
    blobs: Callable[[Entry], None] | None = None,
    budget: float = 60.0,
) -> list[Reaped]:
    """Take away what the entries name: processes first, directories last.

    Files and directories go only strictly inside `roots`; a process is killed only when its
    command line holds the token and its start time fits; `blobs` deletes a remote blob. After
    `budget` seconds the rest is left. Never raises for one entry: the outcome says it.
    """
    end = time.monotonic() + budget
    done = []
    for entry in sorted(entries, key=lambda item: _ORDER[item.kind]):
        if time.monotonic() > end:
            done.append(Reaped(entry, "left", "no time was left"))
            continue
        try:
            done.append(_reap_one(entry, roots, blobs, end))
        except Exception as error:  # one bad entry must not save the others
            done.append(Reaped(entry, "left", f"{type(error).__name__}: {error}"))
    return done


def _reap_one(
    entry: Entry, roots: Sequence[Path], blobs: Callable[[Entry], None] | None, end: float
) -> Reaped:
    if entry.kind == "process":
        return _reap_process(entry)
    if entry.kind == "port":  # a port is free as soon as its process is gone
        return Reaped(entry, "gone")
    if entry.kind == "blob":
        if entry.facts.get("note"):  # the upload's own note goes on with it, or 'build gc' by it
            return Reaped(entry, "gone")
        if blobs is None:
            return Reaped(entry, "left", "no access to the blob store")
        blobs(entry)
        return Reaped(entry, "deleted")
    return _reap_path(entry, Path(str(entry.facts["path"])), roots, end)


def _reap_path(entry: Entry, path: Path, roots: Sequence[Path], end: float) -> Reaped:
    if not os.path.lexists(path):
        return Reaped(entry, "gone")
    if not inside(path, roots) and not _is_part(entry, path):
        return Reaped(entry, "left", f"{path} lies outside of Goldsmith's directories")
    if path.is_dir() and not path.is_symlink():
        remove_tree(path, end)
    else:
        path.unlink(missing_ok=True)
    return Reaped(entry, "deleted")


def _is_part(entry: Entry, path: Path) -> bool:
    """Whether an entry is an unfinished copy at a place of the user's: said so by the distributor
    that drew its name, which nothing of the user's has by chance (disk/extents.py).
    """
    named = entry.kind == "file" and entry.facts.get("part") is True and PART_NAME.fullmatch(path.name)
    return bool(named) and path.is_file() and not path.is_symlink()


def _reap_process(entry: Entry) -> Reaped:
    if entry.boot_id != host_boot_id():
        return Reaped(entry, "gone")
    victims = matching_processes(entry)
    for victim in victims:
        victim.signal(signal.SIGKILL)
    end = time.monotonic() + _KILL_WAIT_SECONDS
    while any(victim.alive() for victim in victims):
        if time.monotonic() > end:
            pids = ", ".join(str(victim.pid) for victim in victims if victim.alive())
            return Reaped(entry, "left", f"process {pids} did not end after SIGKILL")
        time.sleep(0.02)
    return Reaped(entry, "killed" if victims else "gone")


def matching_processes(entry: Entry) -> list[Owner]:
    """The live processes of a process entry.

    The one whose `created` line was written is known by pid and start time and must still carry
    the token. Others (the line was never written) carry the token as a whole argument, started
    after the intent and, when the intent names a program, run it.
    """
    victims: dict[int, Owner] = {}
    known = entry.process
    if known is not None and known.alive() and any(entry.token in word for word in command_line(known.pid)):
        victims[known.pid] = known
    for owner in find_by_argument(entry.token):
        if owner.start_ticks + _TICK_SLACK >= entry.ticks and _runs(owner, entry.facts.get("program")):
            victims[owner.pid] = owner
    return list(victims.values())


def _runs(owner: Owner, program: object) -> bool:
    # setpriv precedes the program for an instant, so its name may stand further on in the arguments.
    return not program or any(Path(word).name == program for word in command_line(owner.pid))


def inside(path: Path, roots: Sequence[Path]) -> bool:
    """Whether `path` lies strictly inside one of `roots`, symbolic links of its parents followed."""
    real = Path(os.path.realpath(path.parent)) / path.name
    if path.name in ("", ".", ".."):
        return False
    return any(Path(os.path.realpath(root)) in real.parents for root in roots)


def remove_tree(path: Path, end: float) -> None:
    """Remove a directory; raises TimeoutError once the monotonic clock passes `end`."""

    def visit(directory: Path) -> None:
        with os.scandir(directory) as items:
            children = list(items)
        for child in children:
            if time.monotonic() > end:
                raise TimeoutError(f"{path} could not be removed in time")
            if child.is_dir(follow_symlinks=False):
                visit(Path(child.path))
            else:
                Path(child.path).unlink(missing_ok=True)
        directory.rmdir()

    try:
        visit(path)
    except PermissionError:
        # Trees with read-only directories (unpacked root file systems) need the slower way.
        shutil.rmtree(path, onerror=_make_writable)


def _make_writable(function: Callable[..., Any], path: str, _info: object) -> None:
    Path(path).parent.chmod(0o700)
    if Path(path).is_dir() and not Path(path).is_symlink():
        Path(path).chmod(0o700)
        shutil.rmtree(path)
    else:
        function(path)


def fsync_directory(path: Path) -> None:
    """Make a new or renamed entry of a directory survive a power loss."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _last_byte(descriptor: int) -> bytes:
    size = os.fstat(descriptor).st_size
    return os.pread(descriptor, 1, size - 1) if size else b""
