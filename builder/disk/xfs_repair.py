"""Checking an XFS inside an image, and ending what its guest could not end, with xfsprogs.

A guest that is switched off after `sysrq u` leaves a clean log, but files that were deleted while open
stay on its lists of unlinked inodes: a mount looks at these only when it replays a log, and xfs_repair would
bring the deleted files back in lost+found. So they are freed first, the way xfs_repair frees an inode.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from builder import process
from builder.disk.apart import apart
from builder.disk.view import UnsupportedFilesystem
from builder.disk.xfs_volume import XfsVolume
from builder.errors import BuildError

PACKAGE = "xfsprogs"
_ENV = {"LC_ALL": "C"}
_LOG_WAITS = "valuable metadata changes in a log"
_TOO_NEW = re.compile(r"unknown compat/|unsupported filesystem features|more recent xfs_repair")
# What xfs_repair says of every file system that is a file, and of its own progress.
_ALWAYS = re.compile(
    r"\s*$|Phase \d|\s+- |No modify flag set"
    r"|Cannot get host filesystem geometry|Repair may fail if|the image and the host"
)
_ORPHAN = re.compile(
    r"agi unlinked bucket \d+ is \d+ in ag \d+ \(inode=(\d+)\)$"
    r"|Would clear next_unlinked in inode (\d+)$"  # one after which its list goes on
    r"|disconnected (?:dir )?inode (\d+), would move to lost\+found$"
    r"|would have reset inode (\d+) nlinks from 0 to \d+$"
)


class LogWaits(BuildError):
    """The log holds changes that are not in place; only a mount replays it."""

    code = "XfsLogWaits"


def settle(path: Path, offset: int, size: int, *, timeout: float = 600) -> None:
    """Check the XFS in the `size` bytes at `offset`, after dropping files deleted while still open.

    Writes to the image only for such files. Raises LogWaits when its log must be replayed first,
    UnsupportedFilesystem when xfsprogs here is older than what made it, BuildError when it is damaged,
    EnvironmentProblem without xfsprogs.
    """
    process.require("xfs_repair", PACKAGE)  # before anything is copied
    name = f"The XFS at byte {offset} of {path}"
    with apart(path, offset, size) as copy:
        complaints = _complaints(copy.path, name, timeout)
        if not complaints:
            return
        orphans = XfsVolume(path, offset).orphans()
        named = [next(filter(None, found.groups())) for line in complaints if (found := _ORPHAN.match(line))]
        if len(named) < len(complaints) or not {int(number) for number in named} <= set(orphans):
            raise _damaged(name, complaints)
        _free(copy.path, orphans, name, timeout)
        complaints = _complaints(copy.path, name, timeout)
        if complaints:
            raise _damaged(name, complaints)
        copy.write_back()


def _free(apart: Path, orphans: Sequence[int], name: str, timeout: float) -> None:
    """Mark the inodes as free, and have xfs_repair draw the consequences."""
    words = [word for number in orphans for word in ("-c", f"inode {number}", "-c", "write core.mode 0")]
    process.run([process.require("xfs_db", PACKAGE), "-x", *words, apart], timeout=timeout, env=_ENV)
    done = process.run(
        [process.require("xfs_repair", PACKAGE), apart], timeout=timeout, env=_ENV, ok=range(256)
    )
    if done.exit_code:
        raise _damaged(name, (done.stdout + done.stderr).splitlines())


def _complaints(apart: Path, name: str, timeout: float) -> list[str]:
    """What xfs_repair would put right; it changes nothing. Raises LogWaits, UnsupportedFilesystem."""
    done = process.run(
        [process.require("xfs_repair", PACKAGE), "-n", apart], timeout=timeout, env=_ENV, ok=range(256)
    )
    text = done.stdout + done.stderr
    if _LOG_WAITS in text:
        raise LogWaits(f"{name} was not unmounted: its log holds changes that are not in place.")
    if _TOO_NEW.search(text):
        raise UnsupportedFilesystem(
            f"{name} is newer than the xfsprogs of this machine.", details=tuple(text.splitlines()[-5:])
        )
    lines = [line for line in text.splitlines() if not _ALWAYS.match(line)]
    return lines or ([f"xfs_repair ended with exit code {done.exit_code}"] if done.exit_code else [])


def _damaged(name: str, lines: Sequence[str]) -> BuildError:
    return BuildError(f"{name} is damaged.", details=tuple(lines[:15]))
