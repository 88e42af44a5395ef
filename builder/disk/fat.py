"""Looking into a FAT file system on an image without mounting it, through mtools."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from builder import process
from builder.errors import BuildError

PACKAGE = "mtools"
_TIMEOUT = 60.0
_FAILED = 1
# The geometry means nothing here, and a person's own ~/.mtoolsrc is none of our business.
_ENV = {"MTOOLS_SKIP_CHECK": "1", "MTOOLSRC": os.devnull}


class FatImage:
    """A read-only view of the FAT file system at `offset` bytes of a raw disk or fixed VHD.

    Paths are absolute and compared without case. Raises BuildError when mtools cannot read it,
    EnvironmentProblem when there is no mtools.
    """

    def __init__(self, path: Path, offset: int) -> None:
        self._where = f"{path}@@{offset}"
        if self.listdir("/") is None:
            raise BuildError(f"The FAT file system at byte {offset} of {path} cannot be read.")

    def read(self, path: str) -> bytes | None:
        """The content of a file; None when there is none."""
        with tempfile.TemporaryDirectory(prefix="goldsmith-fat-") as folder:
            copy = Path(folder, "file")
            self._run("mcopy", "-n", f"::{path}", str(copy))
            return copy.read_bytes() if copy.is_file() else None

    def listdir(self, path: str) -> list[str] | None:
        """The names in a directory, sorted; None when it is none."""
        done = self._run("mdir", "-b", "-a", f"::{path.rstrip('/')}/")
        if done.exit_code:
            return [] if path == "/" and "not found" in done.stderr else None
        return sorted(line.rstrip("/").rsplit("/", 1)[-1] for line in done.stdout.splitlines() if line)

    def readlink(self, path: str) -> str | None:
        """None: FAT has no symbolic links."""
        return None

    def _run(self, program: str, *words: str) -> process.Completed:
        option, *rest = words
        argv = [process.require(program, PACKAGE), option, "-i", self._where, *rest]
        return process.run(argv, timeout=_TIMEOUT, ok=(0, _FAILED), env=_ENV)
