"""Who a process is: pid, start time, boot of the host, the namespace of the pid, and a name of its own."""

from __future__ import annotations

import errno
import os
import signal
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

from builder import beacon

_PROC = Path("/proc")
_BOOT_ID = _PROC / "sys" / "kernel" / "random" / "boot_id"
# So long one of whom nothing can be told, on another machine or in another container, may still be at it:
# AIB's longest build takes 960 minutes.
UNKNOWN_FOR = timedelta(hours=24)
# Fields of /proc/<pid>/stat after the parenthesized name (proc(5) counts from 1, state is 3).
_STATE = 0
_START_TIME = 22 - 3


@dataclass(frozen=True, slots=True)
class Owner:
    """One process of one boot of this host. `start_ticks` are clock ticks since that boot
    (field 22 of /proc/<pid>/stat); together they name a process for ever. `namespace` is that of the
    pid, as `beacon.pid_namespace` tells it: containers that share a home each count from 1. `token` is
    what one of our own shows to those who cannot see its pid (beacon.py).
    """

    pid: int
    start_ticks: int
    boot_id: str
    namespace: str = ""
    token: str = ""

    @classmethod
    def current(cls) -> Owner:
        """This process."""
        me = cls.of(os.getpid())
        if me is None:  # pragma: no cover - /proc is always mounted where QEMU runs
            raise OSError("/proc does not show this process")
        return replace(me, token=beacon.token())

    @classmethod
    def of(cls, pid: int) -> Owner | None:
        """The process that has `pid` now; None when there is none, or only its zombie."""
        ticks = start_ticks(pid)
        return None if ticks is None else cls(pid, ticks, host_boot_id(), beacon.pid_namespace())

    @classmethod
    def from_json(cls, data: Any) -> Owner | None:  # noqa: ANN401 - whatever a file held
        """The owner a file names; None when the record is not one."""
        if not isinstance(data, dict):
            return None
        pid, ticks, boot = data.get("pid"), data.get("startTicks"), data.get("bootId")
        if isinstance(pid, int) and isinstance(ticks, int) and isinstance(boot, str) and pid > 0:
            return cls(pid, ticks, boot, str(data.get("pidNamespace", "")), str(data.get("token", "")))
        return None

    def to_json(self) -> dict[str, Any]:
        """The record `from_json` reads."""
        record = {"pid": self.pid, "startTicks": self.start_ticks, "bootId": self.boot_id}
        more = {"pidNamespace": self.namespace, "token": self.token}
        return record | {name: value for name, value in more.items() if value}

    @classmethod
    def from_text(cls, text: str) -> Owner | None:
        """The owner in a `to_text`; None when the text names none."""
        boot, pid, ticks, namespace, token = (*text.split("/"), "", "", "", "")[:5]
        known = pid.isdigit() and ticks.isdigit()
        return cls(int(pid), int(ticks), boot, namespace, token) if known else None

    def to_text(self) -> str:
        """One text for a column: `boot-id/pid/start-ticks/namespace/token`."""
        return f"{self.boot_id}/{self.pid}/{self.start_ticks}/{self.namespace}/{self.token}"

    @property
    def elsewhere(self) -> bool:
        """Whether its pid means nothing here: another container's, or the host's while we are in one."""
        return self.boot_id != host_boot_id() or self.namespace != beacon.pid_namespace()

    def alive(self) -> bool:
        """Whether this very process still runs (a zombie does not), as far as it can be told."""
        return self.known_alive() is True

    def known_alive(self) -> bool | None:
        """The same; None when nothing tells: a container's, or its host's, and no home in common; or
        another user's on a host that hides those (proc(5), `hidepid`).
        """
        if not self.elsewhere:
            ticks = start_ticks(self.pid)
            if ticks is None and _is_hidden(self.pid):
                return beacon.lit(self.token)
            return ticks == self.start_ticks
        known = beacon.lit(self.token)
        if known is None and not self.namespace and not beacon.pid_namespace():
            return False  # this machine's, before it was started again
        return known

    def signal(self, signum: int) -> bool:
        """Send a signal to this process and no other; False when it is gone.

        The pidfd is opened before the start time is compared, so a pid that is reused in between
        cannot be hit. Raises PermissionError when the process belongs to someone else.
        """
        if self.elsewhere:
            return False
        try:
            descriptor = os.pidfd_open(self.pid)
        except ProcessLookupError:
            return False
        try:
            ticks = start_ticks(self.pid)
            if ticks is None and _is_hidden(self.pid):
                raise PermissionError(errno.EPERM, os.strerror(errno.EPERM))
            if ticks != self.start_ticks:
                return False
            signal.pidfd_send_signal(descriptor, signum)
        except ProcessLookupError:
            return False
        finally:
            os.close(descriptor)
        return True


def current_owner() -> str:
    """This process as the text a registry column holds."""
    return Owner.current().to_text()


def host_boot_id() -> str:
    """A value that changes with every boot of this host."""
    return _BOOT_ID.read_text().strip()


def start_ticks(pid: int) -> int | None:
    """When a process started, in clock ticks since boot; None when it does not run, or is hidden from us."""
    try:
        stat = (_PROC / str(pid) / "stat").read_bytes()
    except (FileNotFoundError, ProcessLookupError, PermissionError):
        return None
    return parse_stat(stat)


def _is_hidden(pid: int) -> bool:
    """Whether /proc may show us nothing of a process that is there: another user's, by `hidepid`."""
    try:
        os.kill(pid, 0)
    except PermissionError:
        return True
    except OSError:
        return False
    return False


def parse_stat(stat: bytes) -> int | None:
    """The start time in a /proc/<pid>/stat line, None for a dead process.

    The name in the second field may hold blanks and parentheses: the last one ends it.
    """
    fields = stat[stat.rfind(b")") + 2 :].split()
    if len(fields) <= _START_TIME or fields[_STATE] in (b"Z", b"X"):
        return None
    return int(fields[_START_TIME])


def uptime_ticks() -> int:
    """Clock ticks since boot, comparable with `start_ticks`."""
    seconds = float((_PROC / "uptime").read_text().split()[0])
    return int(seconds * os.sysconf("SC_CLK_TCK"))


def command_line(pid: int) -> tuple[str, ...]:
    """The arguments of a process; empty when it is gone (or a kernel thread)."""
    try:
        raw = (_PROC / str(pid) / "cmdline").read_bytes()
    except OSError:
        return ()
    return tuple(os.fsdecode(word) for word in raw.split(b"\0") if word)


def find_by_argument(token: str) -> list[Owner]:
    """Processes one of whose arguments is exactly `token`; never this one."""
    found = []
    for entry in _PROC.iterdir():
        if not entry.name.isdigit() or int(entry.name) == os.getpid():
            continue
        if token in command_line(int(entry.name)):
            owner = Owner.of(int(entry.name))
            if owner is not None:
                found.append(owner)
    return found
