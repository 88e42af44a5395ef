"""A partition as a file of its own, for programs that know no offset, and what they change brought back.

xfs_repair and xfs_db take no offset at all; e2fsck takes one, but replays a journal only where the file
system begins at the file's start: it opens it again for that and forgets the offset (e2fsprogs 1.47).
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from builder.disk.extents import BLOCK, copy_range, data_extents


@dataclass(frozen=True, slots=True)
class Apart:
    """A copy, at `path`, of `size` bytes at `offset` of `image`, holes kept."""

    path: Path
    image: Path
    offset: int
    size: int

    def write_back(self) -> None:
        """Write the blocks that differ into the image. On disk when it returns."""
        with self.path.open("rb", buffering=0) as copy, self.image.open("r+b", buffering=0) as whole:
            # Of both: a program may make a hole of what was data.
            places = {
                place
                for fd, start in ((copy.fileno(), 0), (whole.fileno(), self.offset))
                for begin, end in data_extents(fd, start + self.size)
                for place in range((max(begin, start) - start) // BLOCK, -(-(end - start) // BLOCK))
            }
            for place in sorted(places):
                position = place * BLOCK
                length = min(BLOCK, self.size - position)
                block = os.pread(copy.fileno(), length, position)
                if os.pread(whole.fileno(), length, self.offset + position) != block:
                    os.pwrite(whole.fileno(), block, self.offset + position)
            os.fsync(whole.fileno())


@contextmanager
def apart(image: Path, offset: int, size: int) -> Iterator[Apart]:
    """The copy, beside the image, so that it may share its blocks; it is gone when the block ends."""
    with (
        tempfile.NamedTemporaryFile(dir=image.parent, prefix=".apart-") as copy,
        image.open("rb", buffering=0) as whole,
    ):
        os.ftruncate(copy.fileno(), size)
        for start, end in data_extents(whole.fileno(), offset + size):
            if end > offset:
                copy_range(whole.fileno(), copy.fileno(), max(start, offset), end, back=offset)
        yield Apart(Path(copy.name), image, offset, size)
