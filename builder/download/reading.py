"""Small files that are read whole into memory: the scripts a template names, lists of checksums."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from builder.deadline import Deadline
from builder.download.errors import DownloadError, public_url
from builder.download.exchange import check_stays_secure, get, retrying
from builder.download.network import Network, open_client
from builder.errors import NotFoundError

if TYPE_CHECKING:
    import httpx


def read_uri(
    uri: str,
    base_dir: Path,
    deadline: Deadline,
    max_bytes: int,
    *,
    client: httpx.Client | None = None,
    network: Network | None = None,
) -> bytes:
    """The bytes behind `uri`: a path (a relative one starts at `base_dir`), file:// or http(s)://.

    Raises NotFoundError when there is nothing, OfflineError, DownloadError when it cannot be had or is
    larger than `max_bytes`, BuildTimeoutError.
    """
    scheme = urlsplit(uri).scheme.lower()
    if scheme in ("http", "https"):
        network = network or Network.configured()
        network.check_online(uri)
        with open_client(network, client) as http:
            return retrying(uri, deadline, lambda: _read_http(http, uri, deadline, max_bytes))
    if scheme == "file":
        return _read_file(path_of(uri), uri, max_bytes)
    if "://" in uri:
        raise DownloadError(
            f"{public_url(uri)} has the scheme '{scheme}', which is not supported.",
            hint="Use a file path, file://, http:// or https://.",
        )
    return _read_file(base_dir / uri, uri, max_bytes)


def path_of(uri: str) -> Path:
    """The path in a file:// address. Raises DownloadError when it names another machine."""
    parts = urlsplit(uri)
    if parts.netloc not in ("", "localhost"):
        raise DownloadError(f"{uri} names another machine.", hint="Write file:///path or a plain path.")
    return Path(unquote(parts.path))


def _read_file(path: Path, written: str, max_bytes: int) -> bytes:
    where = "" if str(path) == written else f" (written as '{written}')"
    try:
        if path.is_dir():
            raise DownloadError(f"{path}{where} is a folder, not a file.")
        if path.stat().st_size > max_bytes:
            raise _too_large(f"{path}{where}", max_bytes)
        with path.open("rb") as file:
            data = file.read(max_bytes + 1)  # a device has no size, and no end
        if len(data) > max_bytes:
            raise _too_large(f"{path}{where}", max_bytes)
        return data
    except FileNotFoundError:
        raise NotFoundError(
            f"The file {path}{where} does not exist.",
            hint="Relative paths start at the template's folder.",
        ) from None
    except OSError as error:
        raise DownloadError(f"{path}{where} cannot be read: {error.strerror or error}.") from error


def _read_http(http: httpx.Client, url: str, deadline: Deadline, max_bytes: int) -> bytes:
    with get(http, url, deadline, {}) as response:
        check_stays_secure(url, response)
        data = bytearray()
        for chunk in response.iter_bytes():
            data += chunk
            deadline.remaining()
            if len(data) > max_bytes:
                raise _too_large(public_url(url), max_bytes)
        return bytes(data)


def _too_large(name: str, max_bytes: int) -> DownloadError:
    return DownloadError(f"{name} is larger than {max_bytes // 1024} KiB, the most that is taken here.")
