"""Sparse files: what they really hold, what that is, and how to give it to others cheaply.

Holes and blocks of zeros are the same content, so a digest looks only at blocks that hold
something, with their places (design.md, Traps: Hashing: 0.5 s instead of 4 s for a sparse 4 GiB disk).
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import os
import secrets
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from io import BufferedWriter, FileIO
from pathlib import Path
from typing import BinaryIO

from builder.cancellation import checkpoint

BLOCK = 64 * 1024
_SEGMENT = 64 * 1024**2
_ZERO = bytes(BLOCK)
_FICLONE = 0x40049409
_DESCRIPTORS = "/proc/self/fd"
_COPY_CHUNK = 64 * 1024**2
_NO_FAST_COPY = {errno.EXDEV, errno.ENOSYS, errno.EOPNOTSUPP, errno.EINVAL, errno.EBADF}


def data_extents(fd: int, size: int) -> Iterator[tuple[int, int]]:
    """(start, end) in bytes of what is not a hole, up to `size`. Moves the file's position."""
    position = 0
    while position < size:
        try:
            start = os.lseek(fd, position, os.SEEK_DATA)
        except OSError as error:
            if error.errno == errno.ENXIO:  # only a hole until the end
                return
            raise
        if start >= size:
            return
        end = min(os.lseek(fd, start, os.SEEK_HOLE), size)
        yield start, end
        position = end


def content_digest(path: Path, size: int | None = None) -> str:
    """sha256 (hex) of the first `size` bytes (default: all), the same for any placing of holes: of the
    digests of its segments, which are taken on all cores at once.

    For a VHD pass its virtual size: the footer carries a random id and a time.
    """
    with path.open("rb", buffering=0) as file:
        total = os.fstat(file.fileno()).st_size if size is None else size
        # First, since looking for holes moves the one position that all share.
        wanted = list(_blocks_of_segments(file.fileno(), total))
        with ThreadPoolExecutor(max_workers=min(8, os.cpu_count() or 1)) as pool:
            parts = pool.map(lambda places: _segment_digest(file.fileno(), places, total), wanted)
            digest = hashlib.sha256(b"goldsmith-extents-2" + total.to_bytes(8, "big"))
            for part in parts:
                digest.update(part)
    return digest.hexdigest()


def _blocks_of_segments(fd: int, total: int) -> Iterator[list[int]]:
    """Where the blocks lie that may hold something, those of one segment together."""
    segment: list[int] = []
    done = 0
    for start, end in data_extents(fd, total):
        for position in range(max(done, start - start % BLOCK), end, BLOCK):
            if segment and position // _SEGMENT != segment[0] // _SEGMENT:
                yield segment
                segment = []
            segment.append(position)
            done = position + BLOCK
    if segment:
        yield segment


