"""One request and what its answer means: done, worth another attempt, or hopeless.

AIB tries ten times and fails at once on what cannot get better (aib-behaviour.md, section 2).
"""

from __future__ import annotations

import contextlib
import email.utils
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, TypeVar

from builder.deadline import Deadline
from builder.download.errors import DownloadError, check_address, public_url, without_passwords
from builder.download.network import CONNECT_SECONDS
from builder.errors import NotFoundError

if TYPE_CHECKING:
    import httpx

T = TypeVar("T")

ATTEMPTS = 10
# Attempts count anew after so many bytes: a line that drops now and then still brings a large file.
PROGRESS = 1024 * 1024
_FIRST_PAUSE = 0.5
_LONGEST_PAUSE = 8.0
# A server that asks for more patience gets so much.
_LONGEST_ASKED = 60.0
_TRANSIENT = frozenset({408, 425, 429, 500, 502, 503, 504})
_CROWDED = frozenset({429, 503})


class Transient(Exception):
    """Worth another attempt, after `after` seconds when the server said so. `crowded`: it has too much to
    do, perhaps because of us.
    """

    def __init__(self, text: str, *, after: float | None = None, crowded: bool = False) -> None:
        super().__init__(text)
        self.after = after
        self.crowded = crowded


def retrying(
    url: str,
    deadline: Deadline,
    work: Callable[[], T],
    *,
    attempts: int = ATTEMPTS,
    brought: Callable[[], int] = lambda: 0,
    nap: Callable[[float], object] | None = None,
) -> T:
    """What `work` returns, tried `attempts` times with longer pauses. `brought` says how many bytes came
    so far. Raises DownloadError with the last reason, BuildTimeoutError, and what `work` raises beside.
    """
    import httpx

    pause, number, before = _FIRST_PAUSE, 1, brought()
    while True:
        try:
            return work()
        except (httpx.TransportError, Transient) as error:
            _raise_hopeless(url, error)
            if brought() - before >= PROGRESS:
                pause, number, before = _FIRST_PAUSE, 0, brought()
            if number >= attempts:
                raise DownloadError(
                    f"Downloading {public_url(url)} failed [attempt {number} of {attempts}].",
                    details=(_said(error),),
                    hint="Check the address and the network.",
                ) from error
            asked = min(getattr(error, "after", None) or 0.0, _LONGEST_ASKED)
        except (httpx.InvalidURL, httpx.TooManyRedirects) as error:
            raise DownloadError(
                f"{public_url(url)} cannot be fetched: {_said(error).rstrip('.')}."
            ) from error
        (nap or _sleep)(deadline.remaining(max(pause, asked)))
        pause, number = min(pause * 2, _LONGEST_PAUSE), number + 1


@contextlib.contextmanager
def get(
    http: httpx.Client, url: str, deadline: Deadline, headers: dict[str, str]
) -> Iterator[httpx.Response]:
    """The answer to a GET, its body not read yet: a status below 300, 304 or 416.

    Raises Transient, NotFoundError (404, 410), DownloadError, httpx's errors.
    """
    check_address(url)
    timeout = deadline.remaining(CONNECT_SECONDS)
    with http.stream("GET", url, headers=headers, timeout=timeout, follow_redirects=True) as response:
        status = response.status_code
        if status in _TRANSIENT:
            after = _seconds(response.headers.get("Retry-After", ""))
            text = f"HTTP {status} {response.reason_phrase}"
            raise Transient(text, after=after, crowded=status in _CROWDED)
        if status == 407:
            raise _proxy_refuses(url)
        if status in (404, 410):
            raise NotFoundError(
                f"{public_url(url)} does not exist (HTTP {status}).", hint="Check the address."
            )
        if status >= 300 and status not in (304, 416):
            raise DownloadError(
                f"{public_url(url)} cannot be fetched: HTTP {status} {response.reason_phrase}.",
                hint="Check that the address needs no login, or that its SAS token is valid."
                if status in (401, 403)
                else None,
            )
        yield response


def check_stays_secure(url: str, response: httpx.Response) -> None:
    """Raise DownloadError when an https address led, at any step of the way, through one without TLS: whoever
    sits there can send anybody anything.
    """
    steps = [*response.history, response]
    if url.lower().startswith("https:") and any(step.url.scheme == "http" for step in steps):
        raise DownloadError(
            f"{public_url(url)} leads to an address without TLS, and no digest proves what comes.",
            hint="Name the file's sha256, or an address that stays with https.",
        )


def _raise_hopeless(url: str, error: Exception) -> None:
    """What another attempt cannot better."""
    import httpx

    text = _said(error)
    if isinstance(error, httpx.UnsupportedProtocol):
        raise DownloadError(f"{public_url(url)} leads to an address that is not http or https.") from error
    if isinstance(error, httpx.ProxyError) and "407" in text:
        raise _proxy_refuses(url) from error
    if "WRONG_VERSION_NUMBER" in text:
        raise DownloadError(
            f"{public_url(url)} cannot be fetched: what answers there does not speak TLS.",
            details=(text,),
            hint="Check the port and whether it should be http.",
        ) from error
    if "CERTIFICATE_VERIFY_FAILED" in text:
        raise DownloadError(
            f"{public_url(url)} cannot be fetched: its certificate is not trusted.",
            details=(text,),
            hint="When your company's proxy signs for others, name its certificate in SSL_CERT_FILE.",
        ) from error


def _proxy_refuses(url: str) -> DownloadError:
    return DownloadError(
        f"{public_url(url)} cannot be fetched: the proxy wants another user name or password.",
        hint="Correct 'proxy' in settings.toml, or HTTPS_PROXY and HTTP_PROXY.",
    )


def _said(error: Exception) -> str:
    return without_passwords(str(error)) or type(error).__name__


def _seconds(retry_after: str) -> float | None:
    """Retry-After (RFC 9110, 10.2.3): seconds, or a date."""
    try:
        if retry_after.strip().isdecimal():
            return float(retry_after)
        return max(0.0, email.utils.parsedate_to_datetime(retry_after).timestamp() - time.time())
    except (ValueError, OverflowError, TypeError):
        return None


def _sleep(seconds: float) -> None:
    time.sleep(seconds)
