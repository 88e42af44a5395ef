"""Everything in an image's root file system, read offline: contents, owners, modes, links, attributes."""

from __future__ import annotations

import hashlib
import re
import tempfile
from dataclasses import dataclass
from pathlib import Path

from builder.disk.ext4 import Entry, Ext4Image, _entries, _quote
from builder.disk.filesystem import find_root

_DIRECTORY, _LINK, _REGULAR = 0o040000, 0o120000, 0o100000


@dataclass(frozen=True, slots=True)
class Item:
    """One file. `content`: sha256 of a regular file, a link's target, else empty."""

    mode: int
    uid: int
    gid: int
    content: str
    xattrs: str


def inventory(vhd: Path) -> dict[str, Item]:
    """All files of the root file system by their path, times and inode numbers left out."""
    _, image = find_root(vhd)
    assert isinstance(image, Ext4Image)
    entries = _walk(image)
    paths = list(entries)
    attributes = dict(zip(paths, _attributes(image, paths), strict=True))
    with tempfile.TemporaryDirectory(prefix="inventory-") as folder:
        # As one command: thousands of single reads would take minutes.
        image._debugfs([f"rdump / {folder}"])
        return {
            path: Item(
                entry.mode, entry.uid, entry.gid, _content(Path(folder), path, entry), attributes[path]
            )
            for path, entry in entries.items()
        }


def _walk(image: Ext4Image) -> dict[str, Entry]:
    found: dict[str, Entry] = {}
    level = ["/"]
    while level:
        texts = image._debugfs([f"ls -p {_quote(path)}" for path in level])
        below = []
        for folder, text in zip(level, texts, strict=True):
            for entry in _entries(text):
                if entry.name in {".", "..", ""} or not entry.inode:
                    continue
                path = f"{folder.rstrip('/')}/{entry.name}"
                found[path] = entry
                if entry.mode & 0o170000 == _DIRECTORY:
                    below.append(path)
        level = below
    return found


def _attributes(image: Ext4Image, paths: list[str]) -> list[str]:
    texts = image._debugfs([f"ea_list {_quote(path)}" for path in paths])
    return [" ".join(sorted(re.findall(r"^\s+(\S.*)$", text, re.MULTILINE))) for text in texts]


def _content(folder: Path, path: str, entry: Entry) -> str:
    kind = entry.mode & 0o170000
    dumped = folder / path.lstrip("/")
    if kind == _LINK:
        return str(dumped.readlink())
    if kind == _REGULAR:
        with dumped.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    return ""


def differences(first: dict[str, Item], second: dict[str, Item]) -> list[str]:
    """The paths whose items differ, or that only one has."""
    return sorted(path for path in first.keys() | second.keys() if first.get(path) != second.get(path))
