"""Whether a file fits on its disk, and what to say when it does not."""

from __future__ import annotations

import errno
import shutil
from pathlib import Path

from builder.errors import EnvironmentProblem

_MIB = 1024 * 1024
NO_ROOM = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
"""What the system says when there is none."""


def check_room(path: Path, size: int) -> None:
    """Raise EnvironmentProblem when the disk of `path` has no room for `size` bytes in its place."""
    try:
        there = path.stat().st_blocks * 512
    except FileNotFoundError:
        there = 0
    free = shutil.disk_usage(path.parent).free
    if size - there > free:
        raise EnvironmentProblem(
            f"{path.parent} has no room for a file of {_mib(size)}: {_mib(free)} are free.",
            hint="Free some space there ('build cache du' shows what Goldsmith takes), "
            "or set GOLDSMITH_HOME to a larger disk.",
        )


def full(path: Path, error: OSError) -> EnvironmentProblem:
    """What to say when writing to `path` failed in the middle. What came so far stays: it is resumed."""
    if error.errno in NO_ROOM:
        return EnvironmentProblem(
            f"The disk of {path.parent} is full.",
            details=(f"What came so far stays in {path.name} and is not fetched again.",),
            hint="Free some space there and start again, or remove that file.",
        )
    return EnvironmentProblem(f"{path} cannot be written: {error.strerror or error}.")


def too_full(path: Path) -> EnvironmentProblem:
    """What to say when going on would fill the disk of `path`."""
    return EnvironmentProblem(
        f"The disk of {path.parent} is about to be full.",
        hint="Free some space there ('build cache du' shows what Goldsmith takes) and start again.",
    )


def _mib(size: int) -> str:
    return f"{-(-size // _MIB)} MiB"
