"""The file in which a part of the cache travels: a tar, whole or not at all.

    goldsmith-cache.json    format, sha256 of the manifest
    manifest.json           every file: name, length, where its data lies, sha256 of the data
    layers/<id>/disk.qcow2  ... the data of each, without holes and blocks of zeros

Names are those in the home's cache. A name that ends in .gz or .tgz is compressed (zlib, level 1).
The sums find damage; who can write the file can write other sums too, so it is as trustworthy as
the place it lies in.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import os
import re
import tarfile
import zlib
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, BinaryIO, cast

from pydantic import TypeAdapter

from builder.disk.extents import BLOCK, data_extents
from builder.errors import ExitCode, GoldsmithError

FORMAT = 1
HEADER, MANIFEST = "goldsmith-cache.json", "manifest.json"
_NAME = re.compile(r"(layers|finished|bases)/[0-9a-f]{64}/[a-z][a-z0-9.-]{0,40}")
_CHUNK = 1024**2
_GZIP_BLOCK = 4 * 1024**2
_SMALL = 64 * 1024
_LARGEST_MANIFEST = 256 * 1024**2
_LARGEST_REST = 1024**2
_ZERO = bytes(BLOCK)


class BadCacheFile(GoldsmithError):
    """A file that `build cache export` did not make, or that is damaged."""

    code = "BadCacheFile"
    exit_code = ExitCode.BAD_TEMPLATE


@dataclass(frozen=True, slots=True)
class PackedFile:
    """A file of the archive. Only the data at `extents` ((start, length), ascending) is in it, one after
    the other; `sha256` is of that. `size` is the file's length, in bytes.
    """

    name: str
    size: int
    extents: tuple[tuple[int, int], ...]
    sha256: str

    @property
    def packed(self) -> int:
        """Bytes of it in the archive."""
        return sum(length for _, length in self.extents)


@dataclass(frozen=True, slots=True)
class Manifest:
    """What is in an archive, in that order."""

    files: tuple[PackedFile, ...]


@dataclass(frozen=True, slots=True)
class _Header:
    format: int
    manifest: str


def survey(name: str, path: Path) -> PackedFile:
    """How `path` will lie in the archive. Reads it once."""
    digest = hashlib.sha256()
    extents: list[tuple[int, int]] = []
    with path.open("rb", buffering=0) as file:
        size = os.fstat(file.fileno()).st_size
        for start, block in _blocks(file.fileno(), size):
            digest.update(block)
            if extents and sum(extents[-1]) == start:
                extents[-1] = (extents[-1][0], extents[-1][1] + len(block))
            else:
                extents.append((start, len(block)))
    return PackedFile(name, size, tuple(extents), digest.hexdigest())


def pack(files: Sequence[tuple[str, Path]], stream: BinaryIO, *, compress: bool) -> Manifest:
    """Write the files, under these names, as an archive. They must not change meanwhile. Raises OSError."""
    manifest = Manifest(tuple(survey(name, path) for name, path in files))
    text = json.dumps(asdict(manifest), separators=(",", ":")).encode()
    header = json.dumps(asdict(_Header(FORMAT, hashlib.sha256(text).hexdigest()))).encode()
    with (
        _compressed(stream) if compress else _plain(stream) as out,
        tarfile.open(fileobj=out, mode="w|", format=tarfile.GNU_FORMAT) as tar,
    ):
        for name, data in ((HEADER, header), (MANIFEST, text)):
            tar.addfile(_member(name, len(data)), io.BytesIO(data))
        for packed, (_, path) in zip(manifest.files, files, strict=True):
            with _Extents(path, packed.extents) as data_of:
                tar.addfile(_member(packed.name, packed.packed), data_of)
    return manifest


class Archive:
    """Context manager: an archive to read from the beginning to the end, once.

    Entering reads the manifest. Raises BadCacheFile, and OSError when the file cannot be read.
    """

    def __init__(self, file: Path) -> None:
        self.file = file
        self.manifest = Manifest(())

    def __enter__(self) -> Archive:
        raw = self.file.open("rb")
        try:
            with self._understood():
                compressed = raw.read(2) == b"\x1f\x8b"
                raw.seek(0)
                self._raw = raw
                self._stream = cast(IO[bytes], gzip.GzipFile(fileobj=raw)) if compressed else raw
                self._tar = tarfile.open(fileobj=self._stream, mode="r|")
            self.manifest = self._manifest()
        except BaseException:
            raw.close()
            raise
        return self

    def __exit__(self, *_error: object) -> None:
        self._tar.close()
        self._raw.close()

    def unpack(self, place_of: Callable[[PackedFile], Path | None]) -> None:
        """Verify everything, and write what has a place. Raises BadCacheFile at the first thing that is
        wrong, OSError when something cannot be written.
        """
        for expected in self.manifest.files:
            with self._member(expected.name, expected.packed) as data:
                place = place_of(expected)
                if place is None:
                    self._copy(expected, data, None)
                    continue
                place.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
                descriptor = os.open(place, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
                try:
                    os.ftruncate(descriptor, expected.size)
                    self._copy(expected, data, descriptor)
                finally:
                    os.close(descriptor)
        self._end()

    def wrong(self, why: str) -> BadCacheFile:
        """The error that says why this file is not imported."""
        return BadCacheFile(
            f"{self.file} cannot be imported: {why}.",
            details=("Nothing was imported.",),
            hint="Export it again with 'build cache export', and copy it whole.",
        )

    def _manifest(self) -> Manifest:
        try:
            header = TypeAdapter(_Header).validate_json(self._small(HEADER, _SMALL), strict=True)
        except ValueError as error:
            raise self.wrong("it is no file of 'build cache export'") from error
        if header.format != FORMAT:
            raise self.wrong(f"its format is {header.format}, this version reads {FORMAT}")
        text = self._small(MANIFEST, _LARGEST_MANIFEST)
        if hashlib.sha256(text).hexdigest() != header.manifest:
            raise self.wrong("its manifest is damaged")
        try:
            manifest = TypeAdapter(Manifest).validate_json(text, strict=True)
        except ValueError as error:
            raise self.wrong("its manifest is none") from error
        names = [file.name for file in manifest.files]
        if len(set(names)) != len(names) or not all(map(_is_sound, manifest.files)):
            raise self.wrong("its manifest names what cannot be in a cache")
        return manifest

    def _small(self, name: str, limit: int) -> bytes:
        with self._member(name, None) as data, self._understood():
            text = data.read(limit + 1)
        if len(text) > limit:
            raise self.wrong(f"{name} is too long")
        return text

    @contextmanager
    def _member(self, name: str, size: int | None) -> Iterator[IO[bytes]]:
        with self._understood():
            member = self._tar.next()
            # Only plain files: no link, no device, nothing that tar itself would put anywhere.
            data = self._tar.extractfile(member) if member is not None and member.isreg() else None
        if member is None:
            raise self.wrong(f"it ends before {name}" if size is not None else "it is no such file")
        if member.name != name or data is None or (size is not None and member.size != size):
            raise self.wrong(f"{member.name[:80]!r} is in it where {name} should be")
        with data:
            yield data

    def _copy(self, expected: PackedFile, data: IO[bytes], descriptor: int | None) -> None:
        digest = hashlib.sha256()
        for start, length in expected.extents:
            position, end = start, start + length
            while position < end:
                with self._understood():
                    chunk = data.read(min(_CHUNK, end - position))
                if not chunk:
                    raise self.wrong(f"{expected.name} is cut off")
                digest.update(chunk)
                if descriptor is not None:
                    _write(descriptor, chunk, position)
                position += len(chunk)
        if digest.hexdigest() != expected.sha256:
            raise self.wrong(f"{expected.name} is damaged")

    def _end(self) -> None:
        """Nothing may follow; and a compressed file's own sums are only compared at its end."""
        with self._understood():
            extra = self._tar.next()
            rest = self._stream.read(_LARGEST_REST)
        if extra is not None or rest.strip(b"\0"):
            raise self.wrong("it holds more than its manifest says")

    @contextmanager
    def _understood(self) -> Iterator[None]:
        """Whatever the readers of tar and gzip raise about their input, in our words."""
        try:
            yield
        except (tarfile.TarError, gzip.BadGzipFile, zlib.error, EOFError, ValueError) as error:
            raise self.wrong(f"it is damaged or cut off ({error})") from error


