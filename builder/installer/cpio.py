"""A cpio archive as the kernel unpacks it into its initramfs ("newc").

Source: the kernel's Documentation/driver-api/early-userspace/buffer-format.rst. No library that is kept
writes one, and the program is not on every machine.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import PurePosixPath
from stat import S_IFDIR, S_IFMT, S_IFREG

_FOLDER = S_IFDIR | 0o755


def archive(files: Mapping[str, tuple[bytes, int]]) -> bytes:
    """`files`: path without a leading slash -> content, permission bits. All belong to root.

    A mode with its type in it (stat.S_IFLNK) makes something else than a file; a link's content is its
    target.
    """
    folders = {str(parent) for name in files for parent in PurePosixPath(name).parents} - {".", *files}
    parts = [_entry(number, name, b"", _FOLDER) for number, name in enumerate(sorted(folders), 1)]
    for number, (name, (data, mode)) in enumerate(files.items(), len(parts) + 1):
        parts.append(_entry(number, name, data, mode if S_IFMT(mode) else S_IFREG | mode))
    return b"".join((*parts, _entry(0, "TRAILER!!!", b"", 0)))


def _entry(inode: int, name: str, data: bytes, mode: int) -> bytes:
    raw = name.encode() + b"\0"
    # inode, mode, uid, gid, links, time, size, device (4 numbers), length of the name, checksum
    fields = (inode, mode, 0, 0, 1, 0, len(data), 0, 0, 0, 0, len(raw), 0)
    head = b"070701" + b"".join(b"%08X" % field for field in fields) + raw
    return head + bytes(-len(head) % 4) + data + bytes(-len(data) % 4)
