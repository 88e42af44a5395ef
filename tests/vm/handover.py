"""One base for two halves of a run: the half that makes it hands it over, as `build cache` moves it between
machines. `script/test` sets both variables, and starts both halves.
"""

from __future__ import annotations

import os
import time
from pathlib import Path

from harness import Cli

GIVES, TAKES = "GOLDSMITH_TEST_GIVES", "GOLDSMITH_TEST_TAKES"
# The other half bootstraps a base and builds the quickstart first; without it, this one does the same itself.
_PATIENCE = 1200


def give(cli: Cli) -> None:
    """All that the home holds by now, for the half that takes it."""
    if path := os.environ.get(GIVES):
        part = Path(f"{path}.part")
        done = cli("cache", "export", part, "--with-base", "--finished")
        assert done.code == 0, done.text
        part.rename(path)


def give_nothing() -> None:
    """Once there will be nothing: whoever waits then makes its own."""
    path = os.environ.get(GIVES)
    if path and not Path(path).exists() and Path(path).parent.exists():
        Path(path).touch()


def take(cli: Cli) -> None:
    """What the other half made; the file is gone then, since it is gigabytes."""
    if given := os.environ.get(TAKES):
        path = Path(given)
        end = time.monotonic() + _PATIENCE
        while not path.exists():
            if time.monotonic() > end:
                return
            time.sleep(1)
        if path.stat().st_size:
            done = cli("cache", "import", path)
            assert done.code == 0, done.text
        path.unlink()
