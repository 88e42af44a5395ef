"""Images that publishers compress: unpacked as a stream, zeros as holes, within a limit.

The digest of a download is that of the compressed file; what comes out is bounded, so that a small file
cannot fill the disk.
"""

from __future__ import annotations

import bz2
import contextlib
import gzip
import lzma
import os
import shutil
import subprocess
import tempfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import BinaryIO, Literal, cast

from builder.cancellation import checkpoint
from builder.deadline import Deadline
from builder.download.errors import DownloadError
from builder.download.room import full, too_full
from builder.errors import EnvironmentProblem
from builder.events import EventBus, Wait

Compression = Literal["gzip", "xz", "zstd", "bzip2"]

# Azure's largest OS disk (aib-template.md: osDiskSizeGB up to 4095).
LIMIT = 4095 * 1024**3
_ENDINGS: dict[str, Compression] = {".gz": "gzip", ".xz": "xz", ".zst": "zstd", ".bz2": "bzip2"}
_MAGIC: dict[Compression, bytes] = {
    "gzip": b"\x1f\x8b\x08",
    "xz": b"\xfd7zXZ\0",
    "zstd": b"\x28\xb5\x2f\xfd",
    "bzip2": b"BZh",
}
_CHUNK = 1024 * 1024
_BLOCK = 4096
_ZERO = bytes(_BLOCK)
# Bytes that stay free on the disk; looked at after each so many that were written.
_SPARE = 256 * 1024 * 1024
_LOOK_EVERY = 64 * 1024 * 1024


def compression_of(file: Path, name: str) -> Compression | None:
    """How the file, published as `name`, is compressed: when its ending and its first bytes say the same.

    A raw disk may begin like a compressed file; only its publisher can call it so.
    """
    kind = _ENDINGS.get(Path(name).suffix.lower())
    if kind is None:
        return None
    with file.open("rb") as opened:
        return kind if opened.read(len(_MAGIC[kind])) == _MAGIC[kind] else None


def unpack(
    packed: Path, kind: Compression, dest: Path, *, deadline: Deadline, bus: EventBus, limit: int = LIMIT
) -> int:
    """Write what is in `packed` to the new file `dest`, zeros as holes, and return its size in bytes.

    Raises DownloadError when the file is damaged, cut short or larger than `limit`; EnvironmentProblem
    when the disk gets full or zstd is missing; BuildTimeoutError. Nothing is left then.
    """
    try:
        with Wait(bus, f"Unpacking {packed.name}") as wait, packed.open("rb") as raw:
            total = packed.stat().st_size

            def tell() -> None:
                checkpoint()
                deadline.remaining()
                wait.progress(min(raw.tell(), total), total, "bytes")

            with _READERS[kind](raw) as stream, dest.open("xb") as out:
                return _copy(stream, out, dest, limit, tell)
    except (EOFError, lzma.LZMAError, gzip.BadGzipFile, zlib.error, _Damaged) as error:
        dest.unlink(missing_ok=True)
        raise DownloadError(
            f"{packed} cannot be unpacked: it is damaged or cut short.",
            details=(str(error),),
            hint="Remove it and fetch it again.",
        ) from error
    except OSError as error:
        dest.unlink(missing_ok=True)
        if error.errno is None:  # bz2's way to say that the data is damaged
            raise DownloadError(f"{packed} cannot be unpacked: {error}.") from error
        raise full(dest, error) from error
    except BaseException:
        dest.unlink(missing_ok=True)
        raise


class _Damaged(Exception):
    """What a program said of its input."""


def _copy(stream: BinaryIO, out: BinaryIO, dest: Path, limit: int, tell: Callable[[], None]) -> int:
    size = looked = written = 0
    while chunk := stream.read(_CHUNK):
        size += len(chunk)
        if size > limit:
            raise DownloadError(
                f"What is in {dest.name} has more than {limit} bytes, the most that is taken.",
                hint="No OS disk is larger. Find out what the file really is.",
            )
        written += _write_sparse(out, chunk)
        if written - looked >= _LOOK_EVERY:
            looked = written
            if shutil.disk_usage(dest.parent).free < _SPARE:
                raise too_full(dest)
        tell()
    out.truncate(size)
    return size


def _write_sparse(out: BinaryIO, chunk: bytes) -> int:
    """Write a chunk, blocks of zeros as holes. Returns how many bytes really went out."""
    written, start, at = 0, 0, 0
    for at in range(0, len(chunk), _BLOCK):
        block = chunk[at : at + _BLOCK]
        if block == _ZERO[: len(block)]:
            if at > start:
                written += out.write(chunk[start:at])
            out.seek(len(block), os.SEEK_CUR)
            start = at + len(block)
    if start < len(chunk):
        written += out.write(chunk[start:])
    return written


@contextlib.contextmanager
def _zstd(raw: BinaryIO) -> Iterator[BinaryIO]:
    """By the program: Python has it in its library from 3.14 on only."""
    from builder.process import require, spawn

    program = require("zstd", "zstd")
    with tempfile.TemporaryFile() as said:
        with spawn([program, "-d", "-c", "-q"], stdin=raw, stdout=subprocess.PIPE, stderr=said) as child:
            if child.stdout is None:  # for the type checker: it was asked for
                raise EnvironmentProblem("zstd has no output.")
            yield cast("BinaryIO", child.stdout)
            code = child.wait(timeout=60)
        if code:
            said.seek(0)
            raise _Damaged(said.read(500).decode(errors="replace").strip())


def _gzip(raw: BinaryIO) -> AbstractContextManager[BinaryIO]:
    return cast("AbstractContextManager[BinaryIO]", gzip.GzipFile(fileobj=raw))


def _xz(raw: BinaryIO) -> AbstractContextManager[BinaryIO]:
    return cast("AbstractContextManager[BinaryIO]", lzma.LZMAFile(raw))


def _bzip2(raw: BinaryIO) -> AbstractContextManager[BinaryIO]:
    return cast("AbstractContextManager[BinaryIO]", bz2.BZ2File(raw))


_READERS: dict[Compression, Callable[[BinaryIO], AbstractContextManager[BinaryIO]]] = {
    "gzip": _gzip,
    "xz": _xz,
    "zstd": _zstd,
    "bzip2": _bzip2,
}
