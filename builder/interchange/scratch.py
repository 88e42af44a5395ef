"""A private folder for work that is no build, swept by `build gc` like a build's workspace."""

from __future__ import annotations

import contextlib
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from builder.cancellation import shielded
from builder.errors import ConflictError
from builder.journal import Journal
from builder.lock import FileLock
from builder.workspace import RECORD, Places, clear, write_json
from builder.workspace_name import clean_name

if TYPE_CHECKING:
    from builder.events import EventBus
    from builder.settings import Home

_CLEAR_SECONDS = 60.0


class Scratch:
    """`staging/<name>/` with lock and journal beside it. Entering it is refused while another process is in
    it, and clears what a dead one left; leaving it, however, takes everything away. What a SIGKILL leaves
    goes with the next of that name, or `build gc`.

    The lock's holder is the run `run_id`: gc leaves its files in images/ alone.
    """

    def __init__(self, home: Home, name: str, *, run_id: str, what: str, bus: EventBus) -> None:
        self._places = Places(home, clean_name(name))
        self._lock = FileLock(self._places.lock)
        self._journal = Journal(self._places.journal)
        self._run_id = run_id
        self._what = what
        self._bus = bus

    def __enter__(self) -> Scratch:
        if not self._lock.try_acquire(runId=self._run_id):
            raise ConflictError(f"{self._what} is under way already.", hint="Wait for it, or stop it.")
        try:
            clear(self._places, budget=_CLEAR_SECONDS)
            self._create()
        except BaseException:
            with shielded():
                self._leave()
            raise
        return self

    def __exit__(self, *_exc: object) -> None:
        with shielded():
            self._leave()

    def file(self, name: str) -> Path:
        """The path of a file in here."""
        return self._places.directory / name

    def announce(self, part: Path) -> None:
        """Say on disk that the unfinished file `part` is about to exist, outside of here: a name made by
        `disk.extents.part_of`. It goes with this folder when it is still there then.
        """
        self._journal.intent("file", f"part:{part}", path=str(part), part=True)

    def _create(self) -> None:
        places = self._places
        places.journal.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        token = f"workspace:{places.name}"
        self._journal.intent("directory", token, path=str(places.directory), keep=False)
        places.directory.mkdir(parents=True, mode=0o700)
        now = datetime.now(UTC).isoformat(timespec="seconds")
        record = {"formatVersion": 1, "runId": self._run_id, "name": places.name, "created": now}
        write_json(places.directory / RECORD, record)
        self._journal.created(token)

    def _leave(self) -> None:
        left: list[str] = []
        try:
            done = clear(self._places, budget=_CLEAR_SECONDS)
            left = [f"{one.entry.token}: {one.note}" for one in done]
        except OSError as error:
            left = [error.strerror or str(error)]
        finally:
            with contextlib.suppress(OSError):
                self._lock.release()
        if left:
            problems = "; ".join(left)
            self._bus.warn(
                f"Not all was cleared away ({problems}). 'build gc' does it.", code="WorkspaceLeft"
            )
