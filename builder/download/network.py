"""How this machine reaches others: whether at all, through which proxy, over how many connections."""

from __future__ import annotations

import contextlib
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from builder.download.errors import OfflineError, public_url, without_passwords
from builder.errors import EnvironmentProblem

if TYPE_CHECKING:
    from pathlib import Path

    import httpx

    from builder.settings import Settings

CONNECT_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class Network:
    """`proxy` None: what the environment says (HTTPS_PROXY, HTTP_PROXY, ALL_PROXY, NO_PROXY).
    `connections`: to one server for one large file, at most.
    """

    offline: bool = False
    proxy: str | None = field(default=None, repr=False)
    connections: int = 4

    @classmethod
    def of(cls, settings: Settings) -> Network:
        """As the settings say."""
        proxy = settings.proxy.get_secret_value() if settings.proxy else None
        return cls(settings.offline, proxy, settings.download_connections)

    @classmethod
    def configured(cls) -> Network:
        """As the settings of this user's home and the environment say. Raises UsageError."""
        from builder.settings import Home, load_settings

        return cls.of(load_settings(Home()))

    def check_online(self, url: str, place: Path | None = None) -> None:
        """Raises OfflineError when nothing may be fetched, which says where the file would have to be."""
        if not self.offline:
            return
        hint = (
            f"Fetch it elsewhere and put it into {place}, or build without --offline once."
            if place is not None
            else "Name a file on this machine instead, or build without --offline."
        )
        raise OfflineError(
            f"{public_url(url)} is not on this machine, and offline nothing is fetched.", hint=hint
        )


@contextlib.contextmanager
def open_client(network: Network, given: httpx.Client | None = None) -> Iterator[httpx.Client]:
    """An HTTP client that goes the network's way; `given` is used as it is and stays open.

    Raises EnvironmentProblem when the proxy cannot be used, or the certificates to trust cannot be read.
    """
    if given is not None:
        yield given
        return
    import httpx

    # A pool of httpx's own size would make waiting for a connection look like a dead server.
    limits = httpx.Limits(max_connections=None, max_keepalive_connections=network.connections)
    try:
        if network.proxy is None:
            client = httpx.Client(limits=limits)
        else:
            client = httpx.Client(transport=_proxied(network.proxy, limits))
    except (ImportError, ValueError, httpx.InvalidURL) as error:
        reason = without_passwords(str(error))
        if isinstance(error, ImportError):
            reason = "SOCKS is not supported"
        elif isinstance(error, httpx.InvalidURL):  # it may quote a piece of a password
            reason = "it has no address that can be read"
        raise EnvironmentProblem(
            f"The proxy cannot be used: {reason}.",
            hint="Set 'proxy' in settings.toml (or HTTPS_PROXY) to http://host:port.",
        ) from None
    except OSError as error:
        raise EnvironmentProblem(
            f"The certificates to trust cannot be read: {error.strerror or error}.",
            hint="Correct SSL_CERT_FILE and SSL_CERT_DIR, or unset them.",
        ) from None
    with client:
        yield client


def _proxied(proxy: str, limits: httpx.Limits) -> httpx.BaseTransport:
    import httpx

    class ByHost(httpx.BaseTransport):
        """Through the proxy, except for the hosts of NO_PROXY: httpx heeds that only for proxies of the
        environment.
        """

        def __init__(self) -> None:
            self._proxy = httpx.HTTPTransport(proxy=proxy, limits=limits)
            self._direct = httpx.HTTPTransport(limits=limits)

        def handle_request(self, request: httpx.Request) -> httpx.Response:
            bypass = urllib.request.proxy_bypass(request.url.netloc.decode("ascii"))
            return (self._direct if bypass else self._proxy).handle_request(request)

        def close(self) -> None:
            self._proxy.close()
            self._direct.close()

    return ByHost()
