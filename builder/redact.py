"""One redactor in front of every sink."""

from __future__ import annotations

import base64
import json
import re
import shlex
import urllib.parse
from typing import Any

MASK = "****"
_MIN_LENGTH = 3
# Programs wrap base64 at 76 (coreutils, MIME) or 64 columns (PEM, openssl).
_BASE64_COLUMNS = (76, 64)
_MIN_BASE64 = 8
# What a shell does not need to quote; bash's printf %q puts a backslash before the rest.
_UNSAFE = re.compile(r"([^A-Za-z0-9_@%+=:,./-])")


_guarding: list[Redactor] = []


class Redactor:
    """Replaces secrets, and the forms a secret usually takes on its way, by `****`.

    A secret of several lines is hidden line by line too, since output arrives in lines. Values
    shorter than three characters are refused: hiding them would hide everything.
    """

    def __init__(self) -> None:
        self._needles: list[str] = []

    def add(self, secret: str) -> None:
        """Hide `secret` from now on. Raises ValueError when it is too short to be hidden."""
        if len(secret.strip()) < _MIN_LENGTH:
            raise ValueError(f"a secret needs at least {_MIN_LENGTH} characters")
        forms = set(_forms(secret))
        for part in (secret.strip(), *secret.splitlines()):
            for text in {part, part.strip()}:
                if len(text.strip()) >= _MIN_LENGTH:
                    forms.update(_forms(text))
        self._needles = sorted({*self._needles, *forms}, key=len, reverse=True)

    def scrub(self, text: str) -> str:
        """`text` without any secret."""
        found = [needle for needle in self._needles if needle in text]
        if not found:
            return text
        # Spans are joined before anything is replaced: where two secrets overlap, replacing one
        # first would leave the rest of the other.
        clean, end = [], 0
        for first, last in _spans(text, found):
            clean += [text[end:first], MASK]
            end = last
        return "".join([*clean, text[end:]])

    def scrub_json(self, value: Any) -> Any:  # noqa: ANN401 - any JSON value
        """Like `scrub`, for every text in a JSON value; a number that is a secret becomes `****`."""
        if isinstance(value, dict):
            return {self.scrub(str(key)): self.scrub_json(item) for key, item in value.items()}
        if isinstance(value, list):
            return [self.scrub_json(item) for item in value]
        if isinstance(value, str):
            return self.scrub(value)
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        return MASK if is_number and self.scrub(str(value)) == MASK else value

    def scrub_bytes(self, data: bytes) -> bytes:
        """Like `scrub`, for bytes that may not be text."""
        # surrogateescape brings every byte back as it was.
        text = data.decode("utf-8", "surrogateescape")
        return self.scrub(text).encode("utf-8", "surrogateescape")


def guard(redactor: Redactor) -> None:
    """From now on `scrub_known` hides what `redactor` knows, until this process ends."""
    _guarding.append(redactor)


def scrub_known(text: str) -> str:
    """`text` without the secrets of any guarding redactor: for what is written past the event bus,
    a crash's traceback above all.
    """
    for redactor in _guarding:
        text = redactor.scrub(text)
    return text


def _spans(text: str, needles: list[str]) -> list[tuple[int, int]]:
    """Where the needles are, overlapping places joined, in order."""
    places: list[tuple[int, int]] = []
    for needle in needles:
        at = text.find(needle)
        while at >= 0:
            places.append((at, at + len(needle)))
            at = text.find(needle, at + 1)
    joined: list[tuple[int, int]] = []
    for first, last in sorted(places):
        if joined and first < joined[-1][1]:
            joined[-1] = (joined[-1][0], max(last, joined[-1][1]))
        else:
            joined.append((first, last))
    return joined


def _forms(secret: str) -> list[str]:
    quoted = urllib.parse.quote(secret, safe="")
    as_json = [json.dumps(secret)[1:-1], json.dumps(secret, ensure_ascii=False)[1:-1]]
    forms = [
        secret,
        shlex.quote(secret),
        secret.replace("'", "'\"'\"'"),
        secret.replace("'", "'\\''"),  # bash's set -x
        secret.replace("'", "''"),  # PowerShell, SQL, YAML
        re.sub(r"([\\\"$`])", r"\\\1", secret),  # in double quotes
        _UNSAFE.sub(r"\\\1", secret),  # printf %q
        repr(secret)[1:-1],
        quoted,
        urllib.parse.quote(secret),
        urllib.parse.quote_plus(secret),
        re.sub(r"%[0-9A-F]{2}", lambda hexes: hexes.group().lower(), quoted),
        *as_json,
        *(json.dumps(form)[1:-1] for form in as_json),  # JSON inside JSON
    ]
    raw = secret.encode("utf-8", "surrogateescape")
    wide = secret.encode("utf-16-le", "surrogatepass")  # PowerShell's -EncodedCommand
    if len(raw) >= _MIN_BASE64 // 2:
        forms += [raw.hex(), raw.hex().upper()]
    for data in (raw, wide):
        forms += _base64_forms(data)
    return [form for form in forms if len(form.strip()) >= _MIN_LENGTH]


def _base64_forms(data: bytes) -> list[str]:
    """Base64 of text around `data`: three alignments, trimmed to the characters it alone decides;
    and `data` by itself, also wrapped into lines.
    """
    forms = []
    for offset in range(3):
        encoded = base64.b64encode(b"\0" * offset + data).decode().rstrip("=")
        start = (offset * 8 + 5) // 6
        end = ((offset + len(data)) * 8) // 6
        if end - start >= _MIN_BASE64:
            forms.append(encoded[start:end])
    whole = base64.b64encode(data).decode()
    if len(whole.rstrip("=")) >= _MIN_BASE64 // 2:
        forms += [whole, whole.rstrip("=")]
    for columns in _BASE64_COLUMNS:
        lines = [whole[at : at + columns] for at in range(0, len(whole), columns)]
        forms += [line for line in lines if len(line) >= _MIN_BASE64]
    return [*forms, *(form.translate(_URL_SAFE) for form in forms)]


_URL_SAFE = str.maketrans("+/", "-_")
