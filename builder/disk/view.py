"""What a reader shows of a file system inside an image, whatever its kind."""

from __future__ import annotations

from typing import Protocol

from builder.errors import BuildError

LARGEST_FILE = 256 * 1024**2
"""Bytes of a file that are read at most: an image may be anybody's."""


class UnsupportedFilesystem(BuildError):
    """A file system is of a kind, or has a feature, that cannot be looked into offline."""

    code = "UnsupportedFilesystem"


class FileView(Protocol):
    """One file system, read only. Paths are absolute in it; symbolic links are followed within it."""

    def read(self, path: str) -> bytes | None:
        """The content of a regular file; None when there is none."""

    def listdir(self, path: str) -> list[str] | None:
        """The names in a directory, sorted; None when there is none."""

    def readlink(self, path: str) -> str | None:
        """Where a symbolic link points, as written; None when it is none."""
