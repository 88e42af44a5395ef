"""How a base that was installed is entered, and what its installer said: `entry.json` beside the disk.

A base whose guest has no cloud-init takes no seed: its build user and his key are in the disk already,
until the image is generalized. So the private key lies here, readable by its owner only.
"""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path

from builder.disk.extents import sync_file
from builder.vm.access import BuildAccess, KeyPair

ENTRY = "entry.json"
FORMAT = 1


@dataclass(frozen=True, slots=True)
class Entry:
    """`access` is None when a seed is the way in. `seeded`: whether the guest takes one; `version` is that
    of the system, `warnings` what it lacks.
    """

    access: BuildAccess | None
    seeded: bool
    version: str
    warnings: tuple[str, ...] = ()

    def save(self, folder: Path) -> None:
        """Write it into the base's folder, whole."""
        path = folder / ENTRY
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "w") as file:
            json.dump({"format": FORMAT, **asdict(self)}, file)
        sync_file(path)

    @classmethod
    def load(cls, folder: Path) -> Entry | None:
        """What `save` wrote; None when it is not there, or not that."""
        try:
            data = json.loads((folder / ENTRY).read_bytes())
            if data["format"] != FORMAT:
                return None
            access = data["access"]
            keys = (
                BuildAccess(access["user"], KeyPair(**access["client_key"]), KeyPair(**access["host_key"]))
                if access
                else None
            )
            return cls(keys, bool(data["seeded"]), str(data["version"]), tuple(data["warnings"]))
        except (OSError, ValueError, KeyError, TypeError):
            return None
