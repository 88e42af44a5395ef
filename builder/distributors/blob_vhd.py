"""`VHD` whose `uri` is the address of a blob: a page blob in a storage account."""

from __future__ import annotations

import os
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from builder.blob.address import BlobAddress, hide
from builder.blob.client import open_blob, require_storage
from builder.blob.note import Note
from builder.changes import Change
from builder.distributors.base import Artifact
from builder.download.errors import OfflineError
from builder.journal import Journal
from builder.workspace import Places

if TYPE_CHECKING:
    from builder.blob.credentials import SignIn
    from builder.blob.note import Begun
    from builder.blob.there import There
    from builder.blob.upload import Uploaded
    from builder.distributors.base import ExpectedImage, FinishedImage
    from builder.services import Services
    from templates.model.distribute import VhdDistributor as VhdModel

_SOON = timedelta(hours=1)


class BlobVhdDistributor:
    """Uploads the image to `uri`. A `uri` that ends with the container or with `/` gets
    `<runOutputName>.vhd` in it. Data disks go beside it: `web-lun0.vhd`.
    """

    leaves = True
    """The VHD gate stands before it."""

    def __init__(self, model: VhdModel, services: Services) -> None:
        self._model = model
        self._services = services
        self._luns: tuple[int, ...] = ()
        self._there: dict[str, There] = {}

    @cached_property
    def address(self) -> BlobAddress:
        """Where the OS disk goes. Its token is hidden from now on. Raises AddressError."""
        found = address_of(self._model, self._services)
        hide(found, self._services.redactor)
        return found

    @cached_property
    def sign_in(self) -> SignIn:
        """How we sign in. Raises SignInProblem."""
        return sign_in_to(self.address, self._services)

    def target(self) -> str:
        """The blob's plain address."""
        return self.address.uri

    def more_targets(self) -> tuple[str, ...]:
        """Those of the data disks."""
        return tuple(self.address.beside(lun).uri for lun in self._luns)

    def preflight(self, expected: ExpectedImage) -> str:
        """Ask the service whether we may write, and what is there. Raises AddressError, OfflineError,
        SignInProblem, UploadRefused, NotFoundError, ConflictError, InUseError, UploadError.
        """
        self._luns = tuple(disk.lun for disk in expected.data_disks)
        check_ready(self.address, self._services)
        for address in self._addresses:
            self._there[address.uri] = look_at(address, self.sign_in, self._services)
        os_disk = self._there[self.address.uri]
        word = (
            "VHD"
            if os_disk.kind == "nothing"
            else "continues"
            if os_disk.kind == "unfinished"
            else "replaces"
        )
        return f"{word} {self.address.uri}"

    def changes(self) -> Sequence[Change]:
        """The blobs."""
        return tuple(
            Change("create" if self._there[one.uri].kind == "nothing" else "replace", "vhd", one.uri)
            for one in self._addresses
            if one.uri in self._there
        )

    def distribute(self, image: FinishedImage) -> Artifact:
        """Upload the data disks, and last the OS disk. What is there already as it should be is not sent."""
        beside = {self.address.beside(disk.lun): disk for disk in image.data_disks}
        for address, disk in beside.items():
            self._upload(disk.vhd, disk.digest, address)
        done = self._upload(image.vhd, image.digest, self.address)
        return Artifact(
            run_output=self._model.run_output_name,
            type="VHD",
            uri=done.uri,
            size=done.size,
            size_on_disk=done.stored,
            tags=dict(self._model.artifact_tags),
            data_disks=tuple(address.uri for address in beside),
        )

    def release(self) -> None:
        """Nothing is reserved."""

    def _upload(self, vhd: Path, digest: str, address: BlobAddress) -> Uploaded:
        from builder.blob.upload import Upload, summary

        services = self._services
        journal = Journal(Places(services.home, vhd.parent.name).journal)

        def announce(what: str, begun: Begun) -> None:
            if journal.path.exists():
                if what == "begin":
                    note = Note.of(services.home, begun.uri).path
                    journal.intent("blob", f"blob:{begun.upload_id}", url=begun.uri, note=str(note))
                else:
                    journal.gone(f"blob:{begun.upload_id}")

        upload = Upload(
            vhd, digest, address, self.sign_in, services, keep=services.keep_unfinished, announce=announce
        )
        done = upload.run()
        services.bus.note(summary(done), code="Uploaded")
        return done

    @property
    def _addresses(self) -> tuple[BlobAddress, ...]:
        return (self.address, *(self.address.beside(lun) for lun in self._luns))


def address_of(model: VhdModel, services: Services) -> BlobAddress:
    """Where the VHD goes. Raises AddressError."""
    insecure = services.settings.upload_over_http
    return BlobAddress.parse(model.uri, f"{model.run_output_name}.vhd", insecure=insecure)


def sign_in_to(address: BlobAddress, services: Services) -> SignIn:
    """How we sign in; its secret is hidden from now on. Raises SignInProblem."""
    from builder.blob import credentials

    found = credentials.choose(address, os.environ)
    credentials.hide(found, services.redactor)
    for line in found.passed_over:
        services.bus.note(f"{line}; it is not used.", code="BlobSignIn")
    return found


def check_ready(address: BlobAddress, services: Services) -> None:
    """What can be said without the network. Raises OfflineError, AddressError, EnvironmentProblem."""
    if services.settings.offline:
        raise OfflineError(
            f"{address.uri} is not on this machine, and offline nothing is uploaded.",
            hint="Leave --offline out, or give the VHD a path as 'uri'.",
        )
    require_storage()
    address.check_sas()
    ends = address.sas_ends
    if ends is not None and ends - datetime.now(UTC) < _SOON:
        services.bus.warn(
            f"The SAS token for {address.uri} ends at {ends:%H:%M} UTC, within an hour.", code="BlobSasEnds"
        )


def look_at(address: BlobAddress, sign_in: SignIn, services: Services) -> There:
    """What is at the address, and whether we may write there. Raises like `BlobVhdDistributor.preflight`."""
    from builder.blob.errors import explained
    from builder.blob.there import check_writable, look

    begun, _ = Note.of(services.home, address.uri).read()
    own = (begun.lease_id, begun.upload_id) if begun else ("", "")
    with (
        explained(address, sign_in.how),
        open_blob(address, sign_in, services.settings, hasty=True) as client,
    ):
        check_writable(client)
        return look(client, address, *own)
