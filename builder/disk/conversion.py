"""qemu-img convert, followed as it goes: how far it is, and in words what keeps it from going on."""

from __future__ import annotations

import os
import re
import select
import subprocess
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from builder import process
from builder.cancellation import checkpoint
from builder.disk import qemu_img
from builder.errors import EnvironmentProblem
from builder.process import ProcessError

Progress = Callable[[int], None]
"""Told percent, rising."""

_PERCENT = re.compile(rb"\(([0-9.]+)/100%\)")
# The last is how qemu-img says EFBIG of a VHD; one that VHD itself could not hold is refused before.
_NO_ROOM = (
    "No space left on device",
    "Disk quota exceeded",
    "File too large",
    "SIGXFSZ",
    "size is too large for file format",
)
_POLL_SECONDS = 0.5
_SAID = 4000


def fill_vhd(source: str, destination: Path, *, size: int, timeout: float, progress: Progress) -> int:
    """Write the disk that the `json:` name `source` describes as a sparse fixed VHD; its virtual size, `size`
    rounded up to a whole MiB. Raises ProcessError, and EnvironmentProblem when there is no room.
    """
    whole = qemu_img.round_up_to_mib(size)
    create(destination, "vpc", whole, qemu_img.VHD_OPTIONS)
    convert(qemu_img.convert_argv(source, destination, "vpc", into=True), destination, timeout, progress)
    return whole


def create(path: Path, image_format: str, size: int, options: str) -> None:
    """An empty image. Raises as `convert` does."""
    process.require("qemu-img", qemu_img.PACKAGE)
    try:
        process.run(qemu_img.create_argv(path, image_format, size, options), timeout=qemu_img.QUICK)
    except ProcessError as error:
        raise _explained(error, path) from error


def convert(argv: Sequence[str], destination: Path, timeout: float, progress: Progress) -> None:
    """Run a `qemu-img convert`. Raises ProcessError when it fails or needs more than `timeout` seconds, and
    EnvironmentProblem when there is no room for `destination`.
    """
    process.require("qemu-img", qemu_img.PACKAGE)
    try:
        _run([*argv[:2], "-p", *argv[2:]], timeout, progress)
    except ProcessError as error:
        raise _explained(error, destination) from error


def _run(argv: Sequence[str], timeout: float, progress: Progress) -> None:
    end = time.monotonic() + timeout
    with (
        tempfile.TemporaryFile() as said,
        process.spawn(argv, stdout=subprocess.PIPE, stderr=said) as child,
    ):
        if child.stdout is None:  # for the type checker: it was asked for
            raise EnvironmentProblem("qemu-img has no output.")
        tail = b""
        while True:
            checkpoint()
            if time.monotonic() >= end:
                raise _failed(argv, f"qemu-img did not finish within {timeout:.0f} s.", None, said.fileno())
            if not select.select([child.stdout], [], [], _POLL_SECONDS)[0]:
                continue
            chunk = child.stdout.read1(4096)  # type: ignore[attr-defined]  # a BufferedReader
            if not chunk:
                break
            tail = (tail + chunk)[-64:]
            found = _PERCENT.findall(tail)
            if found:
                progress(int(float(found[-1])))
        code = child.wait(timeout=max(1.0, end - time.monotonic()))
        if code:
            raise _failed(argv, process.how_it_ended(argv[0], code), code, said.fileno())


def _failed(argv: Sequence[str], message: str, code: int | None, said: int) -> ProcessError:
    output = os.pread(said, _SAID, max(0, os.fstat(said).st_size - _SAID)).decode(errors="replace")
    return ProcessError(message, argv=argv, exit_code=code, output=output)


def _explained(error: ProcessError, destination: Path) -> ProcessError | EnvironmentProblem:
    if not any(word in f"{error.message} {error.output}" for word in _NO_ROOM):
        return error
    return EnvironmentProblem(
        f"There is no room for {destination.name} in {destination.parent}.",
        details=error.details,
        hint="Free some space, or choose another place; inside Goldsmith's home 'build gc' helps.",
    )
