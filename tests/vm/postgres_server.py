"""A PostgreSQL server of Debian's package, on a socket of its own, for as long as a test wants it."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

_BINARIES = "/usr/lib/postgresql"
_USER = "postgres"


@dataclass
class Server:
    """`url` is the address of an empty database."""

    url: str
    process: subprocess.Popen[bytes]

    def kill(self) -> None:
        """Ends it at once, as a machine that loses its power would."""
        self.process.send_signal(signal.SIGQUIT)
        self.process.wait(30)


@contextmanager
def postgres() -> Iterator[Server]:
    """Made, started, ended and removed. PostgreSQL refuses to be root: then it is the package's own user."""
    folders = sorted(Path(_BINARIES).glob("*/bin"), key=lambda folder: float(folder.parent.name))
    assert folders, "script/test installs the package postgresql"
    root = Path(tempfile.mkdtemp(prefix="gs-pg-", dir="/tmp"))  # the socket's name has to be short
    try:
        become: list[str] = []
        if os.geteuid() == 0:
            account = pwd.getpwnam(_USER)
            os.chown(root, account.pw_uid, account.pw_gid)
            become = ["setpriv", f"--reuid={_USER}", f"--regid={_USER}", "--init-groups", "--"]
        data = root / "data"
        make = [*become, folders[-1] / "initdb", "-D", data, "-U", _USER, "--auth=trust", "--no-sync"]
        subprocess.run(make, check=True, capture_output=True, timeout=120, cwd=root)
        options = ["-D", data, "-k", root, "-c", "listen_addresses=", "-c", "fsync=off"]
        with (root / "log").open("wb") as log:
            process = subprocess.Popen([*become, folders[-1] / "postgres", *options], stderr=log, cwd=root)
        try:
            end = time.monotonic() + 60
            ready = [folders[-1] / "pg_isready", "-q", "-h", root]
            while subprocess.run(ready, check=False, timeout=30).returncode:
                assert process.poll() is None, (root / "log").read_text()
                assert time.monotonic() < end, (root / "log").read_text()
                time.sleep(0.1)
            yield Server(f"postgresql://{_USER}@/{_USER}?host={root}", process)
        finally:
            if process.poll() is None:
                process.send_signal(signal.SIGINT)
                process.wait(60)
    finally:
        shutil.rmtree(root)
