"""Compressing a disk as a stream, by the program of each kind: holes are read as the zeros they are."""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Callable
from typing import BinaryIO, cast

from builder.cancellation import checkpoint
from builder.deadline import Deadline
from builder.errors import BuildError, EnvironmentProblem
from builder.interchange.kind import Packing
from builder.process import how_it_ended, require, spawn

# All on every core that there is; the same data gives the same file.
_PROGRAMS: dict[Packing, tuple[str, str, tuple[str, ...]]] = {
    "zstd": ("zstd", "zstd", ("-T0", "-q", "-c")),
    "xz": ("xz", "xz-utils", ("-T0", "-q", "-c")),
    "zlib": ("gzip", "gzip", ("-n", "-c")),
}
_CHUNK = 1024 * 1024
_NO_ROOM = ("No space left on device", "Disk quota exceeded", "File too large", "SIGXFSZ")
_END_SECONDS = 600.0


def compress(
    source: BinaryIO,
    size: int,
    packing: Packing,
    destination: int,
    *,
    deadline: Deadline,
    progress: Callable[[int], None],
) -> None:
    """Write the first `size` bytes of `source` compressed to the descriptor `destination`; `progress` is told
    the bytes that went in. Raises EnvironmentProblem (no program, no room), BuildError, BuildTimeoutError.
    """
    name, package, options = _PROGRAMS[packing]
    argv = [require(name, package), *options]
    with tempfile.TemporaryFile() as said, open(destination, "wb", closefd=False) as out:
        with spawn(argv, stdin=subprocess.PIPE, stdout=out, stderr=said) as child:
            broken = False
            try:
                _feed(source, size, cast("BinaryIO", child.stdin), deadline, progress)
            except BrokenPipeError:
                broken = True  # why, its end says
            code = child.wait(timeout=deadline.remaining(_END_SECONDS))
        if code or broken:
            said.seek(0)
            raise _failed(name, code, said.read(2000).decode(errors="replace").strip())


def _feed(
    source: BinaryIO, size: int, into: BinaryIO, deadline: Deadline, progress: Callable[[int], None]
) -> None:
    done = 0
    with into:
        while done < size:
            checkpoint()
            deadline.remaining()
            data = os.pread(source.fileno(), min(_CHUNK, size - done), done)
            if not data:
                raise BuildError("The disk became shorter while it was read.")
            into.write(data)
            done += len(data)
            progress(done)


def _failed(name: str, code: int, said: str) -> BuildError | EnvironmentProblem:
    ended = how_it_ended(name, code)
    if any(word in f"{ended} {said}" for word in _NO_ROOM):
        return EnvironmentProblem(
            "There is no room for the compressed file.",
            details=(said,),
            hint="Free some space, or choose another place.",
        )
    return BuildError(f"Compressing failed: {ended}", details=(said,) if said else ())
