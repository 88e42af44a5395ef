"""Who signed a file: OpenPGP signatures, proved by gpgv against a keyring of the publisher's."""

from __future__ import annotations

import base64
import binascii
import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from builder.download.errors import DownloadError
from builder.errors import EnvironmentProblem
from builder.process import require, run

KEYRINGS = Path("/usr/share/keyrings")
PACKAGE = "gpgv"
_SECONDS = 60.0
_STATUS = re.compile(r"^\[GNUPG:\] (\w+) ?(.*)$", re.MULTILINE)
_ARMOR = re.compile(
    r"-----BEGIN PGP PUBLIC KEY BLOCK-----\r?\n(?:[^\r\n]+\r?\n)*?\r?\n(.*?)\r?\n(?:=[^\r\n]*\r?\n)?"
    r"-----END PGP PUBLIC KEY BLOCK-----",
    re.DOTALL,
)
_BEGIN_SIGNED = "-----BEGIN PGP SIGNED MESSAGE-----"
_OF_PACKAGES = {"ubuntu-": "ubuntu-keyring", "debian-": "debian-archive-keyring"}


class SignatureError(DownloadError):
    """A file is not signed by who it should be from."""

    code = "SignatureInvalid"


@dataclass(slots=True)
class _Signature:
    """What gpgv says of one signature: status words with their arguments (GnuPG's doc/DETAILS)."""

    words: dict[str, str] = field(default_factory=dict)

    @property
    def good(self) -> bool:
        return "GOODSIG" in self.words and "VALIDSIG" in self.words


def find_keyring(keyring: str | Path) -> Path:
    """The keyring of that path, or of that name in /usr/share/keyrings. Raises EnvironmentProblem."""
    path = Path(keyring).expanduser()
    if path.is_absolute() or len(path.parts) > 1:
        if path.is_file():
            return path
        raise EnvironmentProblem(
            f"The keyring {path} does not exist.",
            hint="Put the publisher's public keys there (gpg --export).",
        )
    for name in (path.name, f"{path.name}.gpg", f"{path.name}.pgp", f"{path.name}.asc"):
        if (KEYRINGS / name).is_file():
            return KEYRINGS / name
    package = next((package for start, package in _OF_PACKAGES.items() if path.name.startswith(start)), "")
    raise EnvironmentProblem(
        f"There is no keyring '{path.name}' in {KEYRINGS}.",
        hint=f"Install it: sudo apt-get install {package}"
        if package
        else "Put the publisher's public keys there (gpg --export), or name a file by its path.",
    )


def verify_detached(data: Path, signature: Path, keyring: str | Path, what: str) -> None:
    """Prove that `signature` is one of `data` by a key of `keyring`. `what` names the data in errors.

    Raises SignatureError; EnvironmentProblem when gpgv or the keyring is missing.
    """
    with _scratch(find_keyring(keyring)) as (ring, home):
        argv = [*_gpgv(home, ring), "--", str(signature), str(data)]
        done = run(argv, timeout=_SECONDS, ok=range(256))
    _judge(done.stdout, done.stderr, keyring, what)


def verify_inline(signed: Path, keyring: str | Path, what: str) -> bytes:
    """What was signed of a clear-signed file, and nothing that stands around it. Raises as above."""
    text = signed.read_text(encoding="utf-8", errors="replace")
    if sum(line.strip() == _BEGIN_SIGNED for line in text.splitlines()) != 1:
        raise SignatureError(
            f"{what} is not one signed message.",
            hint="If it is signed in a file of its own, name that file and say 'detached'.",
        )
    with _scratch(find_keyring(keyring)) as (ring, home):
        out = Path(home) / "text"
        argv = [*_gpgv(home, ring), "--output", str(out), "--", str(signed)]
        done = run(argv, timeout=_SECONDS, ok=range(256))
        _judge(done.stdout, done.stderr, keyring, what)
        return out.read_bytes()


def _gpgv(home: str, ring: Path) -> list[str]:
    return [require("gpgv", PACKAGE), "--homedir", home, "--status-fd", "1", "--keyring", str(ring)]


def _judge(status: str, said: str, keyring: str | Path, what: str) -> None:
    """Good when one signature is good and none is bad: publishers sign with an old and a new key."""
    signatures = _signatures(status)
    words = {name: rest for one in signatures for name, rest in one.words.items()}
    details = tuple(line for line in said.splitlines() if line.strip())[-6:]
    if "BADSIG" in words:
        raise SignatureError(
            f"{what} is not what {_who(words['BADSIG'])} signed: it was changed.",
            details=details,
            hint="Do not use it. Try another mirror, and tell the publisher when it stays so.",
        )
    if any(one.good for one in signatures):
        return
    for word, reason in (
        ("EXPKEYSIG", "was signed with a key that has expired"),
        ("REVKEYSIG", "was signed with a key that was revoked"),
        ("EXPSIG", "has a signature that has expired"),
    ):
        if word in words:
            raise SignatureError(
                f"{what} {reason}: {_who(words[word])}.",
                details=details,
                hint=f"Bring the keyring {keyring} up to date; when it is, the file itself is too old.",
            )
    if "NO_PUBKEY" in words or "ERRSIG" in words:
        key = (words.get("NO_PUBKEY") or words["ERRSIG"]).split()[0]
        raise SignatureError(
            f"{what} is signed with the key {key}, which is not in the keyring {keyring}.",
            details=details,
            hint="Bring the keyring up to date, or find out why another key was used.",
        )
    raise SignatureError(f"{what} has no signature that gpgv can read.", details=details)


def _signatures(status: str) -> list[_Signature]:
    found: list[_Signature] = []
    for word, rest in _STATUS.findall(status):
        if word == "NEWSIG" or not found:
            found.append(_Signature())
        found[-1].words[word] = rest
    return found


def _who(rest: str) -> str:
    key, _, name = rest.partition(" ")
    return f"{name} (key {key})" if name else f"key {key}"


@contextmanager
def _scratch(keyring: Path) -> Iterator[tuple[Path, str]]:
    """The keyring as gpgv reads it, and a home for gpgv. Publishers hand their keys out as text; it takes
    only the binary form. `build gc` knows the folder by its name.
    """
    data = keyring.read_bytes()
    with tempfile.TemporaryDirectory(prefix="goldsmith-gpg-") as home:
        if b"-----BEGIN PGP PUBLIC KEY BLOCK-----" in data:
            try:
                blocks = [base64.b64decode(block) for block in _ARMOR.findall(data.decode("latin-1"))]
            except binascii.Error:
                blocks = []
            if not blocks:
                raise EnvironmentProblem(f"The keyring {keyring} holds no keys that can be read.")
            keyring = Path(home, "keyring.gpg")
            keyring.write_bytes(b"".join(blocks))
        yield keyring, home
