"""The end of a run on a terminal: the table of steps, the artifacts, the error, the last line."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from builder.ui.failure import error_lines
from builder.ui.phases import COLUMNS, phase_rows
from builder.ui.tally import Tally, closing_line, sizes
from builder.ui.text import clean

if TYPE_CHECKING:
    from rich.console import Console


@dataclass(frozen=True, slots=True)
class Look:
    """How an outcome looks."""

    mark: str
    ascii: str
    style: str
    word: str


LOOKS = {
    "succeeded": Look("✓", "+", "green", "succeeded"),
    "cached": Look("✓", "=", "cyan", "cached"),
    "skipped": Look("○", "o", "dim", "skipped"),
    "failed": Look("✗", "x", "bold red", "failed"),
    "timedout": Look("✗", "x", "bold red", "timed out"),
    "cancelled": Look("■", "!", "yellow", "cancelled"),
}
STATES = {
    "Succeeded": LOOKS["succeeded"],
    "PartiallySucceeded": LOOKS["cancelled"],
    "Canceled": LOOKS["cancelled"],
    "Failed": LOOKS["failed"],
}
ERROR_STYLES = {"error": "red", "detail": "", "output": "dim", "path": "", "hint": ""}


def print_closing(console: Console, tally: Tally, *, ascii_only: bool = False) -> None:
    """Print the end of the run in `tally`, which has seen RunFinished."""
    from rich.text import Text

    console.print()
    if tally.rows:
        _print_steps(console, tally)
    _print_phases(console, tally)
    if tally.artifacts:
        _print_artifacts(console, tally)
    failure = tally.failure()
    if failure:
        # Paths and commands are not folded by us, so that they can be copied whole.
        for kind, text in error_lines(failure):
            line = Text(style=ERROR_STYLES[kind])
            if kind == "error":
                line.append("error: ", style="bold")
            elif kind == "hint":
                line.append("hint: ", style="bold cyan")
            else:
                line.append("    " if kind == "output" else "  ")
            line.append(text)
            console.print(line, soft_wrap=True)
        console.print()
    if tally.finished is not None:
        look = STATES[tally.finished.state]
        mark = look.ascii if ascii_only else look.mark
        console.print(
            Text(f"{mark} {clean(closing_line(tally))}", style=f"{look.style} bold"), soft_wrap=True
        )


def _print_steps(console: Console, tally: Tally) -> None:
    from rich.padding import Padding
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    table.add_column("Step", overflow="fold")
    table.add_column("Time", justify="right", no_wrap=True)
    table.add_column("Result", overflow="fold")
    for row in tally.rows:
        look = LOOKS.get(row.outcome)
        result = Text(look.word if look else "not finished", style=look.style if look else "dim")
        detail = tally.detail_of(row)
        if detail:
            result.append(f"  {detail}", style="dim")
        label = Padding(Text(row.label), (0, 0, 0, 2)) if row.index else Text(row.label, style="bold")
        table.add_row(label, Text(row.time), result)
    console.print(table)
    console.print()


def _print_phases(console: Console, tally: Tally) -> None:
    from rich.table import Table
    from rich.text import Text

    rows = phase_rows(tally.phases.phases, tally.phases.guest, tally.phases.engine)
    if not rows:
        return
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    table.add_column(COLUMNS[0], overflow="fold")
    for name in COLUMNS[1:]:
        table.add_column(name, justify="right", no_wrap=True)
    for row in rows:
        table.add_row(*(Text(cell) for cell in row), style="bold" if row is rows[-1] else "dim")
    console.print(table)
    console.print()


def _print_artifacts(console: Console, tally: Tally) -> None:
    """Path and id each have a line of their own: folded in a cell nobody can copy them."""
    from rich.text import Text

    console.print(Text("Artifacts", style="bold"))
    width = max(len(clean(item.run_output)) for item in tally.artifacts)
    kinds = max(len(clean(item.type)) for item in tally.artifacts)
    for item in tally.artifacts:
        facts = [f"{clean(item.type):<{kinds}}", clean(item.version), sizes(item)]
        head = Text(f"  {clean(item.run_output):<{width}}  ", style="bold green")
        head.append("  ".join(fact for fact in facts if fact), style="not bold default")
        console.print(head)
        for value in (item.path, item.uri, item.id):
            if value:
                console.print(Text(f"    {clean(value)}"), soft_wrap=True)
    console.print()
