"""One file from one server into a `Part`: over one connection, or over several where the server allows.

Every range is fetched by a thread of its own. The thread that asked for the file only watches: it shows
the progress, keeps the notes, and heeds the deadline and Ctrl-C while the others read.
"""

from __future__ import annotations

import contextlib
import os
import queue
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from builder.cancellation import checkpoint
from builder.deadline import Deadline
from builder.download.errors import DownloadError, public_url
from builder.download.exchange import ATTEMPTS, Transient, check_stays_secure, get, retrying
from builder.download.part import Part, Remote, Span, content_range, write_at
from builder.download.room import check_room, full
from builder.events import Wait

if TYPE_CHECKING:
    import httpx

# What no disk in one file exceeds (Azure's largest OS disk, with room for its format's own tables).
LARGEST = 5 * 1024**4
PARALLEL_FROM = 16 * 1024 * 1024
_TICK = 0.1
_SAVE_SECONDS = 2.0
_RESTARTS = 3
# A server that gives less for so long is dead, only its connection is not.
_STALL_SECONDS = 60.0
_STALL_BYTES = 16 * 1024
_GOODBYE_SECONDS = 2.0


class _Changed(Exception):
    """The server has another file now: everything from the start."""


class _NoRanges(Exception):
    """The server does not give parts of its file."""


class _Crowded(Exception):
    """The server does not want so many connections."""


class _Stopped(Exception):
    """Nobody waits for this thread any more."""


@dataclass(frozen=True, slots=True)
class _Worker:
    thread: threading.Thread
    stop: threading.Event


