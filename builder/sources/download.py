"""Files from elsewhere: disk images (resumable, proved by sha256) and the scripts a template names.

AIB tries ten times and fails at once on what cannot get better (aib-behaviour.md, section 2).
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit, urlunsplit

from builder.deadline import Deadline
from builder.errors import NotFoundError, PreflightError
from builder.events import EventBus, Wait

if TYPE_CHECKING:
    import httpx

ATTEMPTS = 10
_CHUNK = 1024 * 1024
_FIRST_PAUSE = 0.5
_LONGEST_PAUSE = 8.0
_NETWORK_TIMEOUT = 30.0
_TRANSIENT = frozenset({408, 425, 429, 500, 502, 503, 504})


class DownloadError(PreflightError):
    """A file could not be fetched, or is not the file that was promised."""

    code = "DownloadFailed"


class _Transient(Exception):
    """Worth another attempt."""


def public_url(url: str) -> str:
    """`url` as it may be shown: without user, password and query (a SAS token is a secret)."""
    parts = urlsplit(url)
    host = parts.netloc.rpartition("@")[2]
    return urlunsplit((parts.scheme, host, parts.path, "", ""))


def fetch(
    url: str,
    dest: Path,
    *,
    sha256: str | None,
    deadline: Deadline,
    bus: EventBus,
    client: httpx.Client | None = None,
) -> None:
    """Download an http(s) `url` to `dest`, which appears complete or not at all.

    With `sha256` an interrupted download goes on where it stopped (`dest`.part) and the result is
    proved; a `dest` that is there already and proves right is left alone. Raises DownloadError,
    NotFoundError (404), BuildTimeoutError.
    """
    if sha256 and dest.exists() and _digest(dest) == sha256.lower():
        return
    dest.parent.mkdir(parents=True, exist_ok=True)
    part = dest.with_name(dest.name + ".part")
    resumed = bool(sha256) and part.exists()
    with _client(client) as http, Wait(bus, f"Downloading {public_url(url)}") as wait:
        _download(http, url, part, deadline, wait, resume=resumed)
        found = _digest(part)
        if sha256 and found != sha256.lower() and resumed:
            # The rest belonged to another version of the file: once more, from the start.
            part.unlink()
            _download(http, url, part, deadline, wait, resume=False)
            found = _digest(part)
    if sha256 and found != sha256.lower():
        part.unlink()
        raise DownloadError(
            f"{public_url(url)} is not the file that was promised.",
            details=(f"expected sha256 {sha256.lower()}", f"found    sha256 {found}"),
            hint="Correct the sha256, or find out why the file changed.",
        )
    with part.open("rb") as file:
        os.fsync(file.fileno())
    part.replace(dest)


def read_uri(
    uri: str,
    base_dir: Path,
    deadline: Deadline,
    max_bytes: int,
    *,
    client: httpx.Client | None = None,
) -> bytes:
    """The bytes behind `uri`: a path (a relative one starts at `base_dir`), file:// or http(s)://.

    Raises NotFoundError when there is nothing, DownloadError when it cannot be had or is larger
    than `max_bytes`, BuildTimeoutError.
    """
    parts = urlsplit(uri)
    scheme = parts.scheme.lower()
    if scheme in ("http", "https"):
        with _client(client) as http:
            return _read_http(http, uri, deadline, max_bytes)
    if scheme == "file":
        if parts.netloc not in ("", "localhost"):
            raise DownloadError(f"{uri} names another machine.", hint="Write file:///path or a plain path.")
        return _read_file(Path(unquote(parts.path)), uri, max_bytes)
    if "://" in uri:
        raise DownloadError(
            f"{public_url(uri)} has the scheme '{scheme}', which is not supported.",
            hint="Use a file path, file://, http:// or https://.",
        )
    return _read_file(base_dir / uri, uri, max_bytes)


def _read_file(path: Path, written: str, max_bytes: int) -> bytes:
    where = "" if str(path) == written else f" (written as '{written}')"
    try:
        if path.is_dir():
            raise DownloadError(f"{path}{where} is a folder, not a file.")
        if path.stat().st_size > max_bytes:
            raise _too_large(f"{path}{where}", max_bytes)
        return path.read_bytes()
    except FileNotFoundError:
        raise NotFoundError(
            f"The file {path}{where} does not exist.",
            hint="Relative paths start at the template's folder.",
        ) from None
    except OSError as error:
        raise DownloadError(f"{path}{where} cannot be read: {error.strerror or error}.") from error


def _read_http(http: httpx.Client, url: str, deadline: Deadline, max_bytes: int) -> bytes:
    for attempt in _attempts(url, deadline):
        with attempt, _get(http, url, deadline, {}) as response:
            data = bytearray()
            for chunk in response.iter_bytes(_CHUNK):
                data += chunk
                deadline.remaining()
                if len(data) > max_bytes:
                    raise _too_large(public_url(url), max_bytes)
            return bytes(data)
    raise AssertionError("unreachable")  # the last attempt returns or raises


def _download(
    http: httpx.Client, url: str, part: Path, deadline: Deadline, wait: Wait, *, resume: bool
) -> None:
    if not resume:
        part.unlink(missing_ok=True)
    for attempt in _attempts(url, deadline):
        with attempt:
            _download_once(http, url, part, deadline, wait)
            return


def _download_once(http: httpx.Client, url: str, part: Path, deadline: Deadline, wait: Wait) -> None:
    have = part.stat().st_size if part.exists() else 0
    headers = {"Range": f"bytes={have}-", "Accept-Encoding": "identity"} if have else {}
    with _get(http, url, deadline, headers) as response:
        if response.status_code == 416:
            return  # Nothing follows: what we have is all there is, and the digest decides.
        continued = response.status_code == 206 and have > 0
        done = have if continued else 0
        total = done + int(response.headers.get("Content-Length") or 0)
        with part.open("ab" if continued else "wb") as file:
            for chunk in response.iter_bytes(_CHUNK):
                file.write(chunk)
                done += len(chunk)
                deadline.remaining()
                wait.progress(done, total if total > done else done, "bytes")


def _attempts(url: str, deadline: Deadline) -> Iterator[contextlib.AbstractContextManager[None]]:
    pause = _FIRST_PAUSE
    for number in range(1, ATTEMPTS + 1):
        yield _attempt(url, number)
        _sleep(deadline.remaining(pause))
        pause = min(pause * 2, _LONGEST_PAUSE)


@contextlib.contextmanager
def _attempt(url: str, number: int) -> Iterator[None]:
    import httpx

    try:
        yield
    except (httpx.TransportError, _Transient) as error:
        if number == ATTEMPTS:
            raise DownloadError(
                f"Downloading {public_url(url)} failed [attempt {number} of {ATTEMPTS}].",
                details=(str(error) or type(error).__name__,),
                hint="Check the address and the network.",
            ) from error
    except (httpx.InvalidURL, httpx.TooManyRedirects) as error:
        raise DownloadError(f"{public_url(url)} cannot be fetched: {error}.") from error


@contextlib.contextmanager
def _get(
    http: httpx.Client, url: str, deadline: Deadline, headers: dict[str, str]
) -> Iterator[httpx.Response]:
    timeout = deadline.remaining(_NETWORK_TIMEOUT)
    with http.stream("GET", url, headers=headers, timeout=timeout, follow_redirects=True) as response:
        status = response.status_code
        if status in _TRANSIENT:
            raise _Transient(f"HTTP {status} {response.reason_phrase}")
        if status in (404, 410):
            raise NotFoundError(
                f"{public_url(url)} does not exist (HTTP {status}).", hint="Check the address."
            )
        if status >= 400 and status != 416:
            raise DownloadError(
                f"{public_url(url)} cannot be fetched: HTTP {status} {response.reason_phrase}.",
                hint="Check that the address needs no login, or that its SAS token is valid."
                if status in (401, 403)
                else None,
            )
        yield response


@contextlib.contextmanager
def _client(given: httpx.Client | None) -> Iterator[httpx.Client]:
    if given is not None:
        yield given
        return
    import httpx

    with httpx.Client() as client:
        yield client


def _sleep(seconds: float) -> None:
    time.sleep(seconds)


def _too_large(name: str, max_bytes: int) -> DownloadError:
    return DownloadError(f"{name} is larger than {max_bytes // 1024} KiB, the most that is taken here.")


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