def _is_sound(file: PackedFile) -> bool:
    """Whether the name stays inside, and the extents inside the file, in order."""
    position = 0
    for start, length in file.extents:
        if start < position or length <= 0:
            return False
        position = start + length
    return _NAME.fullmatch(file.name) is not None and position <= file.size < 2**62


def _blocks(descriptor: int, size: int) -> Iterator[tuple[int, bytes]]:
    """(start, block) of what is neither a hole nor a whole block of zeros."""
    done = 0
    for start, end in data_extents(descriptor, size):
        position = max(done, start - start % BLOCK)
        while position < end:
            chunk = os.pread(descriptor, min(_CHUNK, size - position), position)
            if not chunk:
                return
            for offset in range(0, len(chunk), BLOCK):
                block = chunk[offset : offset + BLOCK]
                if block != _ZERO[: len(block)]:
                    yield position + offset, block
            position += len(chunk)
        done = position


def _write(descriptor: int, data: bytes, position: int) -> None:
    view = memoryview(data)
    while view:
        written = os.pwrite(descriptor, view, position)
        view, position = view[written:], position + written


def _member(name: str, size: int) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.size = size
    info.mode = 0o600
    return info


class _Extents(io.RawIOBase):
    """The data of a file at its extents, one after the other."""

    def __init__(self, path: Path, extents: Sequence[tuple[int, int]]) -> None:
        self._descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        self._left = deque(extents)

    def read(self, size: int = -1) -> bytes:
        parts: list[bytes] = []
        wanted = size
        while wanted > 0 and self._left:
            start, length = self._left.popleft()
            part = os.pread(self._descriptor, min(length, wanted), start)
            if not part:
                raise OSError("a file became shorter while it was read")
            if len(part) < length:
                self._left.appendleft((start + len(part), length - len(part)))
            parts.append(part)
            wanted -= len(part)
        return b"".join(parts)

    def close(self) -> None:
        if not self.closed:
            os.close(self._descriptor)
        super().close()


