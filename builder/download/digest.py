"""The digest that says which file is meant."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

Algorithm = Literal["sha256", "sha512"]
HEX_DIGITS: dict[Algorithm, int] = {"sha256": 64, "sha512": 128}


@dataclass(frozen=True, slots=True)
class Digest:
    """`value` in lower-case hexadecimal digits."""

    algorithm: Algorithm
    value: str

    @classmethod
    def of(cls, sha256: str | None, sha512: str | None) -> Digest | None:
        """The stronger of two that may be given."""
        if sha512:
            return cls("sha512", sha512.lower())
        return cls("sha256", sha256.lower()) if sha256 else None

    def found_in(self, path: Path) -> str:
        """What this digest is of the file as it is."""
        with path.open("rb") as file:
            return hashlib.file_digest(file, self.algorithm).hexdigest()
