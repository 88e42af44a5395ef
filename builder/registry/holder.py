"""Who holds what is being made: a process of this machine, or of another one that shares the registry."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Protocol

from builder import beacon
from builder.owner import UNKNOWN_FOR, Owner, host_boot_id

_MACHINE_ID = Path("/etc/machine-id")


class Held(Protocol):
    """A row that a process holds while it works on it."""

    owner: str
    host: str
    created_at: datetime


def is_held(row: Held) -> bool:
    """Whether the process that holds `row` still runs; on another machine, whether it may."""
    return lives(row.owner, row.host, row.created_at)


def lives(owner: str, host: str, since: datetime | None) -> bool:
    """The same for a holder's parts."""
    process = Owner.from_text(owner)
    if process is None:
        return False
    # A machine without a name is told from others by its boot; a home in common tells in any case.
    here = process.boot_id == host_boot_id() or (host != "" and host == this_host())
    known = process.known_alive() if here else beacon.lit(process.token)
    if known is not None:
        return known
    return since is not None and datetime.now(UTC) - since < UNKNOWN_FOR


@cache
def this_host() -> str:
    """This machine's name for itself (machine-id(5)), which a boot does not change; "" when it has none."""
    try:
        return _MACHINE_ID.read_text().strip()
    except OSError:
        return ""
