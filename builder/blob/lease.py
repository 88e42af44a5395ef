"""A lease on a blob: nobody else writes to it meanwhile, and it ends soon after we do."""

from __future__ import annotations

import threading
from types import TracebackType
from typing import TYPE_CHECKING, Self

from builder.blob.client import Stopped
from builder.blob.errors import UploadError, code_of

if TYPE_CHECKING:
    from azure.storage.blob import BlobClient

SECONDS = 60
"""The longest lease that ends by itself (the service takes 15 to 60 seconds)."""
_RENEW_SECONDS = 15.0
_GOODBYE_SECONDS = 5.0


class Lease:
    """Held inside `with`, renewed in a thread of its own. The id is known before the lease exists, so that
    a later process can go on with the lease of one that was killed. Raises what azure-core raises.
    """

    def __init__(self, client: BlobClient, lease_id: str) -> None:
        from azure.storage.blob import BlobLeaseClient

        self.id = lease_id
        self._client = BlobLeaseClient(client, lease_id)
        self._end = threading.Event()
        self._lost = ""
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self._renew, name="blob-lease", daemon=True)

    def __enter__(self) -> Self:
        self._client.acquire(lease_duration=SECONDS)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        from azure.core.exceptions import AzureError

        self._end.set()
        self._thread.join(_GOODBYE_SECONDS)
        try:
            self._client.release()
        except (AzureError, Stopped):
            return  # it ends by itself

    def check(self) -> None:
        """Raises UploadError once somebody else has it."""
        if self._lost:
            raise UploadError(
                "Somebody broke our lease on the blob, or took it; nothing more is written to it.",
                details=(self._lost,),
                hint="Find out who else writes to that blob; then start again.",
            )

    def again(self) -> None:
        """Take it once more after it ran out, since the network was away for so long. Raises what azure-core
        raises when somebody else has it.
        """
        with self._lock:
            self._client.acquire(lease_duration=SECONDS)

    def _renew(self) -> None:
        from azure.core.exceptions import AzureError, HttpResponseError

        while not self._end.wait(_RENEW_SECONDS):
            try:
                # Not `acquire`: a request that is late must not take the lease anew after it was released.
                self._client.renew()
            except HttpResponseError as error:
                if error.status_code in (404, 409, 412) and not self._taken_again():
                    self._lost = f"{error.status_code} {code_of(error)}"
                    return
            except (AzureError, Stopped):
                continue  # whoever writes gets to know, should it last
            except ValueError:  # the client was closed meanwhile
                return

    def _taken_again(self) -> bool:
        """After it ran out; False when somebody else has it."""
        from azure.core.exceptions import AzureError

        if self._end.is_set():
            return True  # nobody needs it any more
        try:
            self.again()
        except (AzureError, Stopped, ValueError):
            return False
        return True
