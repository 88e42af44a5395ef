"""Replication that goes on after the command that asked for it."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING

from builder import process
from builder.settings import Home

if TYPE_CHECKING:
    from pathlib import Path

_KEPT_LOGS = 50


def start(home: Home, version: str) -> Path:
    """Begin `build gallery replicate VERSION` in a process that outlives this one; returns its log.

    It holds nothing but its claims in the registry: when it is killed, the next `replicate` goes on where
    it stopped. Raises OSError, EnvironmentProblem.
    """
    home.replication.mkdir(parents=True, exist_ok=True)
    for old in sorted(home.replication.glob("*.log"))[:-_KEPT_LOGS]:
        old.unlink(missing_ok=True)
    log = home.replication / f"{time.strftime('%Y%m%d-%H%M%S')}-{'-'.join(version.split('/')[-5::2])}.log"
    process.detach(
        # -P: a folder called "builder" where the command was typed is not ours.
        [sys.executable, "-P", "-m", "builder", "gallery", "replicate", version],
        log=log,
        env={"GOLDSMITH_HOME": str(home.root)},
        cwd=home.root,
    )
    return log
