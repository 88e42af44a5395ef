"""What is in an initramfs: its names, found without unpacking anything to a disk.

An initramfs is a sequence of cpio archives ("newc"), plain ones (microcode) before compressed ones, as the
kernel's Documentation/driver-api/early-userspace/buffer-format.rst has it. It comes from an image that
may be anybody's: memory, time and the number of names have a limit, and what is damaged is said.
"""

from __future__ import annotations

import bz2
import lzma
import re
import time
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass

LARGEST = 512 * 1024**2
"""Bytes of an initramfs, as it lies on the disk, that are looked at at most."""
MOST_UNPACKED = 2 * 1024**3
MOST_NAMES = 200_000
MOST_SECONDS = 60.0
_CHUNK = 1024**2
_MOST_MEMORY = 256 * 1024**2
_HEADER = 110
_LONGEST_NAME = 4096
_MAGICS = (b"070701", b"070702")
_END = "TRAILER!!!"
_LZ4_LEGACY, _LZ4_FRAME = b"\x02\x21\x4c\x18", b"\x04\x22\x4d\x18"
# What four bytes become is a block of 128 KiB at most, and this is given in one go: 128 MiB at most.
_SMALL = 4096
_ZSTD = b"\x28\xb5\x2f\xfd"
_LZ4_BLOCK = 8 * 1024**2
_MODULE = re.compile(r"(?:^|/)lib/modules/([^/]+)/(?:.*/)?([^/]+)\.ko(?:\.(?:gz|xz|zst|bz2))?$")


class InitramfsError(Exception):
    """It cannot be read; the text says why."""


@dataclass(frozen=True, slots=True)
class Contents:
    """The modules in an initramfs by their names (`_` for `-`), the kernel versions they are for, and how
    it is compressed.
    """

    modules: frozenset[str]
    versions: frozenset[str]
    compression: str


def read(data: bytes) -> Contents:
    """Look through a whole initramfs. Raises InitramfsError."""
    if len(data) > LARGEST:
        raise InitramfsError(f"it has {len(data)} bytes; {LARGEST} are looked at at most")
    archive = _Archive()
    compression, at = "none", 0
    while True:
        at = _after_zeros(data, at)
        if at >= len(data):
            break
        if data[at : at + 6] in _MAGICS:
            at = _plain(data, at, archive)
            continue
        name, stream = _stream_of(data, at)
        compression = name
        archive.ended = False
        try:
            for chunk in stream:
                archive.feed(chunk)
                if archive.is_over:
                    break
        except InitramfsError:
            raise
        except Exception as error:  # each library has errors of its own
            if not archive.ended:
                raise InitramfsError(
                    f"its {name} data is damaged: {error or type(error).__name__}"
                ) from error
        break  # whatever the kernel would still unpack after it: nobody makes such a file
    if not archive.ended:
        raise InitramfsError("it ends in the middle of its archive")
    return Contents(frozenset(archive.modules), frozenset(archive.versions), compression)


def _after_zeros(data: bytes, at: int) -> int:
    while at < len(data) and not data[at]:
        step = min(len(data), at + _CHUNK)
        rest = data[at:step].lstrip(b"\0")
        at = step - len(rest)
        if rest:
            break
    return at


def _plain(data: bytes, at: int, archive: _Archive) -> int:
    """Take a cpio that is not compressed; returns where it ends."""
    archive.ended = False
    start = at
    while at < len(data) and not archive.ended:
        chunk = data[at : at + _CHUNK]
        archive.feed(chunk)
        at += len(chunk)
    if not archive.ended:
        raise InitramfsError("it ends in the middle of its archive")
    return max(start + 1, at - archive.left_over())


