"""Whether what the service has is what was sent."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from builder.blob.errors import UploadError
from builder.blob.plan import PageRange, difference, total

if TYPE_CHECKING:
    from azure.storage.blob import BlobClient

_SHOWN = 5


def check_ranges(sent: Iterable[PageRange], listed: Iterable[PageRange], uri: str) -> None:
    """Raises UploadError unless the service lists the pages that were sent, and no others."""
    sent, listed = list(sent), list(listed)
    lines = []
    for what, ranges in (
        ("sent and not there", difference(sent, listed)),
        ("there and not sent", difference(listed, sent)),
    ):
        if ranges:
            shown = ", ".join(str(one) for one in ranges[:_SHOWN])
            more = f" and {len(ranges) - _SHOWN} more" if len(ranges) > _SHOWN else ""
            lines.append(f"{what}: {total(ranges)} bytes at {shown}{more}")
    if lines:
        raise UploadError(
            f"{uri} does not hold the pages that were sent.",
            details=tuple(lines),
            hint="Something else wrote to it, or the service lost a request; start again.",
        )


def read_back(client: BlobClient, one: PageRange, sent: Mapping[PageRange, str], uri: str) -> None:
    """Raises UploadError unless the blob holds, at `one`, the bytes whose MD5 was noted as sent."""
    data = client.download_blob(offset=one.start, length=one.size, max_concurrency=1).readall()
    if md5_of(data) != sent[one]:
        raise UploadError(
            f"{uri} holds other bytes than were sent, at {one}.",
            details=(f"sent MD5 {sent[one]}", f"read MD5 {md5_of(data)}"),
            hint="Something between here and the service changes data. Use https, then start again.",
        )


def md5_of(data: bytes) -> str:
    """What the service computes of each request, too; not for secrecy."""
    return hashlib.md5(data, usedforsecurity=False).hexdigest()
