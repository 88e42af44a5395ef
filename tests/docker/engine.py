"""A docker engine and the image of the sshd container, made here when there is none."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

BASE = "goldsmith-test-base:1"
PACKAGES = "openssh-server,sudo,procps"
INSTALL = "sudo apt-get install docker.io docker-compose iptables mmdebstrap"


class EngineError(Exception):
    """No engine could be had; says what to install."""


def cache() -> Path:
    default = Path(tempfile.gettempdir()) / "goldsmith-test-cache"
    path = Path(os.environ.get("GOLDSMITH_TEST_CACHE", default))
    path.mkdir(parents=True, exist_ok=True)
    return path


@contextmanager
def running_engine() -> Iterator[None]:
    """An answering docker daemon: the machine's own, else one of ours that ends with the tests."""
    if shutil.which("docker") is None:
        raise EngineError(f"docker is not installed: {INSTALL}")
    if _answers():
        yield
        return
    if shutil.which("dockerd") is None or os.geteuid() != 0:
        raise EngineError(f"no docker daemon answers, and none can be started here (as root: {INSTALL})")
    root = cache() / "docker"
    root.mkdir(exist_ok=True)
    previous = os.environ.get("DOCKER_HOST")
    os.environ["DOCKER_HOST"] = f"unix://{root}/docker.sock"
    try:
        for driver in ("overlay2", "vfs"):
            daemon = _start(root, driver)
            if daemon is not None:
                break
        else:
            raise EngineError(f"dockerd does not start; its log: {root}/dockerd.log")
        try:
            yield
        finally:
            daemon.send_signal(signal.SIGTERM)
            daemon.wait(timeout=60)
    finally:
        if previous is None:
            del os.environ["DOCKER_HOST"]
        else:
            os.environ["DOCKER_HOST"] = previous


def ensure_base() -> None:
    """The image under the Dockerfile: a Debian of `mmdebstrap`, kept as a tar between sessions."""
    if _quiet(["docker", "image", "inspect", BASE]) == 0:
        return
    tar = cache() / "sshd-base-1.tar"
    if not tar.exists():
        if shutil.which("mmdebstrap") is None:
            raise EngineError(f"mmdebstrap is not installed: {INSTALL}")
        partial = tar.with_suffix(".part.tar")
        mirror = os.environ.get("GOLDSMITH_DEBIAN_MIRROR")
        argv = ["mmdebstrap", "--variant=minbase", f"--include={PACKAGES}", "bookworm", str(partial)]
        subprocess.run(argv + ([mirror] if mirror else []), check=True, timeout=600)
        partial.rename(tar)
    subprocess.run(["docker", "import", str(tar), BASE], check=True, timeout=300)


def _start(root: Path, driver: str) -> subprocess.Popen[bytes] | None:
    log = (root / "dockerd.log").open("ab")
    argv = [
        "dockerd",
        *("--data-root", str(root / f"data-{driver}")),
        *("--exec-root", str(root / "exec")),
        *("--pidfile", str(root / "dockerd.pid")),
        *("--host", f"unix://{root}/docker.sock"),
        *("--storage-driver", driver),
    ]
    daemon = subprocess.Popen(argv, stdout=log, stderr=log, start_new_session=True)
    end = time.monotonic() + 60
    while daemon.poll() is None and time.monotonic() < end:
        if _answers():
            return daemon
        time.sleep(0.2)
    if daemon.poll() is None:
        daemon.kill()
        daemon.wait(timeout=30)
    return None


def _answers() -> bool:
    return _quiet(["docker", "info"]) == 0


def _quiet(argv: list[str]) -> int:
    return subprocess.run(argv, capture_output=True, timeout=60, check=False).returncode
