"""Uploading an image without a build: `build images upload`."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from builder.blob.address import BlobAddress, hide, is_blob_address
from builder.blob.upload import Upload, Uploaded, summary
from builder.deadline import Deadline
from builder.distributors.blob_vhd import check_ready, look_at, sign_in_to
from builder.errors import CancelledError, UsageError
from builder.redact import Redactor, guard
from builder.services import Services
from builder.settings import Home, load_settings

_LIMIT_SECONDS = 24 * 3600.0
"""More than any upload that is worth waiting for."""


@dataclass(frozen=True, slots=True)
class Disk:
    """A VHD to upload; `lun` None for the OS disk. `digest_of` tells its content."""

    vhd: Path
    digest_of: Callable[[], str]
    lun: int | None = None


def upload_by_hand(
    disks: Sequence[Disk],
    uri: str,
    *,
    name: str,
    check: Callable[[Services], None] | None = None,
    keep: bool = False,
    plain: bool = False,
    quiet: bool = False,
) -> list[Uploaded]:
    """Upload `disks`, the OS disk first in the list and last on the way, to `uri`; progress goes to stderr.
    `name` is the blob's where `uri` is a container or a folder; `check` is asked before anything is sent.

    Raises CancelledError, UsageError and what a build raises that uploads.
    """
    from builder.cancellation import Interrupted, cancel_on_signals
    from builder.ui.choose import open_sinks

    if not is_blob_address(uri):
        raise UsageError(
            "The address to upload to begins with https://.",
            hint="For a file of this machine: cp --sparse=always IMAGE.vhd PLACE.vhd",
        )
    home = Home()
    home.ensure()
    settings = load_settings(home)
    redactor = Redactor()
    guard(redactor)
    address = BlobAddress.parse(uri, name, insecure=settings.upload_over_http)
    hide(address, redactor)
    deadline = Deadline(_LIMIT_SECONDS, what="an upload")
    services = Services.of(home, settings, deadline, redactor=redactor, keep_unfinished=keep)
    with open_sinks(plain=plain, quiet=quiet, stdout=sys.stderr) as sinks:
        for sink in sinks:
            services.bus.add_sink(sink)
        try:
            with cancel_on_signals():
                return _upload(disks, address, services, check)
        except Interrupted as signal:
            raise CancelledError(f"Stopped by {signal.signal_name}.") from None


def _upload(
    disks: Sequence[Disk],
    address: BlobAddress,
    services: Services,
    check: Callable[[Services], None] | None,
) -> list[Uploaded]:
    check_ready(address, services)
    sign_in = sign_in_to(address, services)
    places = [(disk, address if disk.lun is None else address.beside(disk.lun)) for disk in disks]
    for _, place in places:
        look_at(place, sign_in, services)
    if check is not None:
        check(services)
    done = []
    for disk, place in reversed(places):
        upload = Upload(disk.vhd, disk.digest_of(), place, sign_in, services, keep=services.keep_unfinished)
        done.append(upload.run())
        services.bus.note(summary(done[-1]), code="Uploaded")
    return done[::-1]
