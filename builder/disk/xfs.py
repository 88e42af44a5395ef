"""Looking into an XFS file system on an image without mounting it: no root, no loop device, no program."""

from __future__ import annotations

from pathlib import Path, PurePosixPath

from builder.disk.xfs_volume import Inode, XfsVolume

_MAX_LINKS = 40
_DIRECTORY, _REGULAR, _LINK = 0o040000, 0o100000, 0o120000


class XfsImage:
    """A read-only view of the XFS at `offset` bytes of a raw disk or fixed VHD.

    Paths are absolute in the file system; symbolic links are followed within it. What a log still holds
    is not seen: see `builder.disk.xfs_repair`. Raises UnsupportedFilesystem when there is no XFS, or one
    with unknown features; any look raises BuildError when the file system is damaged.
    """

    def __init__(self, path: Path, offset: int = 0) -> None:
        self._volume = XfsVolume(path, offset)
        self._directories: dict[int, dict[str, int]] = {}
        self._inodes: dict[int, Inode] = {}

    def read(self, path: str) -> bytes | None:
        """The content of a regular file; None when there is none."""
        inode = self._find(path)
        return self._volume.content(inode) if inode is not None and inode.kind == _REGULAR else None

    def listdir(self, path: str) -> list[str] | None:
        """The names in a directory, sorted; None when it is none."""
        inode = self._find(path)
        return sorted(self._names(inode)) if inode is not None and inode.kind == _DIRECTORY else None

    def readlink(self, path: str) -> str | None:
        """Where a symbolic link points, as written; None when it is none."""
        inode = self._find(path, follow=False)
        return self._volume.target(inode) if inode is not None and inode.kind == _LINK else None

    def stat(self, path: str) -> Inode | None:
        """The inode of a name, a final link not followed; None when there is none."""
        return self._find(path, follow=False)

    def orphans(self) -> list[int]:
        """Numbers of the inodes that were deleted while open, and never freed."""
        return self._volume.orphans()

    def _find(self, path: str, *, follow: bool = True) -> Inode | None:
        """The inode a path leads to; None when it leads nowhere, or round in a circle."""
        above: list[Inode] = []
        here = self._inode(self._volume.root)
        left, links = list(PurePosixPath(path).parts[1:]), 0
        while left:
            part = left.pop(0)
            if part == "..":
                here = above.pop() if above else here
                continue
            number = self._names(here).get(part) if here.kind == _DIRECTORY else None
            if number is None:
                return None
            found = self._inode(number)
            if found.kind != _LINK or not (left or follow):
                above, here = [*above, here], found
                continue
            links += 1
            if links > _MAX_LINKS:
                return None
            target = self._volume.target(found)
            parts = list(PurePosixPath(target).parts)
            if target.startswith("/"):
                above, here, parts = [], self._inode(self._volume.root), parts[1:]
            left = parts + left
        return here

    def _names(self, directory: Inode) -> dict[str, int]:
        if directory.number not in self._directories:
            self._directories[directory.number] = self._volume.names(directory)
        return self._directories[directory.number]

    def _inode(self, number: int) -> Inode:
        if number not in self._inodes:
            self._inodes[number] = self._volume.inode(number)
        return self._inodes[number]