class Transfer:
    """Brings `url` into `part`. `proved`: a digest of the whole will be compared, so that bytes from an
    earlier attempt may be used although nothing says that they are of this very file.
    """

    def __init__(
        self,
        http: httpx.Client,
        url: str,
        part: Part,
        *,
        proved: bool,
        connections: int,
        deadline: Deadline,
        wait: Wait,
        attempts: int = ATTEMPTS,
        max_bytes: int = LARGEST,
    ) -> None:
        self._max_bytes = max_bytes
        self._http = http
        self._url = url
        self._part = part
        self._proved = proved
        self._connections = connections
        self._deadline = deadline
        self._wait = wait
        self._attempts = attempts
        self._lock = threading.Lock()
        self._running: dict[int, _Worker] = {}
        self._ended: queue.SimpleQueue[tuple[int, BaseException | None]] = queue.SimpleQueue()

    def run(self) -> Remote:
        """Fetch what is missing. Raises DownloadError, NotFoundError, EnvironmentProblem (a full disk),
        BuildTimeoutError. What is there stays for the next time.
        """
        self._adopt()
        for _ in range(_RESTARTS):
            try:
                self._all_spans()
                return self._part.remote or Remote()
            except _Changed:
                self._part.reset()
            except _NoRanges:
                self._connections = 1
                self._part.reset()
            self._part.source = public_url(self._url)
        raise DownloadError(
            f"{public_url(self._url)} is another file at every attempt, or its server says a wrong length.",
            hint="Try again later, or use another mirror.",
        )

    def _adopt(self) -> None:
        """Whether what an earlier attempt left is of use here."""
        part, source = self._part, public_url(self._url)
        known = part.remote is not None and part.remote.validator and part.source == source
        if not known or not part.done:
            if not self._proved or not part.done:
                part.reset()
            elif part.source != source and part.remote is not None:
                # Another server's validators mean nothing to this one; the length is the file's own.
                part.remote = Remote(length=part.remote.length, ranges=part.remote.ranges)
        part.source = source
        if part.remote is not None and part.remote.length is not None:
            check_room(part.path, part.remote.length)

    def _all_spans(self) -> None:
        saved = time.monotonic()
        try:
            while not self._part.finished or self._running:
                self._start_threads()
                try:
                    key, error = self._ended.get(timeout=_TICK)
                except queue.Empty:
                    pass
                else:
                    if self._running.pop(key, None) is not None:
                        self._heed(error)
                checkpoint()
                self._deadline.remaining()
                self._show()
                if time.monotonic() - saved > _SAVE_SECONDS:
                    self._save()
                    saved = time.monotonic()
        finally:
            self._end_all()
        self._show()

    def _end_all(self) -> None:
        workers, self._running = list(self._running.values()), {}
        end = time.monotonic() + _GOODBYE_SECONDS
        for worker in workers:
            worker.stop.set()
        for worker in workers:
            worker.thread.join(max(0.0, end - time.monotonic()))
        self._ended = queue.SimpleQueue()
        with contextlib.suppress(OSError):  # what brought us here is worse
            self._save()

    def _start_threads(self) -> None:
        with self._lock:
            waiting = [span for span in self._part.spans if not span.finished]
        for span in waiting:
            if len(self._running) >= self._connections:
                return
            if id(span) not in self._running:
                stop = threading.Event()
                thread = threading.Thread(
                    target=self._work, args=(span, stop, self._ended), name="download", daemon=True
                )
                self._running[id(span)] = _Worker(thread, stop)
                thread.start()

    def _heed(self, error: BaseException | None) -> None:
        """How a thread ended. One that got nothing beside others is tried again when there are fewer."""
        if error is None:
            return
        if isinstance(error, _NoRanges) and self._goes_on_alone():
            return
        fewer = isinstance(error, _Crowded | DownloadError) and len(self._running) > 0
        if not fewer:
            raise error
        self._connections = len(self._running)

    def _goes_on_alone(self) -> bool:
        """The server gives no parts: the connection that reads from the start reads to the end."""
        with self._lock:
            first = self._part.spans[0]
            if first.finished or id(first) not in self._running or first.start:
                return False
            self._connections = 1
            first.end = self._part.spans[-1].end
            self._part.spans = [first]
            for key in [key for key in self._running if key != id(first)]:
                self._running.pop(key).stop.set()
        return True

    def _show(self) -> None:
        remote = self._part.remote
        done = self._part.done
        total = remote.length if remote is not None and remote.length else 0
        self._wait.progress(done, max(total, done), "bytes")

    def _save(self) -> None:
        with self._lock:
            if self._part.path.exists():
                self._part.save(to_disk=not self._proved)

    # What follows runs in the threads.

    def _work(
        self,
        span: Span,
        stop: threading.Event,
        ended: queue.SimpleQueue[tuple[int, BaseException | None]],
    ) -> None:
        error: BaseException | None = None
        try:
            retrying(
                self._url,
                self._deadline,
                lambda: self._one_request(span, stop),
                attempts=self._attempts,
                brought=lambda: span.done,
                nap=stop.wait,
            )
        except BaseException as raised:  # raised again by the thread that watches
            error = raised
        ended.put((id(span), error))

    def _one_request(self, span: Span, stop: threading.Event) -> None:
        _check(stop)
        if span.finished:
            return
        try:
            with get(self._http, self._url, self._deadline, self._headers(span)) as response:
                _check(stop)
                self._take_answer(response, span, stop)
        except Transient as error:
            if error.crowded and len(self._running) > 1:
                raise _Crowded from error
            raise

    def _headers(self, span: Span) -> dict[str, str]:
        headers = {"Accept-Encoding": "identity"}
        with self._lock:
            alone = len(self._part.spans) == 1
            remote = self._part.remote
        if span.position or not alone:
            last = "" if span.end is None or alone else str(span.end - 1)
            headers["Range"] = f"bytes={span.position}-{last}"
            if remote is not None and remote.validator:
                headers["If-Range"] = remote.validator
        return headers

    def _take_answer(self, response: httpx.Response, span: Span, stop: threading.Event) -> None:
        if not self._proved:
            check_stays_secure(self._url, response)
        remote = Remote.of(response)
        with self._lock:
            alone = len(self._part.spans) == 1
            known = self._part.remote
            if response.status_code == 416:
                self._nothing_follows(response, span)
                return
            if response.status_code == 206 and "Range" in response.request.headers:
                self._check_range(response, span, remote)
                if known is None:
                    self._part.learn(remote)
            else:
                self._from_the_start(span, remote, alone=alone)
        self._copy(response, span, stop)

    def _nothing_follows(self, response: httpx.Response, span: Span) -> None:
        """416: the file ends before the range. What is there is all, if it may be believed."""
        total = content_range(response)[1]
        if self._proved and len(self._part.spans) == 1 and total in (None, span.position):
            self._part.learn(Remote(length=span.position))
            return
        raise _Changed

    def _check_range(self, response: httpx.Response, span: Span, remote: Remote) -> None:
        known = self._part.remote
        if known is not None and known.contradicts(remote):
            raise _Changed
        if content_range(response)[0] != span.position:
            raise _NoRanges

    def _from_the_start(self, span: Span, remote: Remote, *, alone: bool) -> None:
        """The answer holds the whole file, whether asked for or not."""
        known = self._part.remote
        if not alone:
            raise _Changed if known is not None and known.contradicts(remote) else _NoRanges
        span.done = 0
        if remote.length is not None:
            check_room(self._part.path, remote.length)
            self._check_size(remote.length)
        self._part.learn(remote)
        many = remote.ranges and remote.strong and (remote.length or 0) >= PARALLEL_FROM
        if many and self._connections > 1:
            self._part.split(self._connections)
            # From now on the file's size says nothing of what is there.
            self._part.save(to_disk=False)

    def _copy(self, response: httpx.Response, span: Span, stop: threading.Event) -> None:
        descriptor = self._part.open()
        since, before = time.monotonic(), span.done
        try:
            for chunk in response.iter_raw():
                with self._lock:  # what is stopped writes nothing any more
                    _check(stop)
                    data = chunk if span.end is None else chunk[: span.end - span.position]
                    self._check_size(span.position + len(data))
                    write_at(descriptor, data, span.position)
                    span.done += len(data)
                    finished = span.finished
                if finished:
                    return
                self._deadline.remaining()
                if time.monotonic() - since > _STALL_SECONDS:
                    if span.done - before < _STALL_BYTES:
                        raise Transient(f"only {span.done - before} bytes came in {_STALL_SECONDS:.0f} s")
                    since, before = time.monotonic(), span.done
        except OSError as error:
            raise full(self._part.path, error) from error
        finally:
            os.close(descriptor)
        self._end_of_answer(span)

    def _check_size(self, size: int) -> None:
        if size > self._max_bytes:
            raise DownloadError(
                f"{public_url(self._url)} is larger than {self._max_bytes} bytes, the most that is taken.",
                hint="Find out what it really is.",
            )

    def _end_of_answer(self, span: Span) -> None:
        with self._lock:
            if span.end is None:
                span.end = span.position
                self._part.learn(Remote(length=span.position, etag=(self._part.remote or Remote()).etag))
            elif not span.finished:
                raise Transient(f"the answer ended after {span.position} of {span.end} bytes")


def _check(stop: threading.Event) -> None:
    if stop.is_set():
        raise _Stopped