def _segment_digest(fd: int, places: list[int], total: int) -> bytes:
    """Of the blocks that hold something, with their numbers; nothing when none does."""
    digest = hashlib.sha256()
    found = False
    for position in places:
        block = os.pread(fd, min(BLOCK, total - position), position)
        if block != _ZERO[: len(block)]:
            found = True
            digest.update((position // BLOCK).to_bytes(8, "big"))
            digest.update(block)
    return digest.digest() if found else b""


class ContentDigest:
    """The same as `content_digest` of `size` bytes, for one who gets them in order."""

    def __init__(self, size: int) -> None:
        self._whole = hashlib.sha256(b"goldsmith-extents-2" + size.to_bytes(8, "big"))
        self._size = size
        self._at = 0
        self._rest = b""
        self._segment = hashlib.sha256()
        self._found = False

    def update(self, data: bytes) -> None:
        """The next bytes, however many."""
        data = self._rest + data
        last = self._at + len(data) >= self._size
        whole = len(data) if last else len(data) - len(data) % BLOCK
        for start in range(0, whole, BLOCK):
            self._block(data[start : min(start + BLOCK, whole)])
        self._rest = data[whole:]

    def hexdigest(self) -> str:
        """Once all are there."""
        self._close_segment()
        return self._whole.hexdigest()

    def _block(self, block: bytes) -> None:
        if self._at % _SEGMENT == 0:
            self._close_segment()
        if block != _ZERO[: len(block)]:
            self._found = True
            self._segment.update((self._at // BLOCK).to_bytes(8, "big"))
            self._segment.update(block)
        self._at += len(block)

    def _close_segment(self) -> None:
        if self._found:
            self._whole.update(self._segment.digest())
        self._segment, self._found = hashlib.sha256(), False


def allocated_size(path: Path) -> int:
    """Bytes the file occupies on disk."""
    return path.stat().st_blocks * 512


def hard_link(source: Path, destination: Path) -> None:
    """Give `source` a second name, replacing `destination` in one step. Same file system only."""
    destination.parent.mkdir(parents=True, exist_ok=True)
    part = part_of(destination)
    try:
        part.hardlink_to(source)
        part.replace(destination)
    finally:
        # replace() does nothing when both names already are the same file.
        part.unlink(missing_ok=True)


def clone(
    source: Path,
    destination: Path,
    *,
    verify: Callable[[Path], object] | None = None,
    announce: Callable[[Path], None] | None = None,
) -> None:
    """An independent copy of `source`, replacing `destination` in one step, holes kept.

    A reflink where the file system can, else a copy of the data extents. On disk when it returns.
    `verify` sees the copy under a temporary name; when it raises, `destination` stays as it was.
    The copy has no name until it is whole, so a SIGKILL leaves nothing; where the file system has no
    such files (NFS), `announce` is told the name of the unfinished copy before it exists.
    """
    part = part_of(destination)
    try:
        nameless = nameless_file(destination.parent)
        if nameless is None and announce is not None:
            announce(part)
        with source.open("rb", buffering=0) as src, nameless or part.open("xb", buffering=0) as dst:
            copy_data(src.fileno(), dst.fileno())
            if verify is not None:
                verify(Path(_DESCRIPTORS, str(dst.fileno())) if nameless else part)
            if nameless is not None:
                give_name(dst.fileno(), part)
            part.replace(destination)
        sync_directory(destination.parent)
    finally:
        part.unlink(missing_ok=True)


@contextlib.contextmanager
def appearing(destination: Path, mode: int = 0o600) -> Iterator[BinaryIO]:
    """A new file to write, which takes the place of `destination` in one step, on disk, when the block
    ends well. Until then it has no name, so that a SIGKILL leaves nothing (where the file system can).
    """
    part = part_of(destination)
    try:
        nameless = nameless_file(destination.parent)
        with nameless or part.open("xb", buffering=0) as raw:
            os.fchmod(raw.fileno(), mode)
            writer = BufferedWriter(raw)
            yield writer
            writer.flush()
            os.fsync(raw.fileno())
            if nameless is not None:
                give_name(raw.fileno(), part)
            part.replace(destination)
        sync_directory(destination.parent)
    finally:
        part.unlink(missing_ok=True)


def link_or_copy(source: Path, destination: Path) -> None:
    """A hard link where possible, else an independent sparse copy. For places inside the home only:
    a link rots with its twin and is written through by root.
    """
    try:
        hard_link(source, destination)
    except OSError as error:
        if error.errno not in {errno.EXDEV, errno.EPERM, errno.EMLINK, errno.EOPNOTSUPP}:
            raise
        clone(source, destination)


def sync_file(path: Path) -> None:
    """Bring a file's data, and the name it has, to the disk."""
    with path.open("rb") as file:
        os.fsync(file.fileno())
    sync_directory(path.parent)


def sync_directory(path: Path) -> None:
    """Bring the names in a directory to the disk."""
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def part_of(destination: Path) -> Path:
    """The name beside `destination` that something has until it is whole."""
    return destination.with_name(f".{destination.name[:200]}.{secrets.token_hex(4)}.part")


def nameless_file(folder: Path) -> FileIO | None:
    """A new file in `folder` that has no name and goes with its descriptor; None where there are none."""
    if not Path(_DESCRIPTORS).is_dir():
        return None
    try:
        descriptor = os.open(folder, os.O_TMPFILE | os.O_RDWR | os.O_CLOEXEC, 0o666)
    except OSError as error:
        if error.errno in {errno.EOPNOTSUPP, errno.EISDIR, errno.EINVAL, errno.ENOSYS}:
            return None
        raise
    return FileIO(descriptor, "r+b")


def give_name(descriptor: int, path: Path) -> None:
    """Give a nameless file its first name (open(2), O_TMPFILE)."""
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        # Only with a folder's descriptor does Python use linkat(2), which follows the symbolic link.
        os.link(f"{_DESCRIPTORS}/{descriptor}", path.name, src_dir_fd=folder, dst_dir_fd=folder)
    finally:
        os.close(folder)


def copy_data(source: int, destination: int) -> None:
    """All of a file's data to another, empty one: a reflink where the file system can, else its extents.
    On disk when it returns.
    """
    if not _reflink(source, destination):
        _copy_extents(source, destination)
    os.fsync(destination)


def _reflink(source: int, destination: int) -> bool:
    with contextlib.suppress(OSError):
        fcntl.ioctl(destination, _FICLONE, source)
        return True
    return False


def _copy_extents(source: int, destination: int) -> None:
    size = os.fstat(source).st_size
    os.ftruncate(destination, size)
    for start, end in data_extents(source, size):
        copy_range(source, destination, start, end)


def copy_range(source: int, destination: int, start: int, end: int, *, back: int = 0) -> None:
    """Copy the bytes from `start` to `end`, each `back` bytes nearer to the destination's beginning, by
    reference or in the kernel where the file systems can.
    """
    position = start
    in_kernel = True
    while position < end:
        checkpoint()
        length = min(_COPY_CHUNK, end - position)
        if in_kernel:
            try:
                copied = os.copy_file_range(source, destination, length, position, position - back)
            except OSError as error:
                if error.errno not in _NO_FAST_COPY:
                    raise
                copied = 0
            if copied == 0:
                in_kernel = False
                continue
        else:
            data = os.pread(source, min(length, 1024**2), position)
            if not data:
                raise OSError(errno.EIO, "the source became shorter while it was copied")
            copied = os.pwrite(destination, data, position - back)
        position += copied
