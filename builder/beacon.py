"""A lock for each process that works in a home: who cannot see its pid can see whether it lives.

Containers have pids of their own: 7 in one says nothing about 7 in the other. The kernel's file locks reach
across, and end with the process, however it ends.
"""

from __future__ import annotations

import atexit
import contextlib
import fcntl
import os
import secrets
import time
from pathlib import Path

_NAMESPACE = Path("/proc/self/ns/pid")
# The host's own (PROC_PID_INIT_INO in the kernel's proc_ns.h): the same on every Linux.
_HOSTS_OWN = 0xEFFFFFFC
# A program of ours works in one home, or two; a long-lived one of somebody else's in more.
_MOST_HOMES = 32
# Until then somebody has looked at what names a dead one.
_KEPT_SECONDS = 7 * 24 * 3600.0


class _Own:
    """What this process shows, and where."""

    pid = 0
    token = ""
    folders: list[Path] = []  # noqa: RUF012 - one per process on purpose
    lights: dict[Path, int] = {}  # noqa: RUF012


def pid_namespace() -> str:
    """The namespace of this process's pids (pid_namespaces(7)): a number, "" for the host's own.

    The number of one that ended may be given again; start times tell their processes apart.
    """
    try:
        number = _NAMESPACE.stat().st_ino
    except OSError:  # no /proc of Linux: then there are no containers either
        return ""
    return "" if number == _HOSTS_OWN else str(number)


def token() -> str:
    """A name of this process that no other one has, anywhere."""
    if _Own.pid != os.getpid():  # also after a fork: what is lit then is the parent's
        _Own.pid, _Own.token = os.getpid(), secrets.token_hex(8)
        _Own.lights = {}
    return _Own.token


def look_at(home: Path) -> Path:
    """Look for others in `home` from now on, too. Returns the folder of its beacons."""
    folder = home / ".beacons"
    if folder not in _Own.folders:
        _Own.folders.append(folder)
        del _Own.folders[:-_MOST_HOMES]
    return folder


def light(home: Path) -> None:
    """Show in `home`, until this process ends, that it lives. Harmless to repeat.

    Where it cannot (a full disk, a file system without locks) others cannot tell, and wait longer.
    """
    path = _file(look_at(home), token())
    with contextlib.suppress(OSError):
        if path in _Own.lights and os.path.samestat(path.stat(), os.fstat(_Own.lights[path])):
            return
    with contextlib.suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(descriptor)
            raise
        _keep(path, descriptor)
        _sweep(path.parent)


def lit(name: str) -> bool | None:
    """Whether the process of that `token` lives; None when that cannot be told from here."""
    found = None
    for folder in _Own.folders if name else ():
        try:
            descriptor = os.open(_file(folder, name), os.O_RDONLY | os.O_CLOEXEC)
        except OSError:
            continue
        try:
            # Shared: two who look at once do not take each other for the process.
            fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
            found = False
        except BlockingIOError:
            return True
        except OSError:
            continue
        finally:
            os.close(descriptor)
    return found


def _file(folder: Path, name: str) -> Path:
    return folder / f"{name}.lock"


def _keep(path: Path, descriptor: int) -> None:
    if not _Own.lights:
        atexit.register(_put_out, os.getpid())
    before = _Own.lights.pop(path, None)
    _Own.lights[path] = descriptor
    if before is not None:
        os.close(before)
    while len(_Own.lights) > _MOST_HOMES:
        _drop(next(iter(_Own.lights)))


def _put_out(pid: int) -> None:
    """At the end: what ends in order has nothing left that names it."""
    if pid == os.getpid():
        for path in list(_Own.lights):
            _drop(path)


def _drop(path: Path) -> None:
    descriptor = _Own.lights.pop(path)
    with contextlib.suppress(OSError):
        path.unlink()
    os.close(descriptor)


def _sweep(folder: Path) -> None:
    """Take away what was left by processes that were killed long ago."""
    now = time.time()
    for old in folder.iterdir():
        with contextlib.suppress(OSError):
            if now - old.stat().st_mtime > _KEPT_SECONDS and lit(old.stem) is False:
                old.unlink()
