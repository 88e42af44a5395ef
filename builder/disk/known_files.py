"""What is known of the content of a file, for as long as nobody touches it.

Reading a disk image to learn its digest costs half a second and more; its inode, size, times and change
time tell whether it is still the one that was read (git's index rests on the same).
"""

from __future__ import annotations

import os
import time
from pathlib import Path

from builder.memo import recall, remember

_MOST = 500
_SETTLED_NS = 2_000_000_000
"""A file changed within the last two seconds may change again within the same tick of the clock."""


class KnownFiles:
    """Content digests by file, remembered in one JSON file. Losing it costs reading again."""

    def __init__(self, memo: Path) -> None:
        self._memo = memo

    def digest(self, path: Path) -> str:
        """The digest noted for `path`, "" when it was touched since, or never noted."""
        entry = recall(self._memo).get(os.fspath(path.absolute()))
        stamp = _stamp(path)
        if not isinstance(entry, dict) or stamp is None or entry.get("stamp") != stamp:
            return ""
        return str(entry.get("digest", ""))

    def note(self, path: Path, digest: str) -> None:
        """Remember what `path` holds now. Best effort."""
        stamp = _stamp(path)
        if stamp is None:
            return
        entries = recall(self._memo)
        entries.pop(os.fspath(path.absolute()), None)
        entries[os.fspath(path.absolute())] = {"stamp": stamp, "digest": digest}
        for name in list(entries)[:-_MOST]:
            del entries[name]
        remember(self._memo, entries)


def settled(path: Path) -> bool:
    """Whether the file is old enough for its times to tell it from a later one."""
    try:
        return time.time_ns() - path.stat().st_mtime_ns > _SETTLED_NS
    except OSError:
        return False


def _stamp(path: Path) -> list[int] | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return [status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns]
