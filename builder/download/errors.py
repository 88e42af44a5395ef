"""What goes wrong with downloads, and how an address may be shown."""

from __future__ import annotations

import re
from urllib.parse import urlsplit, urlunsplit

from builder.errors import PreflightError

# Up to the last @: a password may hold one.
_USER_INFO = re.compile(r"(?<=://)[^/\s]*@")


class DownloadError(PreflightError):
    """A file could not be fetched, or is not the file that was promised."""

    code = "DownloadFailed"


class OfflineError(PreflightError):
    """A file is not on this machine and nothing may be fetched."""

    code = "Offline"


def public_url(url: str) -> str:
    """`url` as it may be shown: without user, password and query (a SAS token is a secret)."""
    try:
        parts = urlsplit(url)
    except ValueError:  # half an IPv6 address
        return without_passwords(re.split(r"[?#]", url, maxsplit=1)[0])
    host = parts.netloc.rpartition("@")[2]
    return urlunsplit((parts.scheme, host, parts.path, "", ""))


def without_passwords(text: str) -> str:
    """`text` of somebody else (an exception) without user and password in any address."""
    return _USER_INFO.sub("", text)


def check_address(url: str) -> None:
    """Raise DownloadError when an http(s) address cannot be one: no host, half an IPv6 address, no port."""
    try:
        parts = urlsplit(url)
        usable = bool(parts.hostname) and (parts.port is None or parts.port > 0)
    except ValueError:
        usable = False
    if not usable:
        raise DownloadError(f"{public_url(url)} is not an address.", hint="Write https://host/path.")
