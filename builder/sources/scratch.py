"""Acting as root over a tree of files, as root or as a normal user with subordinate ids."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from builder.process import require, run


def inside_namespace() -> list[str]:
    """What to put before a command that must own every user's files. Raises EnvironmentProblem.

    Root is mapped to the caller and all other users to the caller's subordinate ids
    (/etc/subuid, newuidmap), so the command may read and remove what the caller's trees hold.
    """
    if os.geteuid() == 0:
        return []
    require("newuidmap", "uidmap")
    unshare = require("unshare", "util-linux")
    return [unshare, "--user", "--map-root-user", "--map-auto", "--"]


def remove_tree(path: Path) -> None:
    """Remove a folder, also one with files of subordinate ids. Nothing there is fine."""
    if not path.exists():
        return
    shutil.rmtree(path, ignore_errors=True)
    if path.exists():
        run([*inside_namespace(), "rm", "-rf", "--one-file-system", "--", path], timeout=300)
