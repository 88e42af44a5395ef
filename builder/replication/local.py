"""A region in a folder: of the home, or of any file system that is mounted."""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from builder.cancellation import checkpoint
from builder.disk.extents import (
    BLOCK,
    content_digest,
    copy_range,
    data_extents,
    hard_link,
    part_of,
    sync_directory,
    sync_file,
)
from builder.distributors.files import READ_ONLY, existing_parent
from builder.registry.places import MARKER, remove_file
from builder.replication.place import (
    OS_DISK,
    PlaceError,
    Reader,
    Tick,
    refuse_foreign,
    refuse_unmarked,
)

_STEP = 16 * 1024**2
_ZERO = bytes(BLOCK)
_NO_LINK = {errno.EXDEV, errno.EPERM, errno.EMLINK, errno.EOPNOTSUPP}
_PERMANENT = {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM, errno.EFBIG}
PART = ".part"


class LocalReader:
    """A local file of a copy."""

    def __init__(self, path: Path, descriptor: int) -> None:
        self.path: Path | None = path
        self.descriptor = descriptor
        self.size = os.fstat(descriptor).st_size

    def extents(self) -> Iterator[tuple[int, int]]:
        """See Reader."""
        return data_extents(self.descriptor, self.size)

    def read(self, offset: int, length: int) -> bytes:
        """See Reader."""
        data = os.pread(self.descriptor, length, offset)
        if len(data) < length:
            more = os.pread(self.descriptor, length - len(data), offset + len(data)) if data else b""
            if len(data) + len(more) < length:
                raise OSError(errno.EIO, "the file is shorter than it should be", str(self.path))
            data += more
        return data


class LocalPlace:
    """A folder. With `marked` it carries a marker that says whose it is, and must have been made before: a
    mount point on which nothing is mounted is not filled.
    """

    is_local = True
    copies_within = False  # a link is quicker, and copying by reference is the file system's own

    def __init__(self, region: str, root: Path, *, marked: bool) -> None:
        self.region = region
        self.root = root
        self.url = str(root)
        self._marked = marked

    def location(self, *folders: str) -> str:
        """See Place."""
        return str(self.root.joinpath(*folders) / OS_DISK)

    def check(self, identity: str, *, used: bool, take: bool = True) -> bool:
        """See Place."""
        if not self._marked:
            return True
        if not self.root.is_dir():
            raise PlaceError(
                f"The place of region {self.region}, {self.root}, is not there.",
                hint="Mount it, or make the folder.",
            )
        with self._explained(self.root):
            found = self._marker()
            if not found:
                if used:
                    refuse_unmarked(self)
                if not take:
                    return False
                found = self._take(identity)
        if identity not in found:
            refuse_foreign(self, found)
        return True

    def free(self) -> int:
        """Bytes that can be written."""
        found = os.statvfs(existing_parent(self.root))
        return found.f_bavail * found.f_frsize

    def size(self, location: str) -> int | None:
        """See Place."""
        with self._explained(Path(location)):
            try:
                return os.stat(location).st_size  # noqa: PTH116
            except (FileNotFoundError, NotADirectoryError):
                return None

    @contextmanager
    def reader(self, location: str) -> Iterator[Reader]:
        """See Place."""
        path = Path(location)
        with self._explained(path), path.open("rb", buffering=0) as file:
            yield LocalReader(path, file.fileno())

    def link(self, source: Path, location: str) -> bool:
        """Give `source` a second name here, which costs nothing; False on another file system."""
        path = Path(location)
        with self._explained(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            try:
                hard_link(source, path)
            except OSError as error:
                if error.errno not in _NO_LINK:
                    raise
                return False
            sync_directory(path.parent)
            return True

    def staging(self, location: str) -> str:
        """Hidden, and always the same: the next process finds it and goes on. gc knows the ending."""
        path = Path(location)
        return str(path.with_name(f".{path.name}{PART}"))

    def write(self, staged: str, source: Reader, tick: Tick) -> int:
        """See Place. What was written ends where the file ends, for it is written from the beginning on and
        gets its size last; after a loss of power the check on arrival finds what the disk had not got.
        """
        path = Path(staged)
        with self._explained(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                there = min(os.fstat(descriptor).st_size, source.size)
                there -= there % BLOCK
                sent = 0
                for start, end in source.extents():
                    tick(max(0, min(end, there) - start))
                    for position in range(max(start, there), end, _STEP):
                        self._piece(descriptor, source, position, min(position + _STEP, end))
                        sent += min(position + _STEP, end) - position
                        tick(min(position + _STEP, end) - position)
                os.ftruncate(descriptor, source.size)
                os.fsync(descriptor)
                return sent
            finally:
                os.close(descriptor)

    def digest(self, location: str, size: int, tick: Tick) -> str:
        """See Place. From the disk, not from what the kernel still has in memory."""
        path = Path(location)
        with self._explained(path):
            descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
            try:
                os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
            finally:
                os.close(descriptor)
            tick(0)
            return content_digest(path, size)

    def accept(self, staged: str, location: str) -> None:
        """See Place."""
        path = Path(location)
        with self._explained(path):
            Path(staged).chmod(READ_ONLY)
            Path(staged).replace(path)
            sync_directory(path.parent)

    def remove(self, location: str) -> None:
        """See Place."""
        with self._explained(Path(location)):
            remove_file(Path(location), self.root)

    def files(self) -> Iterator[tuple[str, int]]:
        """See Place."""
        for folder, _names, names in os.walk(self.root):
            for name in sorted(names):
                if name.endswith((".vhd", PART)):
                    path = Path(folder, name)
                    yield str(path), path.lstat().st_blocks * 512

    def _marker(self) -> str:
        """What the marker says; "" without one, and for one that says nothing: nobody's."""
        try:
            return (self.root / MARKER).read_text(encoding="utf-8", errors="replace").strip()
        except FileNotFoundError:
            return ""

    def _take(self, identity: str) -> str:
        """Mark the folder as this registry's, and return what the marker says then. It appears whole: others
        look at the same time, and one that is half written would be somebody else's for ever.
        """
        marker = self.root / MARKER
        part = part_of(marker)
        try:
            part.write_text(json.dumps({"registry": identity}), encoding="utf-8")
            sync_file(part)
            try:
                marker.hardlink_to(part)  # unlike a rename it takes the place of nobody's
            except OSError as error:
                if error.errno not in {errno.EEXIST, *_NO_LINK}:
                    raise
                if not self._marker():
                    part.replace(marker)
            sync_directory(self.root)
        finally:
            part.unlink(missing_ok=True)
        return self._marker()

    def _piece(self, descriptor: int, source: Reader, start: int, end: int) -> None:
        checkpoint()
        if isinstance(source, LocalReader):
            copy_range(source.descriptor, descriptor, start, end)
            return
        data = source.read(start, end - start)
        for at in range(0, len(data), BLOCK):  # another place's file may have no holes: make some
            block = data[at : at + BLOCK]
            if block != _ZERO[: len(block)]:
                os.pwrite(descriptor, block, start + at)

    @contextmanager
    def _explained(self, path: Path) -> Iterator[None]:
        try:
            yield
        except FileNotFoundError as error:
            raise PlaceError(f"The file {path} of region {self.region} is gone.", permanent=True) from error
        except OSError as error:
            hint = "Free some space there, or choose another place." if error.errno == errno.ENOSPC else None
            raise PlaceError(
                f"The place of region {self.region} cannot be used: {error.strerror or error} ({path}).",
                hint=hint,
                permanent=error.errno in _PERMANENT,
            ) from error