class _Archive:
    """Takes the bytes of cpio archives as they come and keeps the names of modules; contents are skipped."""

    def __init__(self) -> None:
        self.modules: set[str] = set()
        self.versions: set[str] = set()
        self.ended = False
        self._buffer = bytearray()
        self._skip = 0
        self._names = 0
        self._bytes = 0
        self._until = time.monotonic() + MOST_SECONDS

    def feed(self, chunk: bytes) -> None:
        """Raises InitramfsError when it is no cpio, or a limit is reached."""
        self._bytes += len(chunk)
        if self._bytes > MOST_UNPACKED:
            raise InitramfsError(f"it unpacks to more than {MOST_UNPACKED // 1024**2} MiB")
        if time.monotonic() > self._until:
            raise InitramfsError(f"it took longer than {MOST_SECONDS:.0f} s")
        skipped = min(self._skip, len(chunk))
        self._skip -= skipped
        self._buffer += memoryview(chunk)[skipped:]
        at = 0
        while not self._skip:
            used = self._entry(at)
            if not used:
                break
            at += used
        del self._buffer[:at]

    @property
    def is_over(self) -> bool:
        """Whether something else than an archive follows its end."""
        return self.ended and bool(self._buffer) and self._buffer[:6] not in _MAGICS

    def left_over(self) -> int:
        """How many of the bytes that were fed lie behind the end of the archive."""
        left = len(self._buffer)
        self._buffer.clear()
        self._skip = 0
        return left

    def _entry(self, at: int) -> int:
        """Take one entry of the buffer, and say how many bytes it has there; 0: more is needed."""
        if self.ended:
            # Between two archives there may be zeros, which fill up.
            zeros = len(self._buffer) - at - len(self._buffer[at:].lstrip(b"\0"))
            if zeros:
                return zeros
            if self._buffer[at : at + 6] not in _MAGICS:
                return 0
        if len(self._buffer) - at < _HEADER:
            return 0
        header = bytes(self._buffer[at : at + _HEADER])
        if header[:6] not in _MAGICS:
            raise InitramfsError("what it holds is no cpio archive")
        try:
            size, length = int(header[54:62], 16), int(header[94:102], 16)
        except ValueError:
            raise InitramfsError("an entry of its archive is damaged") from None
        if not 0 < length <= _LONGEST_NAME:
            raise InitramfsError("an entry of its archive has a name that is too long")
        whole = -(-(_HEADER + length) // 4) * 4
        if len(self._buffer) - at < whole:
            return 0
        self._note(bytes(self._buffer[at + _HEADER : at + _HEADER + length - 1]).decode(errors="replace"))
        return whole if self.ended else self._past(at, whole, -(-size // 4) * 4)

    def _past(self, at: int, whole: int, content: int) -> int:
        here = min(content, len(self._buffer) - at - whole)
        self._skip = content - here
        return whole + here

    def _note(self, name: str) -> None:
        self.ended = name == _END
        self._names += 1
        if self._names > MOST_NAMES:
            raise InitramfsError(f"it has more than {MOST_NAMES} files")
        found = _MODULE.search(name)
        if found:
            self.versions.add(found[1])
            self.modules.add(found[2].replace("-", "_"))


def _stream_of(data: bytes, at: int) -> tuple[str, Iterator[bytes]]:
    """How the rest of an initramfs is compressed, and its content."""
    magic = data[at : at + 6]
    for start, name, make in _COMPRESSIONS:
        if magic.startswith(start):
            return name, make(memoryview(data)[at:])
    if magic.startswith(b"\x89LZO"):
        raise InitramfsError("it is compressed with lzo, which nothing here unpacks")
    raise InitramfsError("it is neither a cpio archive nor compressed in a way that is known here")


def _gzip(data: memoryview) -> Iterator[bytes]:
    unpack = zlib.decompressobj(31)
    rest: bytes | memoryview = data
    while not unpack.eof:
        chunk = unpack.decompress(rest, _CHUNK)
        rest = unpack.unconsumed_tail
        if not chunk and not rest and not unpack.eof:
            raise InitramfsError("its gzip data ends too early")
        yield chunk


def _stepwise(data: memoryview, unpack: lzma.LZMADecompressor | bz2.BZ2Decompressor) -> Iterator[bytes]:
    given = bytes(data)
    while not unpack.eof:
        chunk = unpack.decompress(given, _CHUNK)
        given = b""
        if not chunk and unpack.needs_input:
            raise InitramfsError("its compressed data ends too early")
        yield chunk


def _xz(data: memoryview) -> Iterator[bytes]:
    return _stepwise(data, lzma.LZMADecompressor(memlimit=_MOST_MEMORY))


def _bzip2(data: memoryview) -> Iterator[bytes]:
    return _stepwise(data, bz2.BZ2Decompressor())


def _zstd(data: memoryview) -> Iterator[bytes]:
    import zstandard

    at = 0
    while data[at : at + 4] == _ZSTD:  # each frame of several
        unpack = zstandard.ZstdDecompressor(max_window_size=_MOST_MEMORY).decompressobj()
        while not unpack.eof:
            given = data[at : at + _SMALL]
            if not given:
                raise InitramfsError("its zstd data ends too early")
            yield unpack.decompress(given)
            at += len(given)
        at -= len(unpack.unused_data)


def _lz4_legacy(data: memoryview) -> Iterator[bytes]:
    """What `lz4 -l` writes and the kernel takes: blocks with their length, each of 8 MiB unpacked."""
    import lz4.block

    at = len(_LZ4_LEGACY)
    while at + 4 <= len(data):
        length = int.from_bytes(data[at : at + 4], "little")
        at += 4
        if length == int.from_bytes(_LZ4_LEGACY, "little"):
            continue  # another one begins
        if not length or at + length > len(data):
            return  # the file fills up with zeros
        yield lz4.block.decompress(bytes(data[at : at + length]), uncompressed_size=_LZ4_BLOCK)
        at += length


def _lz4(data: memoryview) -> Iterator[bytes]:
    import lz4.frame

    unpack = lz4.frame.LZ4FrameDecompressor()
    given: bytes | memoryview = data
    while not unpack.eof:
        chunk = unpack.decompress(given, max_length=_CHUNK)
        given = b""
        if not chunk and unpack.needs_input:
            raise InitramfsError("its lz4 data ends too early")
        yield chunk


_COMPRESSIONS: tuple[tuple[bytes, str, Callable[[memoryview], Iterator[bytes]]], ...] = (
    (b"\x1f\x8b", "gzip", _gzip),
    (b"\xfd7zXZ\0", "xz", _xz),
    (b"\x5d\0\0", "lzma", _xz),
    (_ZSTD, "zstd", _zstd),
    (b"BZh", "bzip2", _bzip2),
    (_LZ4_LEGACY, "lz4", _lz4_legacy),
    (_LZ4_FRAME, "lz4", _lz4),
)
