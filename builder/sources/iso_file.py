"""The ISO that a template names: a file of this machine, or one to download."""

from __future__ import annotations

import hashlib
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from builder.disk.known_files import KnownFiles, settled
from builder.download.cache import DownloadCache
from builder.download.errors import public_url
from builder.download.network import Network
from builder.download.reading import path_of
from builder.errors import NotFoundError, PreflightError
from builder.events import Wait
from builder.lineage import without_user

if TYPE_CHECKING:
    from builder.services import Services

_CHUNK = 4 * 1024 * 1024
_KIND = "sha256:"
"""What stands before a digest in the memo, which also holds those of disk images."""


class IsoFile:
    """One ISO, by the address and the sha256 of the template."""

    def __init__(self, uri: str, sha256: str, services: Services) -> None:
        self._uri = uri.strip()
        self._sha256 = sha256.lower()
        self._services = services
        self._downloads = DownloadCache(services.home.downloads)
        parts = urlsplit(self._uri)
        self._scheme = parts.scheme.lower() if "://" in self._uri else ""
        self._is_far = self._scheme in ("http", "https")
        if self._scheme not in ("", "file", "http", "https"):
            raise PreflightError(
                f"sourceUri has the scheme '{self._scheme}', which is not supported.",
                hint="Use a file path, file://, http:// or https://.",
            )
        if self._scheme == "file":
            self._path = str(path_of(self._uri))
        else:
            self._path = unquote(parts.path) if self._is_far else self._uri

    @property
    def name(self) -> str:
        """The name of the file."""
        return PurePosixPath(self._path).name or self._uri

    @property
    def shown(self) -> str:
        """The address as it may be shown: a token in it is a secret."""
        return public_url(self._uri) if self._is_far else self._path

    @property
    def kept_name(self) -> str:
        """What a later look finds it by: its address, or its whole path without the user's name."""
        if self._is_far:
            return self.shown
        return without_user(str((self._services.base_dir / Path(self._path).expanduser()).absolute()))

    def here(self) -> Path | None:
        """Where it lies on this machine; None when it has to be downloaded.

        Raises NotFoundError, and OfflineError when it may not be downloaded.
        """
        if self._is_far:
            if self._download.is_file():
                return self._download
            Network.of(self._services.settings).check_online(self._uri, self._download)
            return None
        path = self._services.base_dir / Path(self._path).expanduser()
        if not path.is_file():
            what = "is a folder" if path.is_dir() else "does not exist"
            raise NotFoundError(
                f"The ISO {path} {what}.", hint="Relative paths start at the template's folder."
            )
        return path

    def bring(self) -> Path:
        """The ISO, proved. Raises DownloadError, NotFoundError, PreflightError, BuildTimeoutError."""
        services = self._services
        path = self.here()
        if path is None:
            path = self._downloads.fetch(
                self._uri,
                sha256=self._sha256,
                deadline=services.deadline,
                bus=services.bus,
                network=Network.of(services.settings),
            )
            KnownFiles(services.home.known_files).note(path, _KIND + self._sha256)
            return path
        self.verify(path)
        return path

    def verify(self, path: Path) -> None:
        """Compare its sha256, read once and remembered. Raises PreflightError.

        Where one only asks what a build would do, ten gigabytes are not read for it.
        """
        known = KnownFiles(self._services.home.known_files)
        found = known.digest(path).removeprefix(_KIND)
        if not found:
            if self._services.read_only:
                return
            found = self._digest(path)
            if settled(path):
                known.note(path, _KIND + found)
        if found != self._sha256:
            raise PreflightError(
                f"{path} is not the ISO that sha256Checksum promises.",
                details=(f"expected sha256 {self._sha256}", f"found    sha256 {found}"),
                hint="Fetch it again; or, if you trust the file as it is, correct sha256Checksum.",
            )

    @property
    def _download(self) -> Path:
        return self._downloads.place(self._uri, sha256=self._sha256)

    def _digest(self, path: Path) -> str:
        digest, buffer, done = hashlib.sha256(), bytearray(_CHUNK), 0
        view = memoryview(buffer)
        with path.open("rb", buffering=0) as file, Wait(self._services.bus, f"Checking {path.name}") as wait:
            total = path.stat().st_size
            while count := file.readinto(buffer):
                digest.update(view[:count])
                done += count
                self._services.deadline.remaining()
                wait.progress(done, total, "bytes")
        return digest.hexdigest()
