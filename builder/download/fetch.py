"""One file into one place: locked, resumed, proved, from whichever of its addresses has it."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from builder.deadline import Deadline
from builder.download.digest import Digest
from builder.download.errors import DownloadError, public_url
from builder.download.exchange import ATTEMPTS
from builder.download.network import Network, open_client
from builder.download.part import Part, Remote
from builder.download.transfer import LARGEST, Transfer
from builder.errors import NotFoundError, PreflightError
from builder.events import EventBus, Wait
from builder.lock import FileLock

if TYPE_CHECKING:
    import httpx

# Where there is another address, a dead one is given up sooner.
_ATTEMPTS_BESIDE_OTHERS = 3
_POLL_SECONDS = 0.2


def fetch(
    url: str | Sequence[str],
    dest: Path,
    *,
    sha256: str | None = None,
    sha512: str | None = None,
    deadline: Deadline,
    bus: EventBus,
    client: httpx.Client | None = None,
    network: Network | None = None,
    max_bytes: int = LARGEST,
) -> Remote:
    """Download an http(s) `url`, or the first of several addresses of one file that has it, to `dest`,
    which appears complete or not at all. Returns what its server said of it.

    An interrupted download goes on where it stopped (`dest`.part) as long as the file is the same. With a
    digest the result is proved, and a `dest` that is there already and proves right is left alone. Of two
    that want the same `dest`, one downloads and the other waits. `network` None: as the settings say.
    Nothing larger than `max_bytes` is taken.

    Raises OfflineError, NotFoundError (404), DownloadError, EnvironmentProblem (no room),
    BuildTimeoutError.
    """
    urls = [url] if isinstance(url, str) else list(url)
    if not urls:
        raise ValueError("a file without an address")
    digest = Digest.of(sha256, sha512)
    with only_one(dest, urls[0], deadline, bus):
        if digest and dest.exists() and digest.found_in(dest) == digest.value:
            return Remote(length=dest.stat().st_size)
        network = network or Network.configured()
        network.check_online(urls[0], dest)
        with open_client(network, client) as http:
            return _Fetch(http, urls, dest, digest, network, deadline, bus, max_bytes).run()


@contextlib.contextmanager
def only_one(dest: Path, url: str, deadline: Deadline, bus: EventBus) -> Iterator[None]:
    """Nobody else downloads to `dest` inside; waits for who does."""
    lock = FileLock(dest.with_name(dest.name + ".lock"))
    if not lock.try_acquire(url=public_url(url)):
        with Wait(bus, f"Waiting for another download of {public_url(url)}"):
            while not lock.try_acquire(url=public_url(url)):
                time.sleep(deadline.remaining(_POLL_SECONDS))
    try:
        yield
    finally:
        lock.release()


class _Fetch:
    """Its parts, while the lock is held."""

    def __init__(
        self,
        http: httpx.Client,
        urls: list[str],
        dest: Path,
        digest: Digest | None,
        network: Network,
        deadline: Deadline,
        bus: EventBus,
        max_bytes: int,
    ) -> None:
        self._max_bytes = max_bytes
        self._http = http
        self._urls = urls
        self._dest = dest
        self._digest = digest
        self._network = network
        self._deadline = deadline
        self._bus = bus
        self._part = Part(dest)

    def run(self) -> Remote:
        """Bring the file into its place."""
        errors: list[PreflightError] = []
        for url in self._urls:
            try:
                with Wait(self._bus, f"Downloading {public_url(url)}") as wait:
                    remote = self._from(url, wait)
            except (DownloadError, NotFoundError) as error:
                errors.append(error)
                continue
            self._part.become(self._dest)
            return remote
        raise self._all_failed(errors)

    def _from(self, url: str, wait: Wait) -> Remote:
        self._part.load()
        resumed = self._part.done > 0
        remote = self._transfer(url, wait)
        if self._digest is None:
            return remote
        found = self._digest.found_in(self._part.path)
        if found != self._digest.value and resumed:
            # The beginning may have been of another version of the file: once more, all of it.
            self._part.reset()
            remote = self._transfer(url, wait)
            found = self._digest.found_in(self._part.path)
        if found == self._digest.value:
            return remote
        self._part.reset()
        raise DownloadError(
            f"{public_url(url)} is not the file that was promised.",
            details=(
                f"expected {self._digest.algorithm} {self._digest.value}",
                f"found    {self._digest.algorithm} {found}",
            ),
            hint=f"Correct the {self._digest.algorithm}, or find out why the file changed.",
        )

    def _transfer(self, url: str, wait: Wait) -> Remote:
        return Transfer(
            self._http,
            url,
            self._part,
            proved=self._digest is not None,
            connections=self._network.connections,
            deadline=self._deadline,
            wait=wait,
            max_bytes=self._max_bytes,
            attempts=ATTEMPTS if len(self._urls) == 1 else _ATTEMPTS_BESIDE_OTHERS,
        ).run()

    def _all_failed(self, errors: list[PreflightError]) -> PreflightError:
        if len(errors) == 1:
            return errors[0]
        name = public_url(self._urls[0]).rpartition("/")[2]
        details: list[str] = []
        for error in errors:
            details += [error.message, *(f"  {line}" for line in error.details)]
        kind = NotFoundError if all(isinstance(error, NotFoundError) for error in errors) else DownloadError
        return kind(
            f"None of the {len(errors)} addresses of {name} has it.",
            details=tuple(details),
            hint="Correct the addresses, or try again later.",
        )
