"""Where a blob is: the https address of a page blob, with or without a SAS token in it."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import PurePosixPath
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, quote, unquote, urlsplit

from builder.disk.data_disk import node_of
from builder.errors import PreflightError

if TYPE_CHECKING:
    from builder.redact import Redactor

# https://learn.microsoft.com/rest/api/storageservices/naming-and-referencing-containers--blobs--and-metadata
_CONTAINER = re.compile(r"\$root|\$web|[a-z0-9](?:-?[a-z0-9]){2,62}")
_LONGEST_NAME = 1024
_SHORTEST_SECRET = 3  # what a redactor takes
_HERE = frozenset({"localhost", "127.0.0.1", "::1"})
_IP = re.compile(r"[0-9.]+|\[?[0-9a-fA-F:]*:[0-9a-fA-F:]*\]?")
_SIGNED = re.compile(r"(sig=)[^&\s'\"<>]+", re.IGNORECASE)
_NEEDED = ("r", "w", "d")
_EXAMPLE = "Write https://ACCOUNT.blob.core.windows.net/CONTAINER/NAME.vhd, with or without ?SAS."


class AddressError(PreflightError):
    """An address that names no page blob we could write. Never shows a SAS token."""

    code = "BlobAddress"


def is_blob_address(uri: str) -> bool:
    """Whether `uri` leads to a storage service rather than to a place on this machine."""
    return uri.strip().lower().startswith(("https://", "http://"))


def without_signature(text: str) -> str:
    """`text` without the signature of any SAS token in it."""
    return _SIGNED.sub(r"\1****", text)


@dataclass(frozen=True, slots=True)
class BlobAddress:
    """One blob. `sas` is its token without the question mark, "" when there is none: a secret."""

    scheme: str
    host: str
    account: str
    container: str
    name: str
    by_path: bool = False
    """Whether the account stands in the path, as with Azurite, instead of in the host's name."""
    sas: str = field(default="", repr=False)

    @classmethod
    def parse(cls, uri: str, file_name: str = "", *, insecure: bool = False) -> BlobAddress:
        """The blob that `uri` names. A container or a folder (`.../`) gets `file_name` in it. Without TLS
        only this machine is spoken to, unless `insecure`. Raises AddressError.
        """
        shown = without_signature(uri.strip().partition("?")[0].rpartition("@")[2])
        try:
            parts = urlsplit(uri.strip())
            host, port = parts.hostname or "", parts.port
        except ValueError:
            raise AddressError(f"'{shown}' is not an address.", hint=_EXAMPLE) from None
        if not host or port == 0 or "@" in parts.netloc:
            raise AddressError(f"'{shown}' is not the address of a blob.", hint=_EXAMPLE)
        if parts.scheme.lower() == "http" and host not in _HERE and not insecure:
            raise AddressError(
                f"'{shown}' is without TLS: whoever listens could read the image and the token.",
                hint="Write https://, or set upload_over_http in settings.toml when the network is your own.",
            )
        by_path = host in _HERE or _IP.fullmatch(host) is not None
        words = [unquote(word) for word in parts.path.split("/")[1:]]
        account = words.pop(0) if by_path and words else host.partition(".")[0]
        container, name = (words or [""])[0], "/".join(words[1:])
        if not name or name.endswith("/"):
            name += file_name
        found = cls(
            parts.scheme.lower(),
            parts.netloc.lower(),
            account,
            container,
            name,
            by_path,
            _token(parts.query, shown),
        )
        found._check(shown, parts.fragment)
        return found

    @property
    def service(self) -> str:
        """The address of the account's blob service."""
        return f"{self.scheme}://{self.host}" + (f"/{quote(self.account)}" if self.by_path else "")

    @property
    def uri(self) -> str:
        """The blob's plain address: what may be shown and written down."""
        return f"{self.service}/{quote(self.container, safe='$')}/{quote(self.name, safe='/~')}"

    def beside(self, lun: int) -> BlobAddress:
        """The blob of a data disk whose image has its OS disk here: `web-lun0.vhd` beside `web.vhd`."""
        path = PurePosixPath(self.name)
        return replace(self, name=str(path.with_name(f"{path.stem}-{node_of(lun)}{path.suffix}")))

    @property
    def sas_ends(self) -> datetime | None:
        """When the SAS token ends to be valid; None when it does not say (a stored access policy does)."""
        text = (parse_qs(self.sas).get("se") or [""])[0]
        try:
            moment = datetime.fromisoformat(text)
        except ValueError:
            return None
        return moment if moment.tzinfo else moment.replace(tzinfo=UTC)

    def check_sas(self, now: datetime | None = None) -> None:
        """Raises AddressError when the SAS token says itself that it will not do."""
        if not self.sas:
            return
        fields = {name: values[0] for name, values in parse_qs(self.sas).items()}
        granted = fields.get("sp", "rwd")  # without it a stored access policy grants, which only Azure knows
        missing = [right for right in _NEEDED if right not in granted]
        hint = (
            "Make one that reads, creates, writes, deletes: az storage blob generate-sas --permissions rcwd"
        )
        if missing:
            raise AddressError(
                f"The SAS token for {self.uri} grants '{granted}'; '{''.join(missing)}' is missing.",
                details=("read: look at what is there; write: upload; delete: take an unfinished one away.",),
                hint=hint,
            )
        if fields.get("spr", "") == "https" and self.scheme == "http":
            raise AddressError(f"The SAS token for {self.uri} is for https only.", hint="Write https://.")
        ends = self.sas_ends
        if ends is not None and ends <= (now or datetime.now(UTC)):
            raise AddressError(f"The SAS token for {self.uri} ended at {ends:%Y-%m-%d %H:%M} UTC.", hint=hint)

    def _check(self, shown: str, fragment: str) -> None:
        if fragment:
            raise AddressError(f"'{shown}' has a '#' in it.", hint="In a blob's name write %23 for it.")
        if not self.account or not self.container:
            raise AddressError(f"'{shown}' names no container.", hint=_EXAMPLE)
        if not _CONTAINER.fullmatch(self.container):
            raise AddressError(
                f"'{self.container}' cannot be the name of a container.",
                hint="3 to 63 lower-case letters, digits and single dashes between them.",
            )
        if not self.name or len(self.name) > _LONGEST_NAME or self.name.endswith((".", "/")):
            raise AddressError(
                f"'{shown}' names no blob.", hint="At most 1024 characters, not ending with a period."
            )


def _token(query: str, shown: str) -> str:
    """The SAS token in an address's query. Raises AddressError for anything else that stands there."""
    fields = parse_qs(query, keep_blank_values=True)
    if not fields:
        return ""
    if "sig" not in fields:
        raise AddressError(
            f"'{shown}' has '{', '.join(sorted(fields))}' in its query, and no signature ('sig').",
            hint="After the question mark only a whole SAS token may stand; it ends with sig=...",
        )
    if "snapshot" in fields or "versionid" in fields:
        raise AddressError(f"'{shown}' is a snapshot or an old version, which cannot be written.")
    return query


def hide(address: BlobAddress, redactor: Redactor) -> None:
    """Make the SAS token known to `redactor`, whole and its signature alone."""
    for secret in signatures(f"?{address.sas}"):
        redactor.add(secret)


def signatures(uri: str) -> list[str]:
    """What is secret in an address: the SAS token in it as a whole, and its signature. Never raises."""
    query = uri.partition("?")[2].partition("#")[0]
    found = [secret for secret in parse_qs(query).get("sig", []) if len(secret) >= _SHORTEST_SECRET]
    return [query, *found] if found else []
