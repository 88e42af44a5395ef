"""What is at an address before we upload, and whether it may go."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from builder.blob.errors import LEASE_HINT, code_of
from builder.blob.plan import PAGE, PageRange
from builder.disk.vhd import VhdError, parse_footer
from builder.errors import ConflictError, InUseError

if TYPE_CHECKING:
    from azure.storage.blob import BlobClient

    from builder.blob.address import BlobAddress

STATE, UPLOAD_ID, DIGEST, RANGES, RUN = (
    f"goldsmith_{word}" for word in ("state", "upload", "digest", "ranges", "run")
)
UPLOADING, COMPLETE = "uploading", "complete"
_NEVER = '"goldsmith-never"'


@dataclass(frozen=True, slots=True)
class There:
    """A blob, or nothing. `size` in bytes."""

    kind: Literal["nothing", "complete", "unfinished", "vhd"]
    size: int = 0
    etag: str = ""
    leased: bool = False
    metadata: Mapping[str, str] = field(default_factory=dict)

    @property
    def digest(self) -> str:
        """The content digest of what we put there; "" for somebody else's."""
        return self.metadata.get(DIGEST, "")

    @property
    def upload_id(self) -> str:
        """Which upload of ours made it."""
        return self.metadata.get(UPLOAD_ID, "")


def look(client: BlobClient, address: BlobAddress, own_lease: str = "", own_upload: str = "") -> There:
    """What is there. Raises ConflictError for what must not be replaced, InUseError when somebody else holds
    a lease on it (`own_lease` with `own_upload` is ours), and what azure-core raises: a missing container is
    an error, a missing blob is none.
    """
    from azure.core.exceptions import ResourceNotFoundError

    try:
        found = client.get_blob_properties()
    except ResourceNotFoundError as error:
        if code_of(error) == "BlobNotFound":
            return There("nothing")
        raise
    kind = str(getattr(found.blob_type, "value", found.blob_type))
    metadata = {str(name).lower(): str(value) for name, value in (found.metadata or {}).items()}
    if kind != "PageBlob":
        raise ConflictError(
            f"{address.uri} is there and is a {kind}, not a page blob; it is not replaced.",
            hint="Choose another name in 'uri', or delete the blob yourself.",
        )
    leased = str(found.lease.state) in ("leased", "breaking")
    ours = bool(own_lease) and own_upload == metadata.get(UPLOAD_ID)
    there = There(_kind_of(client, found.size, metadata), found.size, str(found.etag or ""), leased, metadata)
    if there.kind == "nothing":
        raise ConflictError(
            f"{address.uri} is there and is not a VHD; it is not replaced.",
            hint="Choose another name in 'uri', or delete the blob yourself.",
        )
    if leased and not ours:
        duration = str(found.lease.duration or "")
        by = "another upload" if there.kind == "unfinished" else f"somebody else ({duration} lease)"
        raise InUseError(f"{address.uri} is leased by {by}; it is not replaced.", hint=LEASE_HINT)
    return there


def check_writable(client: BlobClient) -> None:
    """Ask to write under a condition that cannot hold, which changes nothing and tells whether we might.
    Raises what azure-core raises when we may not.
    """
    from azure.core import MatchConditions
    from azure.core.exceptions import HttpResponseError, ResourceNotFoundError

    try:
        client.set_blob_metadata({}, etag=_NEVER, match_condition=MatchConditions.IfNotModified)
    except ResourceNotFoundError as error:
        if code_of(error) != "BlobNotFound":
            raise
    except HttpResponseError as error:
        if error.status_code != 412:  # the condition, or a lease: either way we were let in
            raise


def ranges_of(client: BlobClient) -> list[PageRange]:
    """The pages of the blob that were written, as the service lists them."""
    listed = client.list_page_ranges()
    return [PageRange(int(one.start or 0), int(one.end or 0) + 1) for one in listed if not one.cleared]


def _kind_of(
    client: BlobClient, size: int, metadata: Mapping[str, str]
) -> Literal["nothing", "complete", "unfinished", "vhd"]:
    if metadata.get(STATE) == COMPLETE:
        return "complete"
    if metadata.get(STATE) == UPLOADING:
        return "unfinished"
    if size < PAGE:
        return "nothing"
    try:
        parse_footer(client.download_blob(offset=size - PAGE, length=PAGE).readall())
    except VhdError:
        return "nothing"
    return "vhd"
