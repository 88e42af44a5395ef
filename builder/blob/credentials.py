"""How one signs in to a storage account: what is at hand, in a fixed order."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal
from urllib.parse import parse_qs

from builder.blob.client import require_identity
from builder.errors import EnvironmentProblem

if TYPE_CHECKING:
    from builder.blob.address import BlobAddress
    from builder.redact import Redactor

CONNECTION_STRING = "AZURE_STORAGE_CONNECTION_STRING"
ACCOUNT, KEY, SAS_TOKEN = "AZURE_STORAGE_ACCOUNT", "AZURE_STORAGE_KEY", "AZURE_STORAGE_SAS_TOKEN"
ORDER = (
    "a SAS token in the uri",
    f"{CONNECTION_STRING}, when it is of the uri's account",
    f"{KEY} or {SAS_TOKEN}, when {ACCOUNT} is the uri's account or not set",
    "azure-identity's DefaultAzureCredential (az login, a managed identity, AZURE_CLIENT_ID and so on)",
)


class SignInProblem(EnvironmentProblem):
    """There is no way to sign in, or what is at hand cannot be one. Never shows a value."""

    code = "BlobSignIn"


@dataclass(frozen=True, slots=True)
class SignIn:
    """`how` in words for messages; `passed_over` says what was at hand and is not of this account."""

    kind: Literal["sas", "key", "identity"]
    how: str
    secret: str = field(default="", repr=False)
    passed_over: tuple[str, ...] = ()

    @property
    def reads_snapshots(self) -> bool:
        """Whether it lets us at a snapshot that we made: the SAS token of a blob or container does not."""
        return self.kind != "sas" or "sr" not in parse_qs(self.secret)


def choose(address: BlobAddress, environment: Mapping[str, str]) -> SignIn:
    """What signs in to the account of `address`, by ORDER. Raises SignInProblem."""
    if address.sas:
        return SignIn("sas", "the SAS token in the uri", address.sas)
    passed_over: list[str] = []
    for look in (_connection_string, _variables):
        found = look(address, environment, passed_over)
        if found is not None:
            return found
    if address.scheme != "https":
        raise SignInProblem(
            f"There is nothing to sign in to {address.service} with; a login of Azure's is for https only.",
            details=tuple(passed_over),
            hint=f"Set {CONNECTION_STRING} or {KEY}, or add a SAS token to the uri.",
        )
    return SignIn("identity", "DefaultAzureCredential", passed_over=tuple(passed_over))


def hide(sign_in: SignIn, redactor: Redactor) -> None:
    """Make its secret known to `redactor`."""
    if sign_in.secret:
        redactor.add(sign_in.secret)


def credential_of(sign_in: SignIn, address: BlobAddress) -> object:
    """What azure-storage-blob takes. Raises EnvironmentProblem when azure-identity is missing."""
    if sign_in.kind == "key":
        from azure.core.credentials import AzureNamedKeyCredential

        return AzureNamedKeyCredential(address.account, sign_in.secret)
    if sign_in.kind == "sas":
        from azure.core.credentials import AzureSasCredential

        return AzureSasCredential(sign_in.secret)
    return require_identity()


def _connection_string(
    address: BlobAddress, environment: Mapping[str, str], passed_over: list[str]
) -> SignIn | None:
    text = environment.get(CONNECTION_STRING, "").strip()
    if not text:
        return None
    fields = {
        name.strip().lower(): value.strip()
        for name, separator, value in (part.partition("=") for part in text.split(";"))
        if separator
    }
    endpoint = fields.get("blobendpoint", "").rstrip("/").lower()
    account = fields.get("accountname", "")
    if not endpoint and not account:
        raise SignInProblem(
            f"{CONNECTION_STRING} is no connection string: it has neither AccountName nor BlobEndpoint.",
            hint="Copy it whole from the account's 'Access keys'.",
        )
    is_it = endpoint == address.service.lower() if endpoint else account == address.account
    if not is_it:
        passed_over.append(f"{CONNECTION_STRING} is of {endpoint or account}, not of {address.service}")
        return None
    if "accountkey" in fields:
        return SignIn("key", CONNECTION_STRING, _key(fields["accountkey"], CONNECTION_STRING))
    if "sharedaccesssignature" in fields:
        return SignIn("sas", CONNECTION_STRING, fields["sharedaccesssignature"].lstrip("?"))
    raise SignInProblem(
        f"{CONNECTION_STRING} has neither AccountKey nor SharedAccessSignature.",
        hint="Copy it whole from the account's 'Access keys'.",
    )


def _variables(address: BlobAddress, environment: Mapping[str, str], passed_over: list[str]) -> SignIn | None:
    account = environment.get(ACCOUNT, "").strip()
    for variable, kind in ((KEY, "key"), (SAS_TOKEN, "sas")):
        value = environment.get(variable, "").strip()
        if not value:
            continue
        if account and account != address.account:
            passed_over.append(f"{variable} is of {ACCOUNT}={account}, not of {address.account}")
        elif kind == "key":
            return SignIn("key", variable, _key(value, variable), tuple(passed_over))
        else:
            return SignIn("sas", variable, value.lstrip("?"), tuple(passed_over))
    return None


def _key(text: str, where: str) -> str:
    try:
        usable = len(base64.b64decode(text, validate=True)) > 0
    except (binascii.Error, ValueError):
        usable = False
    if not usable:
        raise SignInProblem(
            f"The account key in {where} is damaged: it is not base64.",
            hint="Copy the whole key, with its '='.",
        )
    return text
