"""Acting as root over a tree of files, as root or as a normal user with subordinate ids."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

from builder.errors import EnvironmentProblem
from builder.process import ProcessError, require, run


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


def contained() -> list[str]:
    """What to put before mmdebstrap when it runs as root, so that nothing of it outlives it.

    As root it mounts /proc, /sys and /dev into its tree. In namespaces of its own, killing it, even
    by SIGKILL, ends all it started and unmounts all it mounted; mmdebstrap's unshare mode has its
    own. Where root may make no namespace (a plain container) it may mount nothing either.
    """
    if os.geteuid() != 0:
        return []
    unshare = require("unshare", "util-linux")
    prefix = [unshare, "--mount", "--pid", "--fork", "--kill-child=KILL", "--mount-proc", "--"]
    try:
        run([*prefix, "true"], timeout=30)
    except ProcessError:
        return []
    return prefix


def remove_tree(path: Path) -> None:
    """Remove a folder, also one with files of subordinate ids. Nothing there is fine.

    Stops at anything mounted below it: what was mounted is not ours to empty.
    """
    if os.geteuid() != 0:
        # A normal user mounts nothing that is seen here; often this is all it takes.
        shutil.rmtree(path, ignore_errors=True)
    if path.exists():
        run([*inside_namespace(), "rm", "-rf", "--one-file-system", "--", path], timeout=300)


def scratch_for(folder: Path) -> Path:
    """A folder of a known name for mmdebstrap's own temporary tree, emptied of an earlier one's rest.

    mmdebstrap removes its tree, but not when it is killed; a known place can be cleaned next time.
    A normal user's lies outside of the home, whose parents are often closed to subordinate ids.
    Raises EnvironmentProblem when somebody else holds the name.
    """
    if os.geteuid() == 0:
        place = folder / "scratch"
    else:
        # /tmp may live in memory, and this takes half a gigabyte.
        on_disk = Path("/var/tmp")  # noqa: S108 - our folder in it is checked for its owner
        temporary = Path(os.environ.get("TMPDIR") or (on_disk if on_disk.is_dir() else tempfile.gettempdir()))
        place = temporary / f"goldsmith-{os.geteuid()}" / folder.name.strip(".")[:16]
    try:
        place.parent.mkdir(mode=0o755, exist_ok=True)
        if place.parent.stat().st_uid != os.geteuid():
            raise EnvironmentProblem(
                f"{place.parent} belongs to another user.", hint="Set TMPDIR to a folder of your own."
            )
        remove_tree(place)
        place.mkdir(mode=0o755)
        place.chmod(0o755)
    except OSError as error:
        raise EnvironmentProblem(f"{place} cannot be used: {error.strerror or error}.") from error
    return place
