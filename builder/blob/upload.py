"""One VHD to one page blob: created, filled, proved, and only then a VHD."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from builder.blob import there as places
from builder.blob.client import open_blob
from builder.blob.errors import explain, explained
from builder.blob.lease import Lease
from builder.blob.note import Begun, Note
from builder.blob.plan import PAGE, PageRange, covered, fingerprint, merged, pieces, total
from builder.blob.send import Pool, Sender
from builder.blob.undo import drop_snapshot, take_away
from builder.blob.verify import check_ranges, read_back
from builder.cancellation import shielded
from builder.disk.extents import data_extents
from builder.disk.vhd import check_fixed_vhd
from builder.errors import GoldsmithError, InUseError
from builder.events import Wait
from builder.memo import recall, remember

if TYPE_CHECKING:
    from azure.storage.blob import BlobClient

    from builder.blob.address import BlobAddress
    from builder.blob.credentials import SignIn
    from builder.blob.there import There
    from builder.services import Services

GIB = 1024**3
_MOST_KNOWN = 500


@dataclass(frozen=True, slots=True)
class Uploaded:
    """How an upload went. Sizes in bytes: `size` is virtual, `stored` what the blob holds besides zeros,
    `sent` what went over the wire now, `resumed` what was there of an earlier attempt. `present`: nothing
    had to be sent, the blob is this image already.
    """

    uri: str
    size: int
    stored: int
    sent: int
    resumed: int = 0
    requests: int = 0
    seconds: float = 0.0
    present: bool = False
    replaced: bool = False


Announce = Callable[[str, Begun], None]
"""Told before the blob exists, and when it is settled: "begin" or "end"."""


class Upload:
    """`digest`: of the disk's content (disk/extents.py). `run` names the build in the blob's metadata. What
    an upload that fails leaves is taken away, or stays to be continued when `keep` says so.
    """

    def __init__(
        self,
        vhd: Path,
        digest: str,
        address: BlobAddress,
        sign_in: SignIn,
        services: Services,
        *,
        keep: bool = False,
        announce: Announce = lambda _what, _begun: None,
    ) -> None:
        self._vhd = vhd
        self._digest = digest
        self._address = address
        self._sign_in = sign_in
        self._services = services
        self._keep = keep
        self._announce = announce
        self._stop = threading.Event()
        self._note = Note.of(services.home, address.uri)

    def run(self) -> Uploaded:
        """Upload what is not there yet. Raises UploadError, UploadRefused, NotFoundError, ConflictError,
        InUseError, BuildTimeoutError, VhdError.
        """
        begun = time.monotonic()
        check_fixed_vhd(self._vhd)
        with (
            self._alone(),
            explained(self._address, self._sign_in.how),
            self._vhd.open("rb", buffering=0) as file,
        ):
            whole = os.fstat(file.fileno()).st_size
            data = list(pieces(data_extents(file.fileno(), whole - PAGE), whole - PAGE))
            with open_blob(self._address, self._sign_in, self._services.settings, stop=self._stop) as client:
                earlier, sent = self._note.read()
                own = (earlier.lease_id, earlier.upload_id) if earlier else ("", "")
                found = places.look(client, self._address, *own)
                if earlier is not None and not self._goes_on(earlier, sent, found, whole, data):
                    self._settle(earlier, found)
                    earlier, sent = None, {}
                    found = places.look(client, self._address)
                done = self._present(client, found, whole)
                if done is None:
                    done = self._make(client, found, earlier, sent, file.fileno(), data, whole)
        return replace(done, seconds=round(time.monotonic() - begun, 3))

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Of two processes with this home, one uploads to the address."""
        if not self._note.lock.try_acquire(uri=self._address.uri):
            raise InUseError(
                f"Another process of this machine uploads to {self._address.uri}.",
                hint="Wait until it has ended.",
            )
        try:
            yield
        finally:
            self._note.lock.release()

    def _present(self, client: BlobClient, found: There, whole: int) -> Uploaded | None:
        """The blob is this image already: it says so, it is as we left it, and its pages are those noted."""
        metadata = found.metadata
        if found.kind != "complete" or (found.digest, found.size) != (self._digest, whole):
            return None
        known = recall(self._services.home.known_blobs).get(self._address.uri)
        if known is not None and known != found.etag:  # somebody changed it since
            return None
        listed = places.ranges_of(client)
        if fingerprint(listed) != metadata.get(places.RANGES):
            return None
        return Uploaded(self._address.uri, whole - PAGE, total(merged(listed)), 0, present=True)

    def _goes_on(
        self, earlier: Begun, sent: dict[PageRange, str], found: There, whole: int, data: list[PageRange]
    ) -> bool:
        """Whether what an earlier attempt left is a beginning of this very upload."""
        return (
            (found.kind, found.upload_id) == ("unfinished", earlier.upload_id)
            and (earlier.digest, earlier.size, found.size) == (self._digest, whole, whole)
            and sent.keys() <= {*data, PageRange(whole - PAGE, whole)}
        )

    def _make(
        self,
        client: BlobClient,
        found: There,
        earlier: Begun | None,
        sent: dict[PageRange, str],
        file: int,
        data: list[PageRange],
        whole: int,
    ) -> Uploaded:
        upload = earlier or Begun(self._address.uri, self._digest, whole)
        with self._unfinished(upload) as current:
            if earlier is None:
                self._announce("begin", upload)
                self._note.begin(upload)
                if found.kind == "nothing":
                    self._create(client, upload)
            with Lease(client, upload.lease_id) as lease:
                if earlier is None and found.kind != "nothing":
                    current[0] = upload = self._replace(client, upload, found)
                there = merged(places.ranges_of(client)) if earlier else []
                known = {one: md5 for one, md5 in sent.items() if covered(one, there)}
                done = self._fill(client, lease, known, file, data, whole)
                self._finish(client, lease, upload, done[0])
        return replace(done[1], replaced=found.kind in ("complete", "vhd"))

    def _fill(
        self,
        client: BlobClient,
        lease: Lease,
        known: dict[PageRange, str],
        file: int,
        data: list[PageRange],
        whole: int,
    ) -> tuple[list[PageRange], Uploaded]:
        services, uri = self._services, self._address.uri
        sender = Sender(
            client, file, lease, self._note, known,
            stop=self._stop, threads=services.settings.upload_connections, deadline=services.deadline,
        )  # fmt: skip
        planned = total(data)
        size = f"{_size(planned)} of data, {_size(whole - PAGE)} virtual"
        with Wait(services.bus, f"Uploading {uri} ({size})") as wait:
            sender.run(data, lambda done: wait.progress(done, planned, "bytes"))
        check_ranges(sender.placed, places.ranges_of(client), uri)
        # Without its footer it is no VHD: from here on it is one, whatever happens to us.
        footer = PageRange(whole - PAGE, whole)
        sender.one(footer)
        listed = places.ranges_of(client)
        check_ranges(sender.placed, listed, uri)
        if services.settings.upload_verify == "content":
            self._read_back(client, sender)
        count = sender.count
        return listed, Uploaded(
            uri, whole - PAGE, total(sender.placed), count.sent, count.kept, len(sender.placed)
        )

    def _read_back(self, client: BlobClient, sender: Sender) -> None:
        services = self._services
        placed = sender.placed
        read = [0]

        def one(piece: PageRange) -> None:
            read_back(client, piece, placed, self._address.uri)
            read[0] += piece.size

        with Wait(services.bus, f"Reading {self._address.uri} back") as wait:

            def watch() -> None:
                wait.progress(read[0], total(placed), "bytes")
                services.deadline.remaining()

            Pool(services.settings.upload_connections, self._stop).run(placed, one, watch)

    def _create(self, client: BlobClient, upload: Begun) -> None:
        from azure.core import MatchConditions

        client.create_page_blob(
            upload.size,
            metadata=self._metadata(upload, places.UPLOADING),
            match_condition=MatchConditions.IfMissing,
        )

    def _replace(self, client: BlobClient, upload: Begun, found: There) -> Begun:
        """Make the blob anew, under our lease. What was whole stays in a snapshot until the new one is."""
        from azure.core.exceptions import HttpResponseError

        metadata = self._metadata(upload, places.UPLOADING)
        if found.kind != "unfinished" and self._sign_in.reads_snapshots:
            try:
                taken = client.create_snapshot(lease=upload.lease_id)
                upload = replace(upload, snapshot=str(taken["snapshot"]))
                self._note.change(upload)
                client.create_page_blob(upload.size, metadata=metadata, lease=upload.lease_id)
                return upload
            except HttpResponseError as error:
                if error.status_code not in (400, 403, 409):
                    raise
                if upload.snapshot:  # a premium account replaces no blob that has one
                    drop_snapshot(self._address, self._sign_in, self._services.settings, upload.snapshot)
                    upload = replace(upload, snapshot="")
                    self._note.change(upload)
        if found.kind != "unfinished":
            self._services.bus.warn(
                f"{self._address.uri} cannot be kept in a snapshot meanwhile: should the upload fail, "
                "what was there is gone.",
                code="BlobSnapshot",
            )
        client.create_page_blob(upload.size, metadata=metadata, lease=upload.lease_id)
        return upload

    def _finish(self, client: BlobClient, lease: Lease, upload: Begun, listed: list[PageRange]) -> None:
        metadata = self._metadata(upload, places.COMPLETE) | {places.RANGES: fingerprint(listed)}
        made = client.set_blob_metadata(metadata, lease=lease.id)
        known = recall(self._services.home.known_blobs)
        known.pop(self._address.uri, None)
        known[self._address.uri] = str(made["etag"])
        for uri in list(known)[:-_MOST_KNOWN]:
            del known[uri]
        remember(self._services.home.known_blobs, known)

    def _metadata(self, upload: Begun, state: str) -> dict[str, str]:
        facts = {
            places.STATE: state,
            places.UPLOAD_ID: upload.upload_id,
            places.DIGEST: upload.digest,
            places.RUN: self._services.run_id,
        }
        return {name: value for name, value in facts.items() if value}

    @contextmanager
    def _unfinished(self, upload: Begun) -> Iterator[list[Begun]]:
        """However the block ends, nothing is left that nobody knows of. What the upload became stands in the
        list."""
        current = [upload]
        try:
            yield current
        except BaseException as error:
            self._stop.set()
            with shielded():
                self._give_up(current[0], error)
            raise
        if current[0].snapshot:
            self._drop(current[0].snapshot)
        self._note.delete()
        self._announce("end", upload)

    def _drop(self, snapshot: str) -> None:
        from azure.core.exceptions import AzureError

        try:
            drop_snapshot(self._address, self._sign_in, self._services.settings, snapshot)
        except AzureError as error:
            self._services.bus.warn(
                f"The snapshot {snapshot} of {self._address.uri}, what was there before, is left: "
                f"{explain(error, self._address, self._sign_in.how)}",
                code="BlobLeft",
            )

    def _give_up(self, upload: Begun, error: BaseException) -> None:
        if self._keep:
            self._note.change(replace(upload, kept=True))
            self._announce("end", upload)
            self._services.bus.note(
                f"What was uploaded to {self._address.uri} stays; the next upload of this image goes on.",
                code="BlobKept",
            )
            return
        self._settle(upload, None)

    def _settle(self, upload: Begun, found: There | None) -> None:
        """Take an unfinished upload away. What cannot go is noted, and 'build gc' tries again. `found`: as it
        is now, where that is known."""
        is_its = found is None or (found.kind, found.upload_id) == ("unfinished", upload.upload_id)
        if not is_its and not upload.snapshot:
            self._note.delete()  # it is another's by now, or whole, or gone
            return
        try:
            with explained(self._address, self._sign_in.how):
                take_away(self._address, self._sign_in, self._services.settings, upload)
        except (GoldsmithError, OSError) as problem:
            self._services.bus.warn(
                f"The unfinished blob {self._address.uri} is left: {problem}. "
                "Uploading the same image again continues it, 'build gc' deletes it.",
                code="BlobLeft",
            )
            return
        self._note.delete()
        self._announce("end", upload)


def summary(done: Uploaded) -> str:
    """One upload on a line."""
    if done.present:
        return f"{done.uri} is this image already; nothing was sent."
    earlier = f", {_size(done.resumed)} were there of an earlier attempt" if done.resumed else ""
    return (
        f"{_size(done.sent)} of {_size(done.size)} sent to {done.uri} in {done.seconds:.1f} s{earlier}; "
        "the pages there are those that were sent."
    )


def _size(count: int) -> str:
    return f"{count / GIB:.2f} GiB" if count >= GIB // 10 else f"{count / 1024**2:.1f} MiB"
