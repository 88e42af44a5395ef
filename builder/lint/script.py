"""A script of a template, and where its lines stand."""

from __future__ import annotations

import os
from bisect import bisect_right
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal
from urllib.parse import unquote, urlsplit

from provisioners.shell import inline_script, interpreter
from templates.diagnostics import Location
from templates.model import PowerShellStep, ScriptStep, ShellStep
from templates.pointers import join

if TYPE_CHECKING:
    from provisioners.base import FrozenContent
    from templates import Document

Dialect = Literal["sh", "bash", "dash", "ksh", "powershell", ""]
_DIALECTS: dict[str, Dialect] = {"sh": "sh", "ash": "sh", "bash": "bash", "dash": "dash", "ksh": "ksh"}


@dataclass(frozen=True, slots=True)
class Script:
    """What a step runs. `dialect` is empty for an interpreter we know nothing of.

    `locate` turns a line and a column of `data` (from 1) into a place that a person can open;
    `told_apart` is False when that place is the same for all lines, so that messages must name them.
    """

    dialect: Dialect
    data: bytes
    locate: Callable[[int, int], Location]
    told_apart: bool = True


def script_of(
    document: Document, pointer: str, step: ScriptStep, content: FrozenContent, base_dir: Path
) -> Script:
    """The script of the step at `pointer` (from the document's root), as it will run."""
    if step.inline is not None:
        return _inline(document, join(pointer, "inline"), step, step.inline)
    place = document.locate(join(pointer, "scriptUri"))
    file = _local_file(step.script_uri or "", base_dir)
    dialect = _dialect(step, content.data)
    if file is None:
        return Script(dialect, content.data, lambda _line, _column: place, told_apart=False)
    # What is missing at the end is said of a line behind the last.
    last = max(len(content.data.splitlines()), 1)
    return Script(dialect, content.data, lambda line, column: Location(file, min(line, last), column))


def _inline(document: Document, pointer: str, step: ScriptStep, elements: list[str]) -> Script:
    shell = isinstance(step, ShellStep)
    data = inline_script(elements) if shell else "\n".join(elements).encode()
    joined = "\n".join(elements)
    # The provisioner puts a first line of its own before what has none.
    added = data.count(b"\n") - joined.count("\n") - 1 if shell else 0
    starts = [0]
    for element in elements:
        starts.append(starts[-1] + len(element) + 1)
    lines = [0]
    for line in joined.split("\n"):
        lines.append(lines[-1] + len(line) + 1)

    def locate(line: int, column: int) -> Location:
        number = min(max(line - added, 1), len(lines) - 1)
        offset = min(lines[number - 1] + column - 1, lines[number] - 1)
        index = min(max(bisect_right(starts, offset) - 1, 0), max(len(elements) - 1, 0))
        if not elements:
            return document.locate(pointer)
        return document.locate_in(join(pointer, index), elements[index], offset - starts[index])

    return Script(_dialect(step, data), data, locate)


def _dialect(step: ScriptStep, data: bytes) -> Dialect:
    if isinstance(step, PowerShellStep):
        return "powershell"
    if not isinstance(step, ShellStep):
        return ""
    program, *rest = interpreter(data)
    name = Path(program).name
    if name == "env":
        words = " ".join(rest).split()
        name = next((word for word in words if not word.startswith("-") and "=" not in word), "")
    return _DIALECTS.get(Path(name).name, "")


def _local_file(uri: str, base_dir: Path) -> str | None:
    """The path behind a `scriptUri` as a person would write it here; None for an address."""
    parts = urlsplit(uri)
    if parts.scheme.lower() == "file":
        return unquote(parts.path)
    if "://" in uri:
        return None
    path = os.path.normpath(base_dir / uri)
    here = os.path.relpath(path)
    return path if here.startswith("..") else here
