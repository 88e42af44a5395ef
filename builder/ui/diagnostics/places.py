"""How a file is named for a program that shows findings beside the source of a repository."""

from __future__ import annotations

import os
from pathlib import Path
from urllib.parse import quote


def below_here(file: str) -> str:
    """`file` relative to the current directory when it lies below: annotations go by such names."""
    path = Path(file)
    if path.is_absolute():
        try:
            return str(path.relative_to(Path.cwd()))
        except ValueError:
            return file
    return file


def as_uri(file: str) -> str:
    """`file` as a URI: a relative reference when it lies below the current directory."""
    name = below_here(file)
    # A colon would make the first part of a relative reference a scheme.
    return Path(name).as_uri() if Path(name).is_absolute() else quote(os.fsencode(name), safe="/")
