"""XFS on disk: superblock, inodes, extents and directories, versions 4 and 5.

After "XFS Algorithms & Data Structures" (the file system's own documentation) and the kernel's
fs/xfs/libxfs/xfs_format.h, whose names the structures carry here. All numbers are big-endian. Checksums
are left to xfs_repair, which has looked at every image before it is read here; whatever does not add up
is an error, never an empty answer.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from builder.disk.view import LARGEST_FILE, UnsupportedFilesystem
from builder.errors import BuildError

MAGIC = b"XFSB"

_SIZES = struct.Struct(">HHHH")  # version, sector, inode, inodes in a block
_FEATURES2, _INCOMPATIBLE, _DIRECTORY_LOG = 200, 216, 192
_FTYPE_V4, _FTYPE_V5, _NEEDS_REPAIR = 0x200, 0x1, 0x10
# ftype, sparse inodes, meta UUID, bigtime, nrext64, exchange-range, parent pointers: none of them, the first
# apart, changes what is read here. What comes after them (metadir, zoned) is not known well enough.
_KNOWN_INCOMPATIBLE = 0x01 | 0x02 | 0x04 | 0x08 | 0x20 | 0x40 | 0x80

_INODES_MAGIC, _BUCKETS, _NO_INODE = b"XAGI", 64, 0xFFFFFFFF
_INODE_MAGIC = b"IN"
_CORE_V2, _CORE_V3 = 100, 176
_ON_REALTIME, _LARGE_COUNTERS = 0x1, 0x10
_DEVICE, _LOCAL, _EXTENTS, _BTREE = range(4)

_EXTENT = struct.Struct(">QQ")
_BMAP_MAGICS = (b"BMAP", b"BMA3")
_MOST_LEVELS = 12
_NOWHERE = (1 << 64) - 1

_DIRECTORY_MAGICS = {b"XD2B": 16, b"XD2D": 16, b"XDB3": 64, b"XDD3": 64}
_ONE_BLOCK = (b"XD2B", b"XDB3")
# Behind this lie the hashes and the free-space index of a directory; names are only in front of it.
_LEAF_OFFSET = 1 << 35
_UNUSED_ENTRY = 0xFFFF
_LINK_MAGIC, _LINK_HEADER = b"XSLM", 56


@dataclass(frozen=True, slots=True)
class Extent:
    """`count` blocks of a file from its block `logical` on, at block `physical` of the file system.
    `unwritten` ones are reserved, and read as zeros.
    """

    logical: int
    physical: int
    count: int
    unwritten: bool


@dataclass(frozen=True, slots=True)
class Inode:
    """An inode. `mode` as in stat(2), `size` in bytes; `fork` is the raw data fork in its `format`;
    `next_unlinked` leads on, within its group, in a list of deleted ones.
    """

    number: int
    mode: int
    uid: int
    gid: int
    size: int
    format: int
    extents: int
    fork: bytes
    next_unlinked: int

    @property
    def kind(self) -> int:
        """The file type bits of the mode."""
        return self.mode & 0o170000


class XfsVolume:
    """The XFS at `offset` bytes of a raw disk or fixed VHD.

    Raises UnsupportedFilesystem when there is none, or one with features that are not known here; every
    method raises BuildError where the structures contradict themselves.
    """

    def __init__(self, path: Path, offset: int) -> None:
        self.path, self.offset = path, offset
        raw = self._pread(0, 512)
        if raw[:4] != MAGIC:
            raise UnsupportedFilesystem(f"There is no XFS at byte {offset} of {path}.")
        self._block, self.root = _u32(raw, 4), _u64(raw, 56)
        self._group_blocks, self._groups = _u32(raw, 84), _u32(raw, 88)
        version, self._sector, self._inode, self._per_block = _SIZES.unpack_from(raw, 100)
        block_log, _, _, self._inode_log, self._group_log = raw[120:125]
        self._check_features(raw, version & 0xF)
        self._directory_block = self._block << raw[_DIRECTORY_LOG]
        sane = (
            512 <= self._block <= 65536
            and self._block == 1 << block_log
            and 256 <= self._inode <= 2048
            and self._per_block == 1 << self._inode_log == self._block // self._inode
            and 0 < self._group_blocks <= 1 << self._group_log <= 1 << 31
            and self._directory_block <= 65536
        )
        if not sane:
            raise self._damaged("the superblock makes no sense")

    def _check_features(self, raw: bytes, version: int) -> None:
        if version not in (4, 5):
            raise UnsupportedFilesystem(
                f"The XFS at byte {self.offset} of {self.path} has version {version}."
            )
        self._large_counters = False
        if version == 4:
            self._file_types = bool(_u32(raw, _FEATURES2) & _FTYPE_V4)
            return
        features = _u32(raw, _INCOMPATIBLE)
        if features & _NEEDS_REPAIR:
            raise self._damaged("it is marked as needing repair")
        if features & ~_KNOWN_INCOMPATIBLE:
            raise UnsupportedFilesystem(
                f"The XFS at byte {self.offset} of {self.path} has features that are not known here "
                f"({features & ~_KNOWN_INCOMPATIBLE:#x})."
            )
        self._file_types = bool(features & _FTYPE_V5)

    def inode(self, number: int) -> Inode:
        """Read an inode that is in use."""
        group, inside = divmod(number, 1 << (self._group_log + self._inode_log))
        block, index = divmod(inside, self._per_block)
        if group >= self._groups or block >= self._group_blocks:
            raise self._damaged(f"inode {number} lies outside")
        start = (group * self._group_blocks + block) * self._block + index * self._inode
        raw = self._pread(start, self._inode)
        version = raw[4]
        if raw[:2] != _INODE_MAGIC or version not in (2, 3):
            raise self._damaged(f"there is no inode {number}")
        mode = int.from_bytes(raw[2:4], "big")
        if int.from_bytes(raw[90:92], "big") & _ON_REALTIME and mode & 0o170000 == 0o100000:
            raise UnsupportedFilesystem(f"Inode {number} on {self.path} lies on a realtime device.")
        large = version == 3 and _u64(raw, 120) & _LARGE_COUNTERS
        core = _CORE_V3 if version == 3 else _CORE_V2
        if version == 3 and _u64(raw, 152) != number:
            raise self._damaged(f"inode {number} calls itself {_u64(raw, 152)}")
        end = core + raw[82] * 8 if raw[82] else self._inode
        return Inode(
            number=number,
            mode=mode,
            uid=_u32(raw, 8),
            gid=_u32(raw, 12),
            size=_u64(raw, 56),
            format=raw[5],
            extents=_u64(raw, 24) if large else _u32(raw, 76),
            fork=raw[core : min(end, self._inode)],
            next_unlinked=_u32(raw, 96),
        )

    def orphans(self) -> list[int]:
        """Inodes on the lists of what was deleted while somebody had it open."""
        found: dict[int, None] = {}
        for group in range(self._groups):
            header = self._pread(group * self._group_blocks * self._block + 2 * self._sector, 512)
            if header[:4] != _INODES_MAGIC:
                raise self._damaged(f"allocation group {group} has no list of inodes")
            for (first,) in struct.iter_unpack(">I", header[40 : 40 + 4 * _BUCKETS]):
                inside = first
                while inside != _NO_INODE:
                    number = group << (self._group_log + self._inode_log) | inside
                    if number in found:
                        raise self._damaged(f"the list of unlinked inodes runs in a circle at {number}")
                    found[number] = None
                    inside = self.inode(number).next_unlinked
        return list(found)

    def content(self, inode: Inode) -> bytes:
        """The bytes of a regular file; holes and what was never written are zeros."""
        if inode.size > LARGEST_FILE:
            raise BuildError(f"A file of {inode.size} bytes on {self.path} is too large to be looked into.")
        if inode.format == _LOCAL:
            return inode.fork[: inode.size]
        data = bytearray(inode.size)
        for extent in self.extents(inode):
            start = extent.logical * self._block
            length = min(extent.count * self._block, inode.size - start)
            if length > 0 and not extent.unwritten:
                data[start : start + length] = self._pread(self.byte(extent), length)
        return bytes(data)

    def target(self, inode: Inode) -> str:
        """Where a symbolic link points."""
        if inode.format == _LOCAL:
            return _text(inode.fork[: inode.size])
        raw = b""
        for extent in self.extents(inode):
            piece = self._pread(self.byte(extent), extent.count * self._block)
            raw += piece[_LINK_HEADER:][: _u32(piece, 8)] if piece[:4] == _LINK_MAGIC else piece
        if not 0 < inode.size <= len(raw):
            raise self._damaged(f"the symbolic link {inode.number} is cut short")
        return _text(raw[: inode.size])

    def names(self, inode: Inode) -> dict[str, int]:
        """The names in a directory without `.` and `..`, and their inode numbers."""
        found: dict[str, int] = {}
        pieces = (
            [self._short(inode.fork)] if inode.format == _LOCAL else map(self._entries, self._blocks(inode))
        )
        for piece in pieces:
            for name, number in piece:
                if name not in (b".", b".."):
                    found[_text(name)] = number
        return found

    def extents(self, inode: Inode) -> Iterator[Extent]:
        """Where the blocks of a file lie, in the file's order."""
        if inode.format == _EXTENTS:
            yield from self._records(inode.fork, inode.extents)
        elif inode.format == _BTREE:
            yield from self._tree(inode)
        else:
            raise self._damaged(f"inode {inode.number} has data of format {inode.format}")

    def _records(self, raw: bytes, count: int) -> Iterator[Extent]:
        if count * _EXTENT.size > len(raw):
            raise self._damaged(f"{count} extents where there is no room for them")
        for high, low in _EXTENT.iter_unpack(raw[: count * _EXTENT.size]):
            yield Extent(
                logical=(high >> 9) & ((1 << 54) - 1),
                physical=(high & 0x1FF) << 43 | low >> 21,
                count=low & ((1 << 21) - 1),
                unwritten=bool(high >> 63),
            )

    def _tree(self, inode: Inode) -> Iterator[Extent]:
        """The leaves of a file's block map from the left, each of which names the next."""
        level = int.from_bytes(inode.fork[:2], "big")
        block = _u64(inode.fork, 4 + (len(inode.fork) - 4) // 16 * 8)
        if not 0 < level <= _MOST_LEVELS:
            raise self._damaged(f"the block map of inode {inode.number} has {level} levels")
        left = inode.extents
        while block != _NOWHERE:
            raw = self._pread(self._place(block) * self._block, self._block)
            header = 72 if raw[:4] == _BMAP_MAGICS[1] else 24
            level -= 1 if level else 0
            if raw[:4] not in _BMAP_MAGICS or int.from_bytes(raw[4:6], "big") != level:
                raise self._damaged(f"the block map of inode {inode.number} is broken at block {block}")
            if level:
                block = _u64(raw, header + (self._block - header) // 16 * 8)
                continue
            count = int.from_bytes(raw[6:8], "big")
            left -= count
            if left < 0 or not count:  # also what keeps a ring of leaves from going on for ever
                raise self._damaged(f"the block map of inode {inode.number} has more extents than it says")
            yield from self._records(raw[header:], count)
            block = _u64(raw, 16)

    def _blocks(self, inode: Inode) -> Iterator[bytes]:
        """The blocks of a directory that hold names; each may lie in several extents."""
        pieces: dict[int, bytes] = {}
        total = 0
        for extent in self.extents(inode):
            if extent.logical * self._block >= _LEAF_OFFSET:
                continue
            total += extent.count * self._block
            if total > LARGEST_FILE:
                raise self._damaged(f"the directory {inode.number} is larger than any")
            raw = self._pread(self.byte(extent), extent.count * self._block)
            for index in range(extent.count):
                pieces[extent.logical + index] = raw[index * self._block :][: self._block]
        step = self._directory_block // self._block
        for first in sorted({number - number % step for number in pieces}):
            parts = [pieces.get(first + index) for index in range(step)]
            if None in parts:
                raise self._damaged(f"a block of the directory {inode.number} is missing")
            yield b"".join(part for part in parts if part is not None)

    def _entries(self, raw: bytes) -> Iterator[tuple[bytes, int]]:
        """The names in one block of a directory."""
        position, end = _DIRECTORY_MAGICS.get(raw[:4], 0), len(raw)
        if not position:
            raise self._damaged("a block of a directory is none")
        if raw[:4] in _ONE_BLOCK:  # the hashes follow in the same block, their number at its end
            end -= 8 + 8 * _u32(raw, end - 8)
        while position < end:
            if int.from_bytes(raw[position : position + 2], "big") == _UNUSED_ENTRY:
                length = int.from_bytes(raw[position + 2 : position + 4], "big")
            else:
                size = raw[position + 8]
                length = -(-(8 + 1 + size + self._file_types + 2) // 8) * 8
                yield raw[position + 9 : position + 9 + size], _u64(raw, position)
            if length < 8 or position + length > end:
                raise self._damaged("the names of a directory run over their block")
            position += length

    def _short(self, raw: bytes) -> Iterator[tuple[bytes, int]]:
        """The names of a directory that fits into its inode."""
        wide = 8 if raw[1] else 4
        position = 2 + wide
        for _ in range(raw[0]):
            size = raw[position] if position < len(raw) else 0
            start, after = position + 3, position + 3 + size + self._file_types
            if not size or after + wide > len(raw):
                raise self._damaged("the names of a directory run over their inode")
            yield raw[start : start + size], int.from_bytes(raw[after : after + wide], "big")
            position = after + wide

    def byte(self, extent: Extent) -> int:
        """Where it begins, in bytes from the file system's start."""
        first, last = self._place(extent.physical), self._place(extent.physical + extent.count - 1)
        if last - first != extent.count - 1:
            raise self._damaged("an extent lies in two allocation groups")
        return first * self._block

    def _place(self, block: int) -> int:
        """A block's number from the file system's start: in the one it is written with, groups have gaps."""
        group, inside = divmod(block, 1 << self._group_log)
        if group >= self._groups or inside >= self._group_blocks:
            raise self._damaged(f"block {block} lies outside")
        return group * self._group_blocks + inside

    def _pread(self, start: int, length: int) -> bytes:
        with self.path.open("rb", buffering=0) as file:
            file.seek(self.offset + start)
            raw = file.read(length)
        if len(raw) != length:
            raise self._damaged("it is cut short")
        return raw

    def _damaged(self, why: str) -> BuildError:
        return BuildError(f"The XFS at byte {self.offset} of {self.path} is damaged: {why}.")


def _u32(raw: bytes, at: int) -> int:
    return int.from_bytes(raw[at : at + 4], "big")


def _u64(raw: bytes, at: int) -> int:
    return int.from_bytes(raw[at : at + 8], "big")


def _text(raw: bytes) -> str:
    """A name as text that can be printed; the same text finds it again."""
    return raw.decode(errors="backslashreplace")
