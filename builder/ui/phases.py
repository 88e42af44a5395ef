"""The phase table as people see it: what the guest took, what we took, and the sums."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from builder.cli.output import human_seconds
from builder.ui.text import clean

if TYPE_CHECKING:
    from builder.phase_table import Phase
    from builder.run_record import PhaseRecord

COLUMNS = ("Phase", "Guest", "Engine")
# Shorter ones would make the table long and tell nothing; the sums have them.
_LEAST_SHOWN = 0.05


def phase_label(phase: Phase | PhaseRecord) -> str:
    """ "Resolve", "Boot: Restore", "Customize 2: Snapshot"."""
    if phase.stage in ("", phase.name):
        return clean(phase.name)
    number = f" {phase.index}" if phase.index else ""
    return clean(f"{phase.stage}{number}: {phase.name}")


def phase_rows(
    phases: Iterable[Phase | PhaseRecord], guest: float, engine: float
) -> list[tuple[str, str, str]]:
    """Rows under COLUMNS; the sums last. Empty when nothing was counted."""
    rows = []
    for phase in phases:
        if phase.seconds >= _LEAST_SHOWN:
            took = human_seconds(phase.seconds)
            in_guest = phase.where == "guest"
            rows.append((phase_label(phase), took if in_guest else "", "" if in_guest else took))
    return [*rows, ("Sum", human_seconds(guest), human_seconds(engine))] if rows else []


def phase_line(phases: Iterable[Phase | PhaseRecord], guest: float, engine: float) -> str:
    """The same in one line, for logs: they have the table's lines already, as stages and steps."""
    told = [
        f"{phase_label(phase)} {human_seconds(phase.seconds)}"
        for phase in phases
        if phase.seconds >= _LEAST_SHOWN
    ]
    sums = f"Guest {human_seconds(guest)}, engine {human_seconds(engine)}"
    return f"{sums} ({'; '.join(told)})" if told else ""
