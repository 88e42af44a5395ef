"""A place on a file server, with a double for what a server does only when two copies meet."""

from __future__ import annotations

import io
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

    def open(self, _url: str, _mode: str) -> io.BytesIO:
        return self.written


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
