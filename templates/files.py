"""Reading a text file that a person wrote."""

from __future__ import annotations

from pathlib import Path

from templates.errors import UsageError

# No template is larger; a disk image given by mistake must not be read into memory.
MAX_BYTES = 20 * 2**20


class UnreadableFile(UsageError):
    """A file that is missing, not readable or no text."""

    code = "UnreadableFile"


def read_text(path: Path) -> str:
    """The text of a UTF-8 file, without its byte order mark. Raises UnreadableFile."""
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
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
        line = data.count(b"\n", 0, error.start) + 1
        column = error.start - data.rfind(b"\n", 0, error.start)
        hint = "save it as UTF-8"
        if data[:2] in (b"\xff\xfe", b"\xfe\xff"):
            hint = "it is UTF-16 (PowerShell's '>' writes that); save it as UTF-8"
        raise UnreadableFile(f"{path}:{line}:{column}: the file is not UTF-8 text", hint=hint) from None
