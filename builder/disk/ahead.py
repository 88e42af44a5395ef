"""A copy of a file made before it is known whether it will be wanted, beside other work."""

from __future__ import annotations

import threading
from collections.abc import Callable
from io import FileIO
from pathlib import Path

from builder.background import Background
from builder.cancellation import checkpoint, stoppable
from builder.disk.extents import copy_data, give_name, nameless_file, part_of, sync_directory

_LOOK_SECONDS = 0.2
_END_SECONDS = 30.0


class CopyAhead:
    """It has no name until `appear`, so that it is gone with this process unless it was asked for."""

    def __init__(self, source: Path, file: FileIO) -> None:
        self.source = source
        self._file = file
        self._stop = threading.Event()
        self._failure: BaseException | None = None
        self._copying = Background(self._copy, "copy-ahead")
        self._copying.start()

    @classmethod
    def begin(cls, source: Path, folder: Path) -> CopyAhead | None:
        """Start copying `source` to the file system of `folder`; None where files need a name from the
        start. `source` must not change any more. Raises OSError.
        """
        file = nameless_file(folder)
        return None if file is None else cls(source, file)

    def appear(self, destination: Path, verify: Callable[[Path], object]) -> None:
        """Put the copy in place of `destination`, in the folder it was begun for, in one step; it is on the
        disk then. `verify` sees it first. Raises what it raises, and OSError.
        """
        part = part_of(destination)
        try:
            while not self._copying.wait(_LOOK_SECONDS):
                checkpoint()
            if self._failure is not None:
                raise self._failure
            verify(Path(f"/proc/self/fd/{self._file.fileno()}"))
            give_name(self._file.fileno(), part)
            part.replace(destination)
            sync_directory(destination.parent)
        finally:
            self.forget()
            part.unlink(missing_ok=True)

    def forget(self) -> None:
        """Let go of it; without a name it is gone. Safe to call twice."""
        self._stop.set()
        if self._copying.wait(_END_SECONDS):  # else a dead disk holds it; the descriptor must stay its own
            self._file.close()

    def _copy(self) -> None:
        try:
            with stoppable(self._stop), self.source.open("rb", buffering=0) as source:
                copy_data(source.fileno(), self._file.fileno())
        except BaseException as error:  # whoever asks for the copy gets to know
            self._failure = error
