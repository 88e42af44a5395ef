"""What a file or a tree takes on the disk, and when something in it last changed."""

from __future__ import annotations

import os
from pathlib import Path


def newest_change(path: Path) -> float:
    """The latest modification in a file or a tree, seconds since the epoch."""
    newest = path.lstat().st_mtime
    for directory, _names, files in os.walk(path):
        for name in (".", *files):
            try:
                newest = max(newest, (Path(directory) / name).lstat().st_mtime)
            except FileNotFoundError:
                continue
    return newest


def disk_usage(path: Path) -> int:
    """Bytes a file or a tree takes on the disk: holes are free, a file that is linked twice counts once."""
    seen: set[tuple[int, int]] = set()
    total = 0
    try:
        own = path.lstat()
    except FileNotFoundError:
        return 0
    total += own.st_blocks * 512
    for directory, names, files in os.walk(path):
        for name in (*names, *files):
            try:
                stat = (Path(directory) / name).lstat()
            except FileNotFoundError:
                continue
            if (stat.st_dev, stat.st_ino) not in seen:
                seen.add((stat.st_dev, stat.st_ino))
                total += stat.st_blocks * 512
    return total
