"""Rich consoles and tables with our conventions: nothing from outside is ever markup."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from rich.console import Console

_NUMERIC = re.compile(r"^-?[\d.,]*\d( ?([KMGTP]i)?B| ?s| min.*| h.*| ?%)?$")
# A pipe has no width: wide enough that no row is ever folded.
_PIPE_WIDTH = 10_000
_SHORT = 28


def make_console(file: TextIO, *, width: int | None = None, force_terminal: bool | None = None) -> Console:
    """A console that takes text literally (no markup, no emoji codes, no guessing at highlights)."""
    from rich.console import Console

    return Console(
        file=file,
        width=width,
        force_terminal=force_terminal,
        markup=False,
        emoji=False,
        highlight=False,
        soft_wrap=False,
    )


def table_to(
    file: TextIO, columns: Sequence[str], rows: Sequence[Sequence[object]], title: str | None = None
) -> None:
    """Write a table to `file`; see `builder.cli.output.print_table`."""
    from rich.table import Table
    from rich.text import Text

    from builder.ui.text import clean

    on_terminal = bool(getattr(file, "isatty", lambda: False)())
    cells = [["" if cell is None else clean(str(cell)) for cell in row] for row in rows]
    console = make_console(file, width=None if on_terminal else _PIPE_WIDTH)
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    widths = [max([len(name), *(len(row[n]) for row in cells)]) for n, name in enumerate(columns)]
    # Short cells (names, states, times) stay whole as long as that leaves room for the long ones.
    short = [width <= _SHORT for width in widths]
    keep_whole = sum(width + 2 for width, is_short in zip(widths, short, strict=True) if is_short)
    for number, name in enumerate(columns):
        values = [row[number] for row in cells if row[number]]
        right = bool(values) and all(_NUMERIC.match(value) for value in values)
        table.add_column(
            Text(name),
            justify="right" if right else "left",
            overflow="fold",
            no_wrap=short[number] and keep_whole <= console.width * 3 // 4,
        )
    for row in cells:
        table.add_row(*(Text(cell) for cell in row))
    if title:
        console.print(Text(title, style="bold"))
    if not on_terminal:
        # Without a frame rich pads every row to the table's width; a pipe wants no trailing blanks.
        with console.capture() as capture:
            console.print(table)
        for line in capture.get().splitlines():
            file.write(line.rstrip() + "\n")
    else:
        console.print(table)
    file.flush()
