"""How the build gets into its guest: a user, our key, and the host key the guest must show."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass, field
from pathlib import Path

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
    """The seed puts this into the guest, the SSH client uses it. One per build VM."""

    user: str
    client_key: KeyPair
    host_key: KeyPair

    @classmethod
    def generate(cls, user: str = BUILD_USER) -> BuildAccess:
        """New keys for `user`."""
        return cls(user, KeyPair.generate("goldsmith-build"), KeyPair.generate("goldsmith-guest"))

    def secrets(self) -> tuple[str, str]:
        """What a redactor must hide."""
        return self.client_key.private, self.host_key.private

    def save(self, path: Path) -> None:
        """Write everything to a file only its owner reads (a kept VM, a layer)."""
        _write_private(path, json.dumps(asdict(self)))

    @classmethod
    def load(cls, path: Path) -> BuildAccess:
        """What `save` wrote. Raises OSError, ValueError or KeyError when it is not that."""
        data = json.loads(path.read_text())
        return cls(data["user"], KeyPair(**data["client_key"]), KeyPair(**data["host_key"]))

    def save_client_key(self, path: Path) -> None:
        """Write the private key for OpenSSH's `ssh -i`."""
        _write_private(path, self.client_key.private)


def _write_private(path: Path, text: str) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        os.fchmod(file.fileno(), 0o600)
        file.write(text)
