"""Runs one command, times it, and looks at its processes while it runs."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

INTERVAL = 0.02
GRACE_SECONDS = 60
_PROC = Path("/proc")


@dataclass
class Watched:
    """How it went. `machines`: the QEMU processes with a disk that were seen among its descendants.

    `peak_kib` is the high-water mark of the command's own process. Not ru_maxrss of wait4: that is the
    largest of the command and everything it waited for, so it would be QEMU's.
    """

    code: int = 0
    seconds: float = 0.0
    peak_kib: int = 0
    machines: set[int] = field(default_factory=set)


def run(
    argv: Sequence[str],
    log: Path,
    *,
    limit: float,
    cwd: Path | None = None,
    env: Mapping[str, str] = os.environ,
) -> Watched:
    """Run it with its output in `log`. After `limit` seconds it is asked to end, and then made to."""
    seen, done = Watched(), threading.Event()
    with log.open("wb") as sink:
        start = time.monotonic()
        child = subprocess.Popen(
            argv, cwd=cwd, env=dict(env), stdin=subprocess.DEVNULL, stdout=sink, stderr=subprocess.STDOUT
        )
        watcher = threading.Thread(target=_look, args=(child.pid, seen, done, start + limit))
        watcher.start()
        try:
            seen.code = child.wait()
            seen.seconds = time.monotonic() - start
        except KeyboardInterrupt:
            _end(child)
            raise
        finally:
            done.set()
            watcher.join()
            if child.poll() is None:
                child.kill()
                child.wait()
    return seen


def _end(child: subprocess.Popen[bytes]) -> None:
    """Let it clear up after itself: a terminal told it to end, too; anybody else told only us."""
    for seconds in (GRACE_SECONDS / 10, GRACE_SECONDS):
        with contextlib.suppress(subprocess.TimeoutExpired):
            child.wait(seconds)
            return
        child.terminate()


def tail(log: Path, lines: int = 25) -> str:
    """The last lines of a log."""
    return "\n".join(log.read_text(errors="replace").splitlines()[-lines:])


def _look(pid: int, seen: Watched, done: threading.Event, end: float) -> None:
    asked = False
    while not done.wait(INTERVAL):
        seen.peak_kib = max(seen.peak_kib, _peak_kib(pid))
        seen.machines.update(child for child in _descendants(pid) if _is_machine(child))
        late = time.monotonic() - end
        if late > (GRACE_SECONDS if asked else 0):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL if asked else signal.SIGTERM)
            if asked:
                return
            asked = True


def _peak_kib(pid: int) -> int:
    for line in _read(_PROC / str(pid) / "status").splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1])
    return 0


def _descendants(pid: int) -> Iterator[int]:
    with contextlib.suppress(OSError):
        for task in (_PROC / str(pid) / "task").iterdir():
            for child in map(int, _read(task / "children").split()):
                yield child
                yield from _descendants(child)


def _is_machine(pid: int) -> bool:
    """QEMU with a disk: `qemu-system-x86_64 --version` starts no machine."""
    words = _read(_PROC / str(pid) / "cmdline").split("\0")
    return "qemu-system" in words[0] and any(word in ("-blockdev", "-drive") for word in words)


def _read(path: Path) -> str:
    try:
        return path.read_text(errors="replace")
    except OSError:  # it has ended meanwhile
        return ""
