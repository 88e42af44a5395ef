"""Replaying the journal of an ext file system inside an image.

e2fsck and debugfs open a file system at an offset of a file, but replay a journal only where it begins at
the file's start: they open it again for that and forget the offset (e2fsprogs 1.47). So the partition
is copied out, put right there, and what changed is written back.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from pathlib import Path

from builder.disk.extents import BLOCK, data_extents


def repaired_apart(image: Path, offset: int, size: int, repair: Callable[[Path], None]) -> None:
    """Run `repair` on a copy of `size` bytes at `offset` of `image`, holes kept, then write back the blocks
    it changed. When it raises, the image stays as it was.
    """
    with (
        tempfile.NamedTemporaryFile(dir=image.parent, prefix=".journal-") as apart,
        image.open("r+b", buffering=0) as whole,
    ):
        os.ftruncate(apart.fileno(), size)
        for start, end in data_extents(whole.fileno(), offset + size):
            for position in range(max(start, offset), end, BLOCK):
                block = os.pread(whole.fileno(), min(BLOCK, end - position), position)
                os.pwrite(apart.fileno(), block, position - offset)
        repair(Path(apart.name))
        for start, end in data_extents(apart.fileno(), size):
            for position in range(start, end, BLOCK):
                length = min(BLOCK, end - position)
                block = os.pread(apart.fileno(), length, position)
                if os.pread(whole.fileno(), length, offset + position) != block:
                    os.pwrite(whole.fileno(), block, offset + position)
        os.fsync(whole.fileno())
