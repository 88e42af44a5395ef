"""Signed lists of checksums: keys made by the real gpg, proved by the real gpgv."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from web import Page, Web, web_server

from builder.deadline import Deadline
from builder.download import signature
from builder.download.cache import DownloadCache
from builder.download.checksums import PublishedSums
from builder.download.network import Network
from builder.download.signature import SignatureError
from builder.errors import EnvironmentProblem, NotFoundError
from builder.events import EventBus
from builder.process import require, run
from builder.redact import Redactor

NAME = "disk.qcow2"
DIGEST = hashlib.sha256(b"a disk").hexdigest()
SUMS = f"{DIGEST} *{NAME}\n".encode()


class Gpg:
    """A publisher with a key of its own."""

    def __init__(self, home: Path, name: str, *, expires: str = "0", at: str = "") -> None:
        home.mkdir(mode=0o700)
        self.home, self.name = home, name
        self.time = ["--faked-system-time", at] if at else []
        parameters = (
            f"%no-protection\nKey-Type: RSA\nKey-Length: 2048\nName-Real: {name}\n"
            f"Expire-Date: {expires}\n%commit\n"
        )
        self("--gen-key", stdin=parameters.encode())
        self.keyring = home / f"{name}.gpg"
        self("--output", self.keyring, "--export")

    def __call__(self, *words: str | Path, stdin: bytes | None = None) -> None:
        run(
            ["gpg", "--batch", "--quiet", "--yes", *self.time, "--homedir", self.home, *words],
            stdin=stdin, timeout=120,
        )  # fmt: skip

    def sign(self, how: str, data: bytes) -> bytes:
        file = self.home / "data"
        file.write_bytes(data)
        self("--output", self.home / "signed", how, file)
        return (self.home / "signed").read_bytes()

    def armored(self) -> Path:
        path = self.home / "key.asc"
        self("--armor", "--output", path, "--export")
        return path


@pytest.fixture(scope="module")
def keys() -> Iterator[dict[str, Gpg]]:
    # gpg-agent's socket has at most 108 characters of path; pytest's folders are longer.
    with tempfile.TemporaryDirectory(prefix="gpg-") as folder:
        homes = {
            "right": Gpg(Path(folder, "r"), "right"),
            "other": Gpg(Path(folder, "o"), "other"),
            "old": Gpg(Path(folder, "e"), "old", expires="seconds=86400", at="20200101T000000!"),
        }
        yield homes
        for gpg in homes.values():
            run(["gpgconf", "--homedir", gpg.home, "--kill", "all"], timeout=60)


@pytest.fixture
def web() -> Iterator[Web]:
    with web_server() as server:
        yield server


def digest_of(
    web: Web, folder: Path, keyring: Path | str, *, style: str = "detached", name: str = NAME
) -> str:
    sums = PublishedSums(
        f"{web.url}/SUMS",
        f"{web.url}/SUMS.gpg" if style == "detached" else None,
        str(keyring) if style != "none" else None,
        style=style,  # type: ignore[arg-type]
    )
    return sums.digest_of(
        name, cache=DownloadCache(folder), deadline=Deadline(60), bus=EventBus(Redactor()), network=Network()
    )


@pytest.mark.parametrize("how", ["--detach-sign", "--armor --detach-sign"])
def test_a_detached_signature(web: Web, tmp_path: Path, keys: dict[str, Gpg], how: str) -> None:
    *options, verb = how.split()
    gpg = keys["right"]
    if options:
        gpg("--armor", "--output", gpg.home / "s", "--detach-sign", _data(gpg))
        web.pages["/SUMS.gpg"] = Page((gpg.home / "s").read_bytes())
    else:
        web.pages["/SUMS.gpg"] = Page(gpg.sign(verb, SUMS))
    web.pages["/SUMS"] = Page(SUMS)
    assert digest_of(web, tmp_path, gpg.keyring) == DIGEST
    assert digest_of(web, tmp_path, gpg.armored()) == DIGEST
    with pytest.raises(NotFoundError, match=r"no sha256 checksum of disk\.qcow"):
        digest_of(web, tmp_path, gpg.keyring, name="disk.qcow")


def _data(gpg: Gpg) -> Path:
    file = gpg.home / "data"
    file.write_bytes(SUMS)
    return file


def test_of_an_inline_signature_only_what_was_signed_counts(
    web: Web, tmp_path: Path, keys: dict[str, Gpg]
) -> None:
    gpg = keys["right"]
    signed = gpg.sign("--clear-sign", SUMS)
    web.pages["/SUMS"] = Page(signed)
    assert digest_of(web, tmp_path, gpg.keyring, style="inline") == DIGEST
    evil = f"{'0' * 64} *evil.qcow2\n".encode()
    web.pages["/SUMS"] = Page(evil + signed + evil, etag='"two"')
    with pytest.raises((NotFoundError, SignatureError)):
        digest_of(web, tmp_path, gpg.keyring, style="inline", name="evil.qcow2")
    # A second message, signed by somebody else, beside the right one; blanks may end a line of armor.
    others = keys["other"].sign("--clear-sign", evil)
    begins = b"-----BEGIN PGP SIGNED MESSAGE-----"
    for number, second in enumerate((others, others.replace(begins, begins + b" \t"))):
        web.pages["/SUMS"] = Page(second + signed, etag=f'"three{number}"')
        with pytest.raises(SignatureError, match="is not one signed message"):
            digest_of(web, tmp_path, gpg.keyring, style="inline", name="evil.qcow2")
    web.pages["/SUMS"] = Page(signed.replace(DIGEST.encode(), b"0" * 64), etag='"four"')
    with pytest.raises(SignatureError, match=r"is not what right \(key [0-9A-F]+\) signed: it was changed"):
        digest_of(web, tmp_path, gpg.keyring, style="inline")


def test_what_was_changed_after_signing_is_refused(web: Web, tmp_path: Path, keys: dict[str, Gpg]) -> None:
    gpg = keys["right"]
    web.pages["/SUMS.gpg"] = Page(gpg.sign("--detach-sign", SUMS))
    web.pages["/SUMS"] = Page(SUMS.replace(b"disk", b"risk"))
    with pytest.raises(SignatureError, match="it was changed"):
        digest_of(web, tmp_path, gpg.keyring, name="risk.qcow2")


def test_an_unknown_key_an_expired_one_and_none(web: Web, tmp_path: Path, keys: dict[str, Gpg]) -> None:
    web.pages["/SUMS"] = Page(SUMS)
    web.pages["/SUMS.gpg"] = Page(keys["other"].sign("--detach-sign", SUMS), etag='"1"')
    with pytest.raises(SignatureError, match="which is not in the keyring"):
        digest_of(web, tmp_path, keys["right"].keyring)
    web.pages["/SUMS.gpg"] = Page(keys["old"].sign("--detach-sign", SUMS), etag='"2"')
    with pytest.raises(SignatureError, match=r"with a key that has expired: old \(key"):
        digest_of(web, tmp_path, keys["old"].keyring)
    web.pages["/SUMS.gpg"] = Page(b"<html>sign in</html>", etag='"3"')
    with pytest.raises(SignatureError, match="no signature that gpgv can read"):
        digest_of(web, tmp_path, keys["right"].keyring)
    assert digest_of(web, tmp_path, "", style="none") == DIGEST


def test_two_signatures_of_which_one_key_is_known(web: Web, tmp_path: Path, keys: dict[str, Gpg]) -> None:
    web.pages["/SUMS"] = Page(SUMS)
    both = keys["other"].sign("--detach-sign", SUMS) + keys["right"].sign("--detach-sign", SUMS)
    web.pages["/SUMS.gpg"] = Page(both)
    assert digest_of(web, tmp_path, keys["right"].keyring) == DIGEST


def test_what_this_machine_lacks_is_said_with_the_command(
    web: Web, tmp_path: Path, keys: dict[str, Gpg], monkeypatch: pytest.MonkeyPatch
) -> None:
    gpg = keys["right"]
    web.pages["/SUMS"] = Page(SUMS)
    web.pages["/SUMS.gpg"] = Page(gpg.sign("--detach-sign", SUMS))
    with pytest.raises(EnvironmentProblem, match="does not exist"):
        digest_of(web, tmp_path, tmp_path / "none.gpg")
    with pytest.raises(EnvironmentProblem) as caught:
        digest_of(web, tmp_path, "ubuntu-no-such-keyring")
    assert caught.value.hint == "Install it: sudo apt-get install ubuntu-keyring"
    monkeypatch.setattr(signature, "KEYRINGS", gpg.home)
    assert digest_of(web, tmp_path, "right") == DIGEST
    monkeypatch.setattr(signature, "require", _missing)
    with pytest.raises(EnvironmentProblem) as caught:
        digest_of(web, tmp_path, gpg.keyring)
    assert caught.value.hint == "Install it: sudo apt-get install gpgv"


def _missing(name: str, package: str) -> str:
    return require(f"{name}-that-is-not-there", package)
