"""What the reading verbs share: JSON, tables, sizes and times a person can read."""

from __future__ import annotations

import dataclasses
import json
import sys
from collections.abc import Mapping, Sequence
from datetime import date
from enum import Enum
from pathlib import Path
from typing import Any

from builder.errors import UsageError
from builder.ui.text import inert_json

_UNITS = ("B", "KiB", "MiB", "GiB", "TiB", "PiB")


def print_json(value: Any) -> None:  # noqa: ANN401 - whatever can be JSON
    """Write `value` to stdout as indented JSON.

    Dataclasses, pydantic models, paths, dates, enums and sets are understood.
    """
    text = json.dumps(value, indent=2, ensure_ascii=False, default=_plain)
    sys.stdout.write(inert_json(text) + "\n")
    sys.stdout.flush()


def print_table(columns: Sequence[str], rows: Sequence[Sequence[object]], title: str | None = None) -> None:
    """Write a table to stdout; columns whose cells are all numbers or sizes stand to the right.

    On a terminal long cells are folded to its width; elsewhere (a pipe, a file) every row is one
    line however long, so that grep and awk see whole paths and ids. Cells are text, never markup.
    """
    from builder.ui.console import table_to

    table_to(sys.stdout, columns, rows, title)


def write_text(text: str, output: Path | None) -> None:
    """Write `text` to the file of `--output`, to stdout when there is none. Raises UsageError."""
    if output is None:
        sys.stdout.write(text)
        sys.stdout.flush()
        return
    try:
        output.write_text(text, encoding="utf-8")
    except OSError as error:
        raise UsageError(
            f"--output {output}: {error.strerror}.", hint="Name a file in a folder that exists."
        ) from error


def human_size(n: float) -> str:
    """`n` bytes in binary units: 0 B, 512 B, 1.5 KiB, 2.0 GiB.

    >>> human_size(1536)
    '1.5 KiB'
    """
    size = float(n)
    for unit in _UNITS:
        if abs(size) < 1023.95 or unit == _UNITS[-1]:
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1024
    raise AssertionError("unreachable")


def human_seconds(s: float) -> str:
    """`s` seconds as a person says them: 0.3 s, 42 s, 3 min 05 s, 2 h 07 min.

    >>> human_seconds(185)
    '3 min 05 s'
    """
    if s < 9.95:
        return f"{max(s, 0.0):.1f} s"
    whole = round(s)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"


def _plain(value: object) -> object:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {item.name: getattr(value, item.name) for item in dataclasses.fields(value)}
    if hasattr(value, "model_dump"):
        return value.model_dump(mode="json", by_alias=True)
    if isinstance(value, date):  # datetime too
        return value.isoformat()
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, set | frozenset):
        return sorted(value)
    return value.value if isinstance(value, Enum) else str(value)
