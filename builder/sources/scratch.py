"""Acting as root over a tree of files, as root or as a normal user with subordinate ids."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from builder.errors import EnvironmentProblem
from builder.process import ProcessError, require, run

_AS_ROOT_INSIDE = ("--user", "--map-root-user", "--map-auto")
# A process space of its own: when its first process dies, even by SIGKILL, all others do and
# everything mounted inside is gone.
_CONTAINED = ("--mount", "--pid", "--fork", "--kill-child=KILL", "--mount-proc")


def inside_namespace() -> list[str]:
    """What to put before a command that must own every user's files. Raises EnvironmentProblem.

    Root is mapped to the caller and all other users to the caller's subordinate ids
    (/etc/subuid, newuidmap), so the command may read and remove what the caller's trees hold.
    """
    if os.geteuid() == 0:
        return []
    require("newuidmap", "uidmap")
    return [require("unshare", "util-linux"), *_AS_ROOT_INSIDE, "--"]


def contained() -> list[str]:
    """What to put before mmdebstrap, which mounts and starts things, so that nothing outlives it.

    Its own unshare mode would do for a normal user, but survives a SIGKILL of ours and needs every
    folder above its tree to be open. Where root may make no namespaces (a plain container) it may
    mount nothing either, and goes without. Raises EnvironmentProblem when a user may make none.
    """
    is_root = os.geteuid() == 0
    unshare = require("unshare", "util-linux")
    if not is_root:
        require("newuidmap", "uidmap")
    prefix = [unshare, *(() if is_root else _AS_ROOT_INSIDE), *_CONTAINED, "--"]
    try:
        run([*prefix, "true"], timeout=30)
    except ProcessError as error:
        if is_root:
            return []
        raise EnvironmentProblem(
            "This user may not make a user namespace, which a bootstrap without root needs.",
            details=error.details,
            hint="Give the user ids in /etc/subuid and /etc/subgid (usermod --add-subuids 100000-165535 "
            "--add-subgids 100000-165535 USER) and allow unprivileged user namespaces, or run as root. A "
            "container needs --security-opt seccomp=unconfined --security-opt systempaths=unconfined.",
        ) from error
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
