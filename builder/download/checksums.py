"""The list of checksums a publisher puts beside its files, and who signed it."""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from builder.deadline import Deadline
from builder.download.cache import DownloadCache
from builder.download.digest import HEX_DIGITS, Algorithm
from builder.download.errors import DownloadError, public_url
from builder.download.network import Network
from builder.download.signature import verify_detached, verify_inline
from builder.errors import NotFoundError
from builder.events import EventBus

if TYPE_CHECKING:
    import httpx

Style = Literal["detached", "inline", "none"]
_MAX_BYTES = 16 * 1024 * 1024
_COREUTILS = re.compile(r"^([0-9A-Fa-f]+) [ *](.+)$")
_BSD = re.compile(r"^(SHA\d+) \((.+)\) = ([0-9A-Fa-f]+)$")


@dataclass(frozen=True, slots=True)
class PublishedSums:
    """Where a publisher's checksums are (`url`) and how they are signed: `detached` in a file of its own
    (`signature_url`), `inline` around the list itself, or `none`. `keyring` is a path, or a name in
    /usr/share/keyrings; it holds the publisher's public keys.
    """

    url: str
    signature_url: str | None = None
    keyring: str | None = None
    algorithm: Algorithm = "sha256"
    style: Style = "detached"

    def __post_init__(self) -> None:
        if self.style == "detached" and not self.signature_url:
            raise ValueError("a detached signature needs its address")
        if self.style != "none" and not self.keyring:
            raise ValueError("a signature needs a keyring")

    def digest_of(
        self,
        name: str,
        *,
        cache: DownloadCache,
        deadline: Deadline,
        bus: EventBus,
        client: httpx.Client | None = None,
        network: Network | None = None,
    ) -> str:
        """The digest (lower-case hexadecimal) of the file called `name`, from a list whose signature holds.

        The list is fetched unless it is in `cache` and did not change. Raises SignatureError,
        NotFoundError when the list does not have the name, DownloadError, OfflineError,
        EnvironmentProblem (no gpgv, no keyring), BuildTimeoutError.
        """
        sums = cache.fetch(
            self.url, deadline=deadline, bus=bus, client=client, network=network, max_bytes=_MAX_BYTES
        )
        signature: Path | None = None
        if self.style == "detached" and self.signature_url:
            signature = cache.fetch(
                self.signature_url,
                deadline=deadline,
                bus=bus,
                client=client,
                network=network,
                max_bytes=_MAX_BYTES,
            )
        return find_digest(self._proved(sums, signature), name, self.algorithm, public_url(self.url))

    def _proved(self, sums: Path, signature: Path | None) -> str:
        what = public_url(self.url)
        if self.style == "inline" and self.keyring:
            data = verify_inline(sums, self.keyring, what)
        else:
            if signature is not None and self.keyring:
                verify_detached(sums, signature, self.keyring, what)
            data = sums.read_bytes()
        return data.decode("utf-8", "replace")


def find_digest(text: str, name: str, algorithm: Algorithm, where: str = "The list") -> str:
    """The digest of `name` in a list as sha256sum (`HASH *NAME`) or BSD's tools (`SHA256 (NAME) = HASH`)
    write it. Raises NotFoundError, DownloadError when the list contradicts itself.
    """
    found: set[str] = set()
    names: set[str] = set()
    for listed, digest in parse_sums(text, algorithm):
        names.add(listed)
        if listed == name:
            found.add(digest)
    if len(found) > 1:
        raise DownloadError(f"{where} has {len(found)} different checksums of {name}.")
    if found:
        return found.pop()
    close = difflib.get_close_matches(name, sorted(names), n=3)
    raise NotFoundError(
        f"{where} has no {algorithm} checksum of {name}.",
        details=(f"It has {', '.join(close)}.",) if close else (f"It has {len(names)} other files.",),
        hint="Correct the name of the file, or the address of the list.",
    )


def parse_sums(text: str, algorithm: Algorithm) -> list[tuple[str, str]]:
    """Names with their digests of `algorithm`; comments, signatures and other algorithms are passed over."""
    found: list[tuple[str, str]] = []
    for line in text.splitlines():
        bsd, gnu = _BSD.match(line.rstrip()), _COREUTILS.match(line.rstrip())
        if bsd and bsd[1].lower() == algorithm:
            name, digest = bsd[2], bsd[3]
        elif gnu:
            name, digest = gnu[2], gnu[1]
        else:
            continue
        if len(digest) == HEX_DIGITS[algorithm]:
            found.append((name.removeprefix("./"), digest.lower()))
    return found
