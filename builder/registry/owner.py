"""Who holds a reservation or executes a run: a process, named so that no other can be mistaken for it.

A pid alone is used again; with its start time and the boot it belongs to it is unique (design.md, Traps).
"""

from __future__ import annotations

import os
from pathlib import Path

_PROC = Path("/proc")


def current_owner() -> str:
    """This process as `boot-id/pid/start-time`."""
    pid = os.getpid()
    return f"{_boot_id()}/{pid}/{_start_time(pid)}"


def owner_pid(owner: str) -> int:
    """The pid in an owner name, 0 when it has none."""
    parts = owner.split("/")
    return int(parts[1]) if len(parts) == 3 and parts[1].isdigit() else 0


def is_alive(owner: str) -> bool:
    """Whether that very process still runs. A process of another boot does not."""
    boot, _, rest = owner.partition("/")
    pid, _, started = rest.partition("/")
    if boot != _boot_id() or not pid.isdigit():
        return False
    now = _start_time(int(pid))
    return now != "" and now == started


def _boot_id() -> str:
    try:
        return (_PROC / "sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return "unknown"


def _start_time(pid: int) -> str:
    """Clock ticks since boot (field 22 of proc(5) stat), empty when there is no such process."""
    try:
        text = (_PROC / str(pid) / "stat").read_text()
    except OSError:
        return ""
    # The command name in parentheses may hold spaces and parentheses itself.
    fields = text.rpartition(")")[2].split()
    return "" if fields[0] == "Z" else fields[19]
