"""A place on a file server, with a double for what a server does only when two copies meet."""

from __future__ import annotations

import io
import threading
from typing import Any

import pytest

from builder.replication.place import PlaceError
from builder.replication.remote import RemotePlace


class Server:
    """Folders that somebody else makes between the look and the making."""

    def __init__(self, *errors: Exception) -> None:
        self.errors = list(errors)
        self.asked: list[str] = []
        self.written = io.BytesIO()
        self.written.close = lambda: None  # type: ignore[method-assign]

    def makedirs(self, folder: str, *, exist_ok: bool) -> None:
        assert exist_ok
        self.asked.append(folder)
        if self.errors:
            raise self.errors.pop(0)

    @staticmethod
    def _strip_protocol(url: str) -> str:
        return url.removeprefix("sftp://server")

    def exists(self, _url: str) -> bool:
        return False

    def invalidate_cache(self) -> None:
        """Nothing is kept."""

    def info(self, _url: str) -> dict[str, int]:
        return {"size": 4096}

    def open(self, _url: str, mode: str) -> Any:
        return self.written if mode == "wb" else File()


class File:
    """paramiko's, whose connection ends while its thread still asks ahead."""

    def __init__(self) -> None:
        self.threads: list[threading.Thread] = []

    def __enter__(self) -> File:
        return self

    def __exit__(self, *_: object) -> None:
        for thread in self.threads:
            thread.join(10)

    def prefetch(self, size: int) -> None:
        self.threads.append(threading.Thread(target=self._prefetch_thread, args=([(0, size)], None)))
        self.threads[-1].start()

    def _prefetch_thread(self, *_: object) -> None:
        raise OSError("Socket is closed")


@pytest.fixture
def place() -> Any:
    return RemotePlace("eastus", "sftp://server/srv/images", {})


def test_a_folder_that_another_copy_makes_meanwhile_is_no_failure(place: Any) -> None:
    place._mine.fs = server = Server(OSError("Failure"), OSError("Failure"))
    assert place.check("registry-1", used=False)
    assert server.asked == ["/srv/images"] * 3
    assert b"registry-1" in server.written.getvalue()


@pytest.mark.parametrize(("error", "tries"), [(OSError("Failure"), 3), (PermissionError("denied"), 1)])
def test_a_folder_that_cannot_be_made_is_said(place: Any, error: Exception, tries: int) -> None:
    place._mine.fs = server = Server(*[error] * 9)
    with pytest.raises(PlaceError, match="eastus cannot be reached"):
        place.check("registry-1", used=False)
    assert len(server.asked) == tries


def test_a_connection_that_ends_while_it_is_read_ahead_says_nothing(
    place: Any, capfd: pytest.CaptureFixture[str]
) -> None:
    """A thread's own traceback would come into a build's output; pytest fails for it, too."""
    place._mine.fs = Server()
    with place.reader("sftp://server/srv/images/os.vhd") as reader:
        assert reader.size == 4096
    assert capfd.readouterr() == ("", "")
