"""Taking an unfinished upload away: the blob goes, or what was there before comes back."""

from __future__ import annotations

import threading
import time
from contextlib import suppress
from typing import TYPE_CHECKING

from builder.blob.client import open_blob
from builder.blob.errors import UploadError, code_of
from builder.blob.there import STATE, UPLOAD_ID, UPLOADING

if TYPE_CHECKING:
    from azure.storage.blob import BlobClient

    from builder.blob.address import BlobAddress
    from builder.blob.credentials import SignIn
    from builder.blob.note import Begun
    from builder.settings import Settings

_LOOK_SECONDS = 0.5


def take_away(address: BlobAddress, sign_in: SignIn, settings: Settings, begun: Begun) -> None:
    """Delete the blob of an unfinished upload, or put back what was there before. A blob that is not that
    upload's any more, or is whole, is left alone. Raises UploadError, what azure-core raises.
    """
    from azure.core.exceptions import ResourceNotFoundError

    with open_blob(address, sign_in, settings, hasty=True) as client:
        try:
            found = client.get_blob_properties()
        except ResourceNotFoundError as error:
            if code_of(error) != "BlobNotFound":
                raise
            return
        if str(found.copy.status) == "pending":
            raise UploadError(f"What was there before is still being put back to {address.uri}.")
        metadata = {str(name).lower(): value for name, value in (found.metadata or {}).items()}
        if (metadata.get(UPLOAD_ID), metadata.get(STATE)) == (begun.upload_id, UPLOADING):
            lease = begun.lease_id if str(found.lease.state) == "leased" else None
            if begun.snapshot:
                _put_back(client, address, sign_in, begun.snapshot, lease, settings.cleanup_timeout)
            else:
                client.delete_blob(lease=lease)
                return
        if begun.snapshot:
            drop_snapshot(address, sign_in, settings, begun.snapshot)


def drop_snapshot(address: BlobAddress, sign_in: SignIn, settings: Settings, snapshot: str) -> None:
    """Delete one snapshot and no other. Raises what azure-core raises."""
    from azure.core.exceptions import ResourceNotFoundError

    with (
        suppress(ResourceNotFoundError),
        open_blob(address, sign_in, settings, hasty=True, snapshot=snapshot) as client,
    ):
        client.delete_blob()


def _put_back(
    client: BlobClient,
    address: BlobAddress,
    sign_in: SignIn,
    snapshot: str,
    lease: str | None,
    seconds: float,
) -> None:
    """A copy within the account, which the service makes by itself."""
    token = f"&{sign_in.secret}" if sign_in.kind == "sas" else ""
    started = client.start_copy_from_url(f"{address.uri}?snapshot={snapshot}{token}", destination_lease=lease)
    status = str(started.get("copy_status"))
    end = time.monotonic() + seconds
    while status == "pending" and time.monotonic() < end:
        threading.Event().wait(_LOOK_SECONDS)
        status = str(client.get_blob_properties().copy.status)
    if status != "success":
        raise UploadError(
            f"{address.uri} could not be put back as it was: the copy is {status}.",
            hint=f"What was there before is in its snapshot {snapshot}; copy that over the blob.",
        )
    if lease is not None:
        with suppress(Exception):
            from azure.storage.blob import BlobLeaseClient

            BlobLeaseClient(client, lease).release()
