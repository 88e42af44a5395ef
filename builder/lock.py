"""An advisory lock that dies with its holder and says who holds it."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import json
import os
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from builder.errors import EnvironmentProblem
from builder.owner import Owner

_NO_LOCKS = (errno.ENOLCK, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS)
_HOLDER_LOOKS = 20
_HOLDER_PAUSE_SECONDS = 0.02


class FileLock:
    """flock(2) on a file of its own, which is removed when the lock is let go.

    The kernel drops the lock when the process ends, however it ends; children do not inherit it
    (close-on-exec). The file holds who took it and when, for messages only: the lock itself is
    the truth.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._descriptor: int | None = None

    def try_acquire(self, **facts: Any) -> bool:  # noqa: ANN401 - JSON values
        """Take the lock if it is free, and write `facts` beside our identity into it.

        Raises EnvironmentProblem on a file system without locks.
        """
        self.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        while True:
            descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                os.close(descriptor)
                return False
            except OSError as error:
                os.close(descriptor)
                if error.errno not in _NO_LOCKS:
                    raise
                raise EnvironmentProblem(
                    f"The file system of {self.path.parent} has no file locks.",
                    hint="Put GOLDSMITH_HOME on a local file system.",
                ) from error
            if self._still_there(descriptor):
                break
            # The holder removed the file between our open and our lock: this inode means nothing now.
            os.close(descriptor)
        self._descriptor = descriptor
        record = {
            "owner": Owner.current().to_json(),
            "since": datetime.now(UTC).isoformat(timespec="seconds"),
            **facts,
        }
        with contextlib.suppress(OSError):  # a full disk: the lock holds without its facts
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, json.dumps(record).encode(), 0)
        return True

    @property
    def held(self) -> bool:
        """Whether this object holds the lock."""
        return self._descriptor is not None

    def holder(self) -> dict[str, Any]:
        """What the holder wrote: `owner`, `since` and its facts; empty when unknown."""
        # It takes the lock an instant before it has written who it is.
        for _ in range(_HOLDER_LOOKS):
            try:
                record = json.loads(self.path.read_bytes())
            except FileNotFoundError:
                return {}
            except (OSError, ValueError):
                time.sleep(_HOLDER_PAUSE_SECONDS)
                continue
            return record if isinstance(record, dict) else {}
        return {}

    def release(self) -> None:
        """Remove the file and let go. Harmless when not held."""
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is None:
            return
        try:
            self.path.unlink(missing_ok=True)
        finally:
            os.close(descriptor)

    def _still_there(self, descriptor: int) -> bool:
        try:
            there = self.path.stat()
        except FileNotFoundError:
            return False
        mine = os.fstat(descriptor)
        return (there.st_dev, there.st_ino) == (mine.st_dev, mine.st_ino)
