"""The downloads that builds share: `cache/downloads/`, a file by its digest, else by its address.

A file of which no digest is known is taken again when its server says that it is still the same
(`NAME.json` holds what the server said of it), and offline as it is.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from builder.deadline import Deadline
from builder.download.digest import Digest
from builder.download.exchange import get, retrying
from builder.download.fetch import fetch
from builder.download.network import Network, open_client
from builder.download.part import Remote
from builder.download.transfer import LARGEST
from builder.events import EventBus, Wait

if TYPE_CHECKING:
    import httpx


class DownloadCache:
    """The downloads in one folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def place(
        self, url: str | Sequence[str], *, sha256: str | None = None, sha512: str | None = None
    ) -> Path:
        """Where the file is once it is here."""
        digest = Digest.of(sha256, sha512)
        if digest is None:
            first = url if isinstance(url, str) else url[0]
            return self._folder / f"url-{hashlib.sha256(first.encode()).hexdigest()}"
        return self._folder / (digest.value if digest.algorithm == "sha256" else f"sha512-{digest.value}")

    def fetch(
        self,
        url: str | Sequence[str],
        *,
        sha256: str | None = None,
        sha512: str | None = None,
        deadline: Deadline,
        bus: EventBus,
        client: httpx.Client | None = None,
        network: Network | None = None,
        max_bytes: int = LARGEST,
    ) -> Path:
        """The file, fetched unless it is here. Raises as `builder.download.fetch.fetch`."""
        network = network or Network.configured()
        place = self.place(url, sha256=sha256, sha512=sha512)
        with open_client(network, client) as http:
            if sha256 or sha512:
                fetch(
                    url, place, sha256=sha256, sha512=sha512,
                    deadline=deadline, bus=bus, client=http, network=network, max_bytes=max_bytes,
                )  # fmt: skip
            elif not (place.exists() and (network.offline or self._same(http, url, place, deadline, bus))):
                remote = fetch(
                    url, place, deadline=deadline, bus=bus, client=http, network=network, max_bytes=max_bytes
                )
                _facts(place).write_text(json.dumps(asdict(remote)))
        return place

    def _same(
        self, http: httpx.Client, url: str | Sequence[str], place: Path, deadline: Deadline, bus: EventBus
    ) -> bool:
        """Whether the server still has the file that is in `place`."""
        first = url if isinstance(url, str) else url[0]
        remote = _read_facts(place)
        headers = {"Accept-Encoding": "identity"}
        if remote.etag:
            headers["If-None-Match"] = remote.etag
        elif remote.last_modified:
            headers["If-Modified-Since"] = remote.last_modified
        else:
            return False

        def ask() -> bool:
            with get(http, first, deadline, headers) as response:
                return response.status_code == 304

        with Wait(bus, "Asking whether a file changed"):
            return retrying(first, deadline, ask)


def _facts(place: Path) -> Path:
    return place.with_name(f"{place.name}.json")


def _read_facts(place: Path) -> Remote:
    with contextlib.suppress(OSError, ValueError, TypeError):
        return Remote(**json.loads(_facts(place).read_bytes()))
    return Remote()