@contextmanager
def _plain(stream: BinaryIO) -> Iterator[BinaryIO]:
    yield stream


@contextmanager
def _compressed(stream: BinaryIO) -> Iterator[BinaryIO]:
    """Blocks compressed side by side, each a gzip member of its own: together they are one gzip file."""
    workers = min(4, os.cpu_count() or 1)
    with ThreadPoolExecutor(workers, thread_name_prefix="gzip") as pool:
        writer = _Gzip(stream, pool, workers)
        yield cast(BinaryIO, writer)  # all that tarfile needs of one
        writer.finish()


class _Gzip:
    def __init__(self, stream: BinaryIO, pool: ThreadPoolExecutor, workers: int) -> None:
        self._stream, self._pool, self._ahead = stream, pool, workers + 1
        self._buffer = bytearray()
        self._pending: deque[Future[bytes]] = deque()

    def write(self, data: bytes) -> int:
        self._buffer += data
        if len(self._buffer) >= _GZIP_BLOCK:
            self._submit()
        return len(data)

    def finish(self) -> None:
        if self._buffer:
            self._submit()
        while self._pending:
            self._stream.write(self._pending.popleft().result())

    def _submit(self) -> None:
        data, self._buffer = bytes(self._buffer), bytearray()
        self._pending.append(self._pool.submit(gzip.compress, data, 1, mtime=0))
        if len(self._pending) > self._ahead:
            self._stream.write(self._pending.popleft().result())
