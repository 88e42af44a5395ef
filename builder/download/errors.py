"""What goes wrong with downloads, and how an address may be shown."""

from __future__ import annotations

import re
from urllib.parse import urlsplit, urlunsplit

from builder.errors import PreflightError

_USER_INFO = re.compile(r"(?<=://)[^/@\s]*@")


class DownloadError(PreflightError):
    """A file could not be fetched, or is not the file that was promised."""

    code = "DownloadFailed"


class OfflineError(PreflightError):
    """A file is not on this machine and nothing may be fetched."""

    code = "Offline"


def public_url(url: str) -> str:
    """`url` as it may be shown: without user, password and query (a SAS token is a secret)."""
    parts = urlsplit(url)
    host = parts.netloc.rpartition("@")[2]
    return urlunsplit((parts.scheme, host, parts.path, "", ""))


def without_passwords(text: str) -> str:
    """`text` of somebody else (an exception) without user and password in any address."""
    return _USER_INFO.sub("", text)
