"""A lock that tells another container whether processes of this one still run.

Containers have pids of their own: 7 in one says nothing about 7 in the other. The kernel's file locks reach
across.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import time
from pathlib import Path

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
_NAMESPACE = Path("/proc/self/ns/pid")
# The host's own (PROC_PID_INIT_INO in the kernel's proc_ns.h): the same on every Linux.
_HOSTS_OWN = 0xEFFFFFFC
_LOOK_SECONDS = 2.0
_PAUSE_SECONDS = 0.01
# A process works in one home, or two while it moves images between them.
_MOST_HOMES = 4

_folders: list[Path] = []
_lights: dict[Path, int] = {}


def pid_namespace() -> str:
    """The namespace of this process's pids (pid_namespaces(7)): a number, "" for the host's own.

    The number of one that ended may be given again; start times tell their processes apart.
    """
    try:
        number = _NAMESPACE.stat().st_ino
    except OSError:  # no /proc of Linux: then there are no containers either
        return ""
    return "" if number == _HOSTS_OWN else str(number)


def look_at(home: Path) -> Path:
    """Look for others in `home` from now on, too. Returns the folder of its beacons."""
    folder = home / ".beacons"
    if folder not in _folders:
        _folders.append(folder)
        del _folders[:-_MOST_HOMES]
    return folder


def light(home: Path) -> None:
    """Show in `home`, until this process ends, that something of its namespace lives. Harmless to repeat.

    Where it cannot (a full disk, a file system without locks) others cannot tell, and wait longer.
    """
    folder = look_at(home)
    with contextlib.suppress(OSError):
        boot = _BOOT_ID.read_text().strip()
        path = _file(folder, boot, pid_namespace())
        if path in _lights and path.exists():
            return
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        if not _shared(descriptor):
            os.close(descriptor)
            return
        _keep(path, descriptor)
        for old in folder.iterdir():
            if not old.name.startswith(boot):  # whoever held it ended with that boot
                old.unlink(missing_ok=True)


def lit(boot: str, namespace: str) -> bool | None:
    """Whether any process of that namespace lives and has lit; None when that cannot be told from here."""
    found = None
    for folder in _folders:
        try:
            descriptor = os.open(_file(folder, boot, namespace), os.O_RDWR | os.O_CLOEXEC)
        except OSError:
            continue
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            found = False
        except BlockingIOError:
            return True
        except OSError:
            continue
        finally:
            os.close(descriptor)
    return found


def _file(folder: Path, boot: str, namespace: str) -> Path:
    return folder / f"{boot}.{namespace or 'host'}.lock"


def _keep(path: Path, descriptor: int) -> None:
    before = _lights.pop(path, None)
    _lights[path] = descriptor
    if before is not None:
        os.close(before)
    while len(_lights) > _MOST_HOMES:
        os.close(_lights.pop(next(iter(_lights))))


def _shared(descriptor: int) -> bool:
    """Take our share; somebody who looks (`lit`) holds it for an instant."""
    end = time.monotonic() + _LOOK_SECONDS
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > end:
                return False
            time.sleep(_PAUSE_SECONDS)
        else:
            return True
