"""Small facts remembered in a JSON file: losing one costs finding it out again, never an error."""

from __future__ import annotations

import contextlib
import json
import os
import tempfile
from pathlib import Path
from typing import Any


def recall(file: Path) -> dict[str, Any]:
    """What is remembered; nothing when the file is not there or holds anything else."""
    with contextlib.suppress(OSError, ValueError):
        data = json.loads(file.read_bytes())
        if isinstance(data, dict):
            return data
    return {}


def remember(file: Path, facts: dict[str, Any]) -> None:
    """Write it so that a reader sees the old or the new, also when several write at once. Best effort: a
    folder that is not there is not made, since one who only asks makes no home.
    """
    with contextlib.suppress(OSError):
        descriptor, name = tempfile.mkstemp(dir=file.parent, prefix=f".{file.name}.")
        with os.fdopen(descriptor, "w") as part:
            part.write(json.dumps(facts) + "\n")
        Path(name).replace(file)
