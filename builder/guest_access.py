"""The account a template declares to enter its source by: fetched once, hidden, never stored."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from builder import secrets
from builder.errors import PreflightError
from builder.vm.access import BuildAccess, KeyPair, read_key

if TYPE_CHECKING:
    from builder.services import Services
    from builder.sources.base import OsType
    from templates.model import GuestAccess


def require_windows(os_type: OsType) -> None:
    """Raises PreflightError for a source that gets its user in another way."""
    if os_type != "Windows":
        raise PreflightError(
            "x-goldsmith.access is for Windows sources.",
            hint="Leave it out: a Linux guest gets its user by cloud-init.",
        )


def resolve_access(access: GuestAccess, services: Services) -> BuildAccess | None:
    """The declared account with its key or password; None where one only asks and a command would have to
    run. Raises SecretError when it cannot be had or is no key.
    """
    reference, kind = access.private_key, "privateKey"
    if reference is None:
        reference, kind = access.password, "password"
    what = f"x-goldsmith.access: the {kind} of '{access.user}'"
    if reference is None:
        raise secrets.SecretError(f"{what} is not given.", hint="Give privateKey or password.")
    if reference.command is not None and services.read_only:
        services.bus.note(f"{what}: its command is only run by a build.")
        return None
    value = secrets.fetch_hidden(reference, what, services)
    made = BuildAccess.generate(access.user)
    if kind == "password":
        return replace(made, declared=True, password=value, client_key=KeyPair("", ""))
    # A secret loses its last newline; a key is not one without it.
    text = value.replace("\r\n", "\n").rstrip("\n") + "\n"
    try:
        key = read_key(text)
    except ValueError as error:
        raise secrets.SecretError(
            f"{what} cannot be used: {error}.",
            hint="Make one without a passphrase: ssh-keygen -t ed25519 -N '' -f windows",
        ) from None
    public = f"{key.get_name()} {key.get_base64()} {access.user}"
    return replace(made, declared=True, client_key=KeyPair(text, public))
