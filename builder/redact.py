"""One redactor in front of every sink."""

from __future__ import annotations

import base64
import json
import shlex
import urllib.parse

MASK = "****"
_MIN_LENGTH = 3


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
        for line in secret.splitlines():
            if len(line.strip()) >= _MIN_LENGTH:
                forms.update(_forms(line))
        # Longest first: a secret that contains another must not leave its rest behind.
        self._needles = sorted({*self._needles, *forms}, key=len, reverse=True)

    def scrub(self, text: str) -> str:
        """`text` without any secret."""
        for needle in self._needles:
            if needle in text:
                text = text.replace(needle, MASK)
        return text

    def scrub_bytes(self, data: bytes) -> bytes:
        """Like `scrub`, for bytes that may not be text."""
        for needle in self._needles:
            data = data.replace(needle.encode(), MASK.encode())
        return data


def _forms(secret: str) -> list[str]:
    raw = secret.encode()
    forms = [
        secret,
        shlex.quote(secret),
        urllib.parse.quote(secret, safe=""),
        urllib.parse.quote_plus(secret),
        json.dumps(secret)[1:-1],
        json.dumps(secret, ensure_ascii=False)[1:-1],
        secret.replace("'", "'\"'\"'"),
        secret.replace("'", "''"),
    ]
    # Base64 of text around the secret: three alignments, trimmed to the characters it alone decides.
    for offset in range(3):
        encoded = base64.b64encode(b"\0" * offset + raw).decode().rstrip("=")
        start = (offset * 8 + 5) // 6
        end = ((offset + len(raw)) * 8) // 6
        if end - start >= 8:
            forms.append(encoded[start:end])
    utf16 = base64.b64encode(secret.encode("utf-16-le")).decode().rstrip("=")
    forms.append(utf16)
    return [form for form in forms if len(form.strip()) >= _MIN_LENGTH]
