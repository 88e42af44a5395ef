"""`build validate --fix`: the repaired text goes into the file, or is shown as a diff."""

from __future__ import annotations

import codecs
import difflib
import io
import os
import stat
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from builder.errors import UsageError
from templates.files import STDIN, read_text


def difference(file: Path, text: str) -> str:
    """A unified diff from what the file holds to `text`; empty when they are equal."""
    return "".join(_lines_of_diff(read_text(file), text, str(file)))


def write_back(file: Path, text: str) -> None:
    """Put `text` into the file, all or nothing; its mode and its byte order mark stay. Raises UsageError."""
    if file == STDIN:
        raise UsageError(
            "standard input cannot be fixed in its place.", hint="--diff shows what would change."
        )
    target = file.resolve()  # a symbolic link stays one
    try:
        before = target.stat()
        with target.open("rb") as old:
            mark = old.read(3) if old.peek(3)[:3] == codecs.BOM_UTF8 else b""
        _replace(target, mark + text.encode(), stat.S_IMODE(before.st_mode))
    except OSError as error:
        raise UsageError(f"{file}: cannot be written: {error.strerror}.") from error


def _replace(target: Path, data: bytes, mode: int) -> None:
    descriptor, name = tempfile.mkstemp(prefix=f".{target.name}.", dir=target.parent)
    try:
        with os.fdopen(descriptor, "wb") as new:
            new.write(data)
            new.flush()
            os.fchmod(new.fileno(), mode)
            os.fsync(new.fileno())
        Path(name).replace(target)
    except BaseException:
        with suppress(OSError):
            Path(name).unlink()
        raise


def _lines_of_diff(old: str, new: str, name: str) -> Iterator[str]:
    for line in difflib.unified_diff(_lines(old), _lines(new), name, name):
        yield line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n"


def _lines(text: str) -> list[str]:
    """Lines as `patch` counts them: only at line feeds."""
    return io.StringIO(text, newline="\n").readlines()
