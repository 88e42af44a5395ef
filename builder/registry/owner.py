"""The process that holds a reservation or executes a run, as one text for a column."""

from __future__ import annotations

from builder.owner import Owner


def current_owner() -> str:
    """This process as `boot-id/pid/start-ticks`."""
    owner = Owner.current()
    return f"{owner.boot_id}/{owner.pid}/{owner.start_ticks}"


def owner_pid(text: str) -> int:
    """The pid in an owner text, 0 when it is none."""
    owner = _parse(text)
    return owner.pid if owner else 0


def is_alive(text: str) -> bool:
    """Whether that very process still runs; a text that names none is dead."""
    owner = _parse(text)
    return owner is not None and owner.alive()


def _parse(text: str) -> Owner | None:
    boot, _, rest = text.partition("/")
    pid, _, ticks = rest.partition("/")
    return Owner(int(pid), int(ticks), boot) if pid.isdigit() and ticks.isdigit() else None
