"""A web server that misbehaves on request, on a real socket."""

from __future__ import annotations

import http.server
import re
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

_RANGE = re.compile(r"^bytes=(\d+)-(\d*)$")
_PIECE = 16 * 1024


@dataclass
class Page:
    """A file and how it is served. Lists hold one entry a request; when they are used up all is well."""

    data: bytes
    etag: str = '"one"'
    last_modified: str = ""
    ranges: bool = True
    announce: int | None = None
    """The Content-Length of whole answers, whatever is sent."""
    cuts: list[int | None] = field(default_factory=list)
    """After so many bytes of the body the connection is dropped."""
    statuses: list[int] = field(default_factory=list)
    headers: dict[str, str] = field(default_factory=dict)
    """Sent with every status of `statuses`."""
    rate: float = 0.0
    """Bytes a second for each connection; 0: as fast as it goes."""
    location: str = ""
    at_once: int = 0
    """More connections than these get 503."""
    on_request: Callable[[Page, int], None] | None = None
    wrong_start: int = 0
    """Parts begin so many bytes later than asked."""
    chunked: bool = False
    serving: int = 0


class Web:
    """The server. `log` holds (path, Range header, status) of every request."""

    def __init__(self) -> None:
        self.pages: dict[str, Page] = {}
        self.log: list[tuple[str, str, int]] = []
        self.headers: list[dict[str, str]] = []
        self._lock = threading.Lock()
        web = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                web.serve(self)

            def log_message(self, *_args: object) -> None:
                pass

        class Server(http.server.ThreadingHTTPServer):
            daemon_threads = True
            block_on_close = False

            def handle_error(self, *_args: object) -> None:
                pass

        self._server = Server(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def requests(self, path: str) -> list[tuple[str, int]]:
        """Range header and status of the requests for one path."""
        return [(wanted, status) for at, wanted, status in self.log if at == path]

    def serve(self, handler: http.server.BaseHTTPRequestHandler) -> None:
        path = re.sub(r"^http://[^/]+", "", handler.path).partition("?")[0]  # as proxies are asked
        page = self.pages.get(path)
        wanted = handler.headers.get("Range", "")
        if page is None:
            self._answer(handler, path, wanted, 404, {})
            return
        with self._lock:
            if page.on_request:
                page.on_request(page, len(self.requests(path)))
            status = page.statuses.pop(0) if page.statuses else 0
            if page.at_once and page.serving >= page.at_once:
                status = 503
            page.serving += 1
            cut = page.cuts.pop(0) if page.cuts else None
        try:
            if status:
                self._answer(handler, path, wanted, status, page.headers)
            elif page.location:
                self._answer(handler, path, wanted, 302, {"Location": page.location})
            else:
                self._file(handler, path, page, wanted, cut)
        finally:
            with self._lock:
                page.serving -= 1

    def _note(self, handler: http.server.BaseHTTPRequestHandler, path: str, wanted: str, status: int) -> None:
        with self._lock:
            self.log.append((path, wanted, status))
            self.headers.append(dict(handler.headers))

    def _answer(
        self,
        handler: http.server.BaseHTTPRequestHandler,
        path: str,
        wanted: str,
        status: int,
        headers: dict[str, str],
    ) -> None:
        self._note(handler, path, wanted, status)
        handler.send_response(status)
        for name, value in headers.items():
            handler.send_header(name, value)
        handler.send_header("Content-Length", "0")
        handler.end_headers()

    def _file(
        self, handler: http.server.BaseHTTPRequestHandler, path: str, page: Page, wanted: str, cut: int | None
    ) -> None:
        data, etag = page.data, page.etag
        seen = handler.headers
        if etag and seen.get("If-None-Match") == etag:
            self._answer(handler, path, wanted, 304, {"ETag": etag})
            return
        status, start, end = 200, 0, len(data)
        asked = _RANGE.match(wanted)
        if_range = seen.get("If-Range")
        if asked and page.ranges and if_range in (None, etag, page.last_modified):
            start = int(asked[1]) + page.wrong_start
            end = min(len(data), int(asked[2]) + 1) if asked[2] else len(data)
            status = 206
            if start >= len(data):
                self._answer(handler, path, wanted, 416, {"Content-Range": f"bytes */{len(data)}"})
                return
        self._note(handler, path, wanted, status)
        handler.send_response(status)
        if etag:
            handler.send_header("ETag", etag)
        if page.last_modified:
            handler.send_header("Last-Modified", page.last_modified)
        if page.ranges:
            handler.send_header("Accept-Ranges", "bytes")
        if status == 206:
            handler.send_header("Content-Range", f"bytes {start}-{end - 1}/{len(data)}")
            handler.send_header("Content-Length", str(end - start))
        elif page.chunked:
            handler.send_header("Transfer-Encoding", "chunked")
        else:
            handler.send_header("Content-Length", str(len(data) if page.announce is None else page.announce))
        handler.end_headers()
        self._body(handler, page, data[start:end], cut, chunked=page.chunked and status == 200)

    def _body(
        self,
        handler: http.server.BaseHTTPRequestHandler,
        page: Page,
        body: bytes,
        cut: int | None,
        *,
        chunked: bool,
    ) -> None:
        begun = time.monotonic()
        sent, end = 0, len(body) if cut is None else min(cut, len(body))
        lied = page.announce is not None and page.announce != len(body)
        try:
            while sent < end:
                piece = body[sent : min(end, sent + _PIECE)]
                handler.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece) if chunked else piece)
                sent += len(piece)
                if page.rate:
                    time.sleep(max(0.0, begun + sent / page.rate - time.monotonic()))
            if cut is None and chunked:
                handler.wfile.write(b"0\r\n\r\n")
        except OSError:  # who asked has gone
            handler.close_connection = True
            return
        if cut is not None or lied:
            handler.close_connection = True
            handler.wfile.flush()
            handler.connection.shutdown(socket.SHUT_RDWR)


@contextmanager
def web_server() -> Iterator[Web]:
    web = Web()
    try:
        yield web
    finally:
        web.close()
