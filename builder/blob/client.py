"""The client of azure-storage-blob, set up: patience that can be interrupted, no redirects, limits."""

from __future__ import annotations

import logging
import os
import random
import sys
import threading
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from builder.errors import EnvironmentProblem

if TYPE_CHECKING:
    from azure.storage.blob import BlobClient

    from builder.blob.address import BlobAddress
    from builder.blob.credentials import SignIn
    from builder.settings import Settings

INSTALL = f"{sys.executable} -m pip install azure-storage-blob azure-identity"
CONNECT_SECONDS = 20.0
READ_SECONDS = 60.0
HASTE_SECONDS = 15.0
ATTEMPTS = 10
FEW_ATTEMPTS = 3
_FIRST_PAUSE = 0.5
_LONGEST_PAUSE = 8.0


class Stopped(Exception):
    """Nobody waits for this request any more."""


def require_storage() -> None:
    """Raises EnvironmentProblem when azure-storage-blob is not installed."""
    try:
        import azure.storage.blob  # noqa: F401
    except ImportError as error:
        raise EnvironmentProblem(
            "Uploading to Azure storage needs the package azure-storage-blob, which is not installed.",
            details=(str(error),),
            hint=f"Install it: {INSTALL}",
        ) from None


def require_identity() -> object:
    """azure-identity's DefaultAzureCredential. Raises EnvironmentProblem when it is not installed."""
    try:
        from azure.identity import DefaultAzureCredential
    except ImportError as error:
        raise EnvironmentProblem(
            "Signing in to Azure needs the package azure-identity, which is not installed.",
            details=(str(error),),
            hint=f"Install it: {INSTALL}; or add a SAS token to the uri.",
        ) from None
    return DefaultAzureCredential()


@contextmanager
def open_blob(
    address: BlobAddress,
    sign_in: SignIn,
    settings: Settings,
    *,
    stop: threading.Event | None = None,
    hasty: bool = False,
    snapshot: str | None = None,
) -> Iterator[BlobClient]:
    """A client for one blob (or one snapshot of it), for any number of threads. What fails for a moment
    is tried again with longer pauses; once `stop` is set a pause ends with Stopped. `hasty`: for a question
    or for clearing up, which somebody waits for.

    Raises EnvironmentProblem.
    """
    require_storage()
    from azure.storage.blob import BlobClient

    from builder.blob.credentials import credential_of

    # Else what it warns of goes to stderr past our faces.
    logging.getLogger("azure").addHandler(logging.NullHandler())
    proxy = settings.proxy.get_secret_value() if settings.proxy else None
    options: dict[str, Any] = {}
    if proxy and not urllib.request.proxy_bypass(address.host):  # without one the environment's is used
        options["proxies"] = {"http": proxy, "https": proxy}
    bundle = os.environ.get("REQUESTS_CA_BUNDLE") or os.environ.get("SSL_CERT_FILE")
    if bundle:
        options["connection_verify"] = bundle
    client = BlobClient(
        address.service,
        address.container,
        address.name,
        snapshot=snapshot,
        credential=credential_of(sign_in, address),  # type: ignore[arg-type]
        retry_policy=_patience(FEW_ATTEMPTS if hasty else ATTEMPTS, stop or threading.Event()),
        connection_timeout=HASTE_SECONDS if hasty else CONNECT_SECONDS,
        read_timeout=HASTE_SECONDS if hasty else READ_SECONDS,
        permit_redirects=False,
        **options,
    )
    with client:
        yield client


def _patience(attempts: int, stop: threading.Event) -> object:
    from azure.storage.blob import ExponentialRetry

    class Patience(ExponentialRetry):
        """The SDK's policy of what is worth another attempt, with pauses that end when we are to stop."""

        def __init__(self) -> None:
            more = attempts - 1
            super().__init__(
                initial_backoff=1,
                retry_total=more,
                retry_connect=more,
                retry_read=more,
                retry_status=more,
            )

        def get_backoff_time(self, settings: dict[str, Any]) -> float:
            """Half a second, doubled each time up to eight, and a little by chance."""
            pause = min(_FIRST_PAUSE * 2 ** int(settings["count"]), _LONGEST_PAUSE)
            return float(pause * random.uniform(0.8, 1.2))  # noqa: S311 - no secret

        def sleep(self, settings: dict[str, Any], transport: object) -> None:
            """The pause. Raises Stopped."""
            if stop.wait(self.get_backoff_time(settings)):
                raise Stopped

    return Patience()
