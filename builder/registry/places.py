"""Files of the registry on disk."""

from __future__ import annotations

import contextlib
from pathlib import Path

# In a folder of a region outside the home (and in a place at a URL): says whose replicas lie there. Two
# registries in one would take each other's files for their own.
MARKER = ".goldsmith-place.json"


def remove_file(path: Path, root: Path) -> None:
    """Remove `path` and the folders it leaves empty, up to `root` exclusively."""
    path.unlink(missing_ok=True)
    for parent in path.parents:
        if parent == root or not parent.is_relative_to(root):
            return
        with contextlib.suppress(OSError):
            parent.rmdir()
            continue
        return
