"""The account a template declares: where its key or password comes from, and what is wrong with it."""

from __future__ import annotations

from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from builder.deadline import Deadline
from builder.errors import PreflightError
from builder.events import EventBus
from builder.guest_access import require_windows, resolve_access
from builder.redact import Redactor
from builder.secrets import SecretError
from builder.services import Services
from builder.settings import Home, Settings
from builder.vm.access import KeyPair
from templates.model import GuestAccess


@pytest.fixture
def services(tmp_path: Path) -> Services:
    redactor = Redactor()
    home = Home(tmp_path)
    return Services(home, Settings(), EventBus(redactor), redactor, Deadline(60), tmp_path, tmp_path)


def access(**fields) -> GuestAccess:
    return GuestAccess.model_validate({"user": "Administrator", **fields})


def test_a_key_file(services: Services, tmp_path: Path) -> None:
    key = KeyPair.generate("mine")
    (tmp_path / "key").write_text(key.private)
    found = resolve_access(access(privateKey={"file": "key"}), services)
    assert found is not None
    assert (found.user, found.declared, found.password) == ("Administrator", True, None)
    assert found.client_key.private == key.private
    assert found.client_key.public.split()[:2] == key.public.split()[:2]
    secret_line = key.private.splitlines()[2]
    assert secret_line not in services.redactor.scrub(f"said {secret_line}")


def test_a_password_from_the_environment(services: Services, monkeypatch) -> None:
    monkeypatch.setenv("WINDOWS_PASSWORD", "opens-the-door")
    found = resolve_access(access(password={"env": "WINDOWS_PASSWORD"}), services)
    assert found is not None
    assert found.password == "opens-the-door"
    assert found.client_key.private == ""
    assert "opens" not in services.redactor.scrub("it opens-the-door")


def test_what_is_wrong_is_said_without_the_secret(services: Services, tmp_path: Path) -> None:
    locked = Ed25519PrivateKey.generate().private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.OpenSSH,
        serialization.BestAvailableEncryption(b"pass phrase"),
    )
    (tmp_path / "locked").write_bytes(locked)
    (tmp_path / "none").write_text("not-a-key-at-all")
    for name, why in (("locked", "passphrase"), ("none", "no private key")):
        with pytest.raises(SecretError, match=why) as caught:
            resolve_access(access(privateKey={"file": name}), services)
        assert "not-a-key" not in str(caught.value)
    with pytest.raises(SecretError, match=r"privateKey of 'Administrator'.*cannot be read"):
        resolve_access(access(privateKey={"file": "missing"}), services)
    with pytest.raises(SecretError, match="not given"):
        resolve_access(access(), services)


def test_only_windows_sources_have_one() -> None:
    require_windows("Windows")
    with pytest.raises(PreflightError, match="for Windows sources"):
        require_windows("Linux")
