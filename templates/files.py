"""Reading a text file that a person wrote."""

from __future__ import annotations

import sys
from functools import cache
from pathlib import Path

from templates.errors import UsageError

# No template is larger; a disk image given by mistake must not be read into memory.
MAX_BYTES = 20 * 2**20
STDIN = Path("<stdin>")
"""Stands for standard input wherever a file is named."""


class UnreadableFile(UsageError):
    """A file that is missing, not readable or no text. `line` and `column` count from 1."""

    code = "UnreadableFile"
    line = 1
    column = 1


def read_text(path: Path) -> str:
    """The text of a UTF-8 file, or of standard input for `STDIN`, without its byte order mark.

    Raises UnreadableFile.
    """
    try:
        data = _standard_input() if path == STDIN else _bytes_of(path)
    except FileNotFoundError:
        raise UnreadableFile(f"{path}: there is no such file") from None
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise UnreadableFile(f"{path}: cannot be read: {reason}") from None
    if len(data) > MAX_BYTES:
        raise UnreadableFile(f"{path}: larger than {MAX_BYTES // 2**20} MiB, this cannot be a template")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        # `object` is what was decoded: without the byte order mark that `data` may begin with.
        data, start = error.object, error.start
        line = data.count(b"\n", 0, start) + 1
        column = start - data.rfind(b"\n", 0, start)
        hint = "save it as UTF-8"
        if data[:2] in (b"\xff\xfe", b"\xfe\xff"):
            hint = "it is UTF-16 (PowerShell's '>' writes that); save it as UTF-8"
        problem = UnreadableFile(f"{path}:{line}:{column}: the file is not UTF-8 text", hint=hint)
        problem.line, problem.column = line, column
        raise problem from None


def _bytes_of(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(MAX_BYTES + 1)


@cache  # it can be read only once, and who quotes a line of it needs it again
def _standard_input() -> bytes:
    return sys.stdin.buffer.read(MAX_BYTES + 1)
