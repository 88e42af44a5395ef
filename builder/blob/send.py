"""Sending the pieces: many threads take one piece after the other; the one that asked only watches.

The thread that asked shows the progress, keeps the deadline and heeds Ctrl-C while the others send.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from builder.blob.client import Stopped
from builder.blob.errors import UploadError, code_of
from builder.blob.plan import LARGEST, PageRange
from builder.blob.verify import md5_of
from builder.cancellation import checkpoint

if TYPE_CHECKING:
    from azure.storage.blob import BlobClient

    from builder.blob.lease import Lease
    from builder.blob.note import Note
    from builder.deadline import Deadline

_TICK = 0.1
_GOODBYE_SECONDS = 3.0
_ZEROS = bytes(LARGEST)


@dataclass(slots=True)
class Count:
    """Bytes: `sent` now, `kept` from an earlier attempt, `empty` since they are zeros anyway."""

    sent: int = 0
    kept: int = 0
    empty: int = 0

    @property
    def done(self) -> int:
        """Bytes that need nothing more."""
        return self.sent + self.kept + self.empty


class Pool:
    """Does `work` for each of `items` in so many threads. The first error stops all and is raised."""

    def __init__(self, threads: int, stop: threading.Event) -> None:
        self._threads = threads
        self._stop = stop
        self._lock = threading.Lock()
        self._error: BaseException | None = None

    def run(
        self, items: Iterable[PageRange], work: Callable[[PageRange], None], watch: Callable[[], None]
    ) -> None:
        """Raises what `work` and `watch` raise; `watch` is called now and then in this thread."""
        waiting = iter(items)
        threads = [
            threading.Thread(target=self._work, args=(waiting, work), name="upload", daemon=True)
            for _ in range(self._threads)
        ]
        try:
            for thread in threads:
                thread.start()
            for thread in threads:
                while thread.is_alive():
                    thread.join(_TICK)
                    checkpoint()
                    watch()
        except BaseException:
            self._stop.set()
            for thread in threads:
                if thread.ident is not None:
                    thread.join(_GOODBYE_SECONDS / len(threads))
            raise
        if self._error is not None:
            raise self._error

    def _work(self, waiting: Iterator[PageRange], work: Callable[[PageRange], None]) -> None:
        while not self._stop.is_set():
            with self._lock:
                one = next(waiting, None)
            if one is None:
                return
            try:
                work(one)
            except Stopped:
                return
            except BaseException as error:  # raised again by the thread that watches
                with self._lock:
                    self._error = self._error or error
                self._stop.set()


class Sender:
    """Sends pieces of one open file to one blob, under its lease. What `known` holds with the same MD5, at
    the service already, is not sent again. `placed` is afterwards what the blob holds, with MD5s.
    """

    def __init__(
        self,
        client: BlobClient,
        file: int,
        lease: Lease,
        note: Note,
        known: Mapping[PageRange, str],
        *,
        stop: threading.Event,
        threads: int,
        deadline: Deadline,
    ) -> None:
        self.count = Count()
        self.placed: dict[PageRange, str] = {}
        self._client = client
        self._file = file
        self._lease = lease
        self._note = note
        self._known = known
        self._stop = stop
        self._threads = threads
        self._deadline = deadline
        self._lock = threading.Lock()

    def run(self, pieces: Iterable[PageRange], show: Callable[[int], None]) -> None:
        """Send them, in any order. `show` is told how many bytes are done. Raises UploadError,
        BuildTimeoutError, what azure-core raises.
        """

        def watch() -> None:
            show(self.count.done)
            self._deadline.remaining()
            self._lease.check()

        Pool(self._threads, self._stop).run(pieces, self.one, watch)
        watch()

    def one(self, piece: PageRange) -> None:
        """Send one piece. Raises what azure-core raises, UploadError."""
        data = _read(self._file, piece)
        if data == _ZEROS[: piece.size]:  # a new blob is zeros everywhere
            with self._lock:
                self.count.empty += piece.size
            return
        md5 = md5_of(data)
        if self._known.get(piece) != md5:
            self._put(data, piece, md5)
            self._note.sent(piece, md5)
            with self._lock:
                self.count.sent += piece.size
                self.placed[piece] = md5
        else:
            with self._lock:
                self.count.kept += piece.size
                self.placed[piece] = md5

    def _put(self, data: bytes, piece: PageRange, md5: str) -> None:
        """The service computes the MD5 of what it gets, and refuses what it was not sent as."""
        from azure.core.exceptions import HttpResponseError

        def put() -> None:
            self._client.upload_page(
                data,
                piece.start,
                piece.size,
                lease=self._lease.id,
                transactional_content_md5=bytearray.fromhex(md5),
            )

        try:
            put()
        except HttpResponseError as error:
            # It ran out while the network was away; nobody else has it, or taking it again fails.
            if code_of(error) not in ("LeaseLost", "LeaseNotPresentWithBlobOperation"):
                raise
            if self._stop.is_set():
                raise Stopped from None
            self._lease.again()
            put()


def _read(file: int, piece: PageRange) -> bytes:
    data = os.pread(file, piece.size, piece.start)
    while len(data) < piece.size:
        more = os.pread(file, piece.size - len(data), piece.start + len(data))
        if not more:
            raise UploadError("The image became shorter while it was uploaded.", hint="Start again.")
        data += more
    return data
