"""How the build gets into its guest: a user, our key, and the host key the guest must show."""

from __future__ import annotations

import io
import json
import os
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import paramiko

BUILD_USER = "packer"  # the name AIB's build VM has; existing scripts rely on it


@dataclass(frozen=True, slots=True)
class KeyPair:
    """An ed25519 key in OpenSSH's formats. The private half never shows in a repr."""

    private: str = field(repr=False)
    public: str

    @classmethod
    def generate(cls, comment: str) -> KeyPair:
        """A new key."""
        from cryptography.hazmat.primitives import serialization
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

        key = Ed25519PrivateKey.generate()
        private = key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.OpenSSH,
            serialization.NoEncryption(),
        )
        public = key.public_key().public_bytes(
            serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH
        )
        return cls(private.decode(), f"{public.decode()} {comment}")


@dataclass(frozen=True, slots=True)
class BuildAccess:
    """The seed puts this into the guest, the SSH client uses it. One per build VM.

    `declared`: an account that the image has already (the template's `access`), with its own key or
    password. What the guest shows as its host key is not known beforehand then.
    """

    user: str
    client_key: KeyPair
    host_key: KeyPair
    declared: bool = False
    password: str | None = field(default=None, repr=False)

    @classmethod
    def generate(cls, user: str = BUILD_USER) -> BuildAccess:
        """New keys for `user`."""
        return cls(user, KeyPair.generate("goldsmith-build"), KeyPair.generate("goldsmith-guest"))

    def secrets(self) -> tuple[str, ...]:
        """What a redactor must hide."""
        known = (self.client_key.private, self.host_key.private, self.password)
        return tuple(secret for secret in known if secret)

    def save(self, path: Path) -> None:
        """Write everything to a file only its owner reads (a kept VM, a layer). What opens an account that
        the template declares is the user's: it is left out.
        """
        own = self
        if self.declared:
            own = replace(self, client_key=KeyPair("", self.client_key.public), password=None)
        _write_private(path, json.dumps(asdict(own)))

    @classmethod
    def load(cls, path: Path) -> BuildAccess:
        """What `save` wrote. Raises OSError, ValueError or KeyError when it is not that."""
        data = json.loads(path.read_text())
        keys = KeyPair(**data["client_key"]), KeyPair(**data["host_key"])
        return cls(data["user"], *keys, bool(data.get("declared", False)))

    def save_client_key(self, path: Path) -> None:
        """Write the private key for OpenSSH's `ssh -i`."""
        _write_private(path, self.client_key.private)


def read_key(text: str) -> paramiko.PKey:
    """A private key in any of OpenSSH's kinds. Raises ValueError saying what is wrong with it."""
    import paramiko

    kinds: tuple[Any, ...] = (paramiko.Ed25519Key, paramiko.ECDSAKey, paramiko.RSAKey)
    for kind in kinds:
        try:
            key: paramiko.PKey = kind.from_private_key(io.StringIO(text))
        except paramiko.PasswordRequiredException:
            raise ValueError("it has a passphrase") from None
        except (paramiko.SSHException, ValueError, IndexError, TypeError):
            continue  # another kind, or none
        return key
    raise ValueError("it is no private key of OpenSSH's kinds (ed25519, ecdsa, rsa)")


def _write_private(path: Path, text: str) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        os.fchmod(file.fileno(), 0o600)
        file.write(text)
