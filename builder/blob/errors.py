"""What goes wrong with a storage account, as errors that say what to do."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from builder.blob.address import without_signature
from builder.errors import BuildError, EnvironmentProblem, GoldsmithError, InUseError, NotFoundError

if TYPE_CHECKING:
    from builder.blob.address import BlobAddress

_QUERY = re.compile(r"(?<=[\w/.~%$-])\?\S*")
_LEASED = frozenset({
    "LeaseIdMissing", "LeaseAlreadyPresent", "LeaseIdMismatchWithBlobOperation", "LeaseLost",
    "LeaseIdMismatchWithLeaseOperation", "LeaseAlreadyBroken", "LeaseIsBreakingAndCannotBeAcquired",
    "LeaseNotPresentWithBlobOperation",
    "LeaseNotPresentWithLeaseOperation", "LeaseIsBrokenAndCannotBeRenewed",
})  # fmt: skip
# azure-core's and azure-identity's; by name, so that neither is imported for it.
_NO_LOGIN = frozenset({"ClientAuthenticationError", "CredentialUnavailableError"})
LEASE_HINT = (
    "A disk may be attached to it, or another upload is under way (its lease ends a minute after it died). "
    "To take it by force: az storage blob lease break"
)


class UploadError(BuildError):
    """A blob was not uploaded, or is not what was sent."""

    code = "UploadFailed"


class UploadRefused(EnvironmentProblem):
    """The storage service does not let us: a wrong key, a right that is missing, a firewall."""

    code = "UploadRefused"


@contextmanager
def explained(address: BlobAddress, how: str) -> Iterator[None]:
    """Turn what the service and the network refuse into GoldsmithErrors. `how`: what we signed in with."""
    from azure.core.exceptions import AzureError

    try:
        yield
    except AzureError as error:
        raise explain(error, address, how) from None  # its text may quote the whole address


def explain(error: Exception, address: BlobAddress, how: str) -> GoldsmithError:
    """What an exception of azure-core's means for a person."""
    code, status, said = code_of(error), getattr(error, "status_code", None), said_of(error)
    details = tuple(line for line in (f"{status} {code}".strip() if status else code, said) if line)
    if status is None:
        return _without_answer(error, address, details)
    if code == "ContainerNotFound":
        return NotFoundError(
            f"The container '{address.container}' does not exist in {address.service}.",
            hint=f"Make it: az storage container create --account-name {address.account} "
            f"--name {address.container}",
        )
    if code in _LEASED:
        return InUseError(f"{address.uri} is leased by somebody else.", details=details, hint=LEASE_HINT)
    if status in (401, 403):
        return UploadRefused(
            f"{address.service} does not let us write {address.uri}; we signed in with {how}.",
            details=details,
            hint="Check the key or token, its end and its rights, and the account's firewall. A login needs "
            "the role 'Storage Blob Data Contributor'.",
        )
    if 300 <= int(status) < 400:
        return UploadError(
            f"{address.uri} leads elsewhere, which a storage account never does; nothing was sent there.",
            details=details,
            hint="Check the address, and for a proxy that answers in its place.",
        )
    return UploadError(f"{address.uri} could not be written.", details=details)


def _without_answer(error: Exception, address: BlobAddress, details: tuple[str, ...]) -> GoldsmithError:
    """There was no login, or no connection."""
    if type(error).__name__ in _NO_LOGIN:
        return UploadRefused(
            f"There is no login of Azure's here to sign in to {address.service} with.",
            details=details,
            hint="Sign in (az login), set AZURE_STORAGE_CONNECTION_STRING or AZURE_STORAGE_KEY, or add a SAS "
            "token to the uri.",
        )
    return UploadError(
        f"{address.service} cannot be reached.", details=details, hint="Check the address and the network."
    )


def code_of(error: Exception) -> str:
    """The service's own word for it, such as BlobNotFound; "" when it did not say."""
    code = getattr(error, "error_code", None)
    return str(getattr(code, "value", code) or "")


def said_of(error: Exception) -> str:
    """The first line of an exception, without what is secret in an address."""
    lines = str(getattr(error, "message", "") or error).strip().splitlines()
    return without_signature(_QUERY.sub("", lines[0])) if lines else type(error).__name__
