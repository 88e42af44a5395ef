"""An upload that stands still in the middle, so that it can be stopped or killed there."""

from __future__ import annotations

import contextlib
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from azurite import Proxy
from blob_disk import MIB
from harness import Cli

_AFTER = 5 * MIB


class Stall:
    """For Proxy.on_data: after so many bytes nothing goes on until `release`."""

    def __init__(self, after: int) -> None:
        self._after = after
        self._free = threading.Event()

    def __call__(self, data: bytes, before: int) -> bytes:
        if before > self._after:
            self._free.wait(120)
        return data

    def release(self) -> None:
        self._free.set()


@contextlib.contextmanager
def under_way(
    command: Cli, proxy: Proxy, *words: str | Path, seconds: float = 180
) -> Iterator[tuple[subprocess.Popen[str], Stall]]:
    """A command that has sent two pieces and more through `proxy`, and does not come any further."""
    proxy.on_data = stall = Stall(_AFTER)
    child = command.start(*words)
    try:
        end = time.monotonic() + seconds
        while proxy.sent < _AFTER:
            assert child.poll() is None, child.communicate()[0]
            assert time.monotonic() < end
            time.sleep(0.05)
        time.sleep(0.5)  # what was sent is answered
        yield child, stall
    finally:
        stall.release()
        proxy.on_data = None
        child.kill()
        child.communicate(timeout=30)
