"""A real Azurite, Microsoft's emulator of Azure storage, from npm; and a proxy that spoils its connections.

Set GOLDSMITH_TEST_AZURITE to a folder to keep the installation between runs of the inner loop.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

VERSION = "3.35.0"
ACCOUNT = "devstoreaccount1"
# The one key that every Azurite has (learn.microsoft.com, "Use the Azurite emulator").
KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
CONTAINER = "vhds"
INSTALL_LIMIT = 300
START_LIMIT = 60


def installed(folder: Path) -> Path:
    """Azurite's program, installed into `folder` by npm when it is not there."""
    program = folder / "node_modules" / ".bin" / "azurite-blob"
    if not program.exists():
        folder.mkdir(parents=True, exist_ok=True)
        npm = shutil.which("npm")
        assert npm, "npm is missing; script/test installs it"
        words = ["install", "--no-audit", "--no-fund", "--no-save", "--loglevel=error"]
        subprocess.run(
            [npm, *words, "--prefix", str(folder), f"azurite@{VERSION}"],
            check=True, timeout=INSTALL_LIMIT, cwd=folder, stdin=subprocess.DEVNULL,
        )  # fmt: skip
    return program


@dataclass
class Azurite:
    """One that runs. `port` on 127.0.0.1."""

    port: int
    proxied: int | None = None

    @property
    def service(self) -> str:
        return f"http://127.0.0.1:{self.proxied or self.port}/{ACCOUNT}"

    def url(self, name: str, container: str = CONTAINER) -> str:
        return f"{self.service}/{container}/{name}"

    def blob(self, name: str, snapshot: str | None = None) -> Any:
        """A plain SDK client, past any proxy."""
        from azure.storage.blob import BlobClient

        service = f"http://127.0.0.1:{self.port}/{ACCOUNT}"
        return BlobClient(service, CONTAINER, name, credential=KEY, snapshot=snapshot)

    def names(self) -> list[str]:
        """All blobs, snapshots with an @."""
        from azure.storage.blob import ContainerClient

        service = f"http://127.0.0.1:{self.port}/{ACCOUNT}"
        with ContainerClient(service, CONTAINER, credential=KEY) as container:
            listed = container.list_blobs(include=["snapshots"])
            return sorted(one.name + ("@" if one.snapshot else "") for one in listed)

    def sas(self, name: str, permission: str = "rcwd", minutes: float = 120, **more: Any) -> str:
        from datetime import UTC, datetime, timedelta

        from azure.storage.blob import generate_blob_sas

        return generate_blob_sas(
            ACCOUNT, CONTAINER, name, account_key=KEY, permission=permission,
            expiry=datetime.now(UTC) + timedelta(minutes=minutes), **more,
        )  # fmt: skip


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextlib.contextmanager
def running(program: Path, room: Path) -> Iterator[Azurite]:
    """Azurite with its data in `room`, a container in it, until the block ends."""
    from azure.core.exceptions import AzureError
    from azure.storage.blob import ContainerClient

    port = free_port()
    room.mkdir(parents=True, exist_ok=True)
    with (room / "azurite.log").open("wb") as log:
        process = subprocess.Popen(
            [str(program), "--silent", "--location", str(room), "--blobHost", "127.0.0.1",
             "--blobPort", str(port), "--skipApiVersionCheck", "--disableTelemetry"],
            stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT,
        )  # fmt: skip
    try:
        end = time.monotonic() + START_LIMIT
        while True:
            assert process.poll() is None, (room / "azurite.log").read_text()
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
                break
            assert time.monotonic() < end, "Azurite does not answer"
            time.sleep(0.1)
        container = ContainerClient(f"http://127.0.0.1:{port}/{ACCOUNT}", CONTAINER, credential=KEY)
        with contextlib.suppress(AzureError), container:
            container.create_container()
        yield Azurite(port)
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(10)


@dataclass
class Proxy:
    """Carries connections to Azurite and counts what goes there. `on_data` sees each piece on its way there
    with the number of bytes before it, and returns what is passed on; None drops the connection.
    """

    target: int
    port: int = 0
    sent: int = 0
    drops: int = 0
    on_data: Callable[[bytes, int], bytes | None] | None = None
    refuse: bool = False
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def carry(self, near: socket.socket) -> None:
        if self.refuse:
            near.close()
            return
        with near, socket.create_connection(("127.0.0.1", self.target), 10) as far:
            back = threading.Thread(target=self._pump, args=(far, near, False), daemon=True)
            back.start()
            self._pump(near, far, True)
            for end in (near, far):
                with contextlib.suppress(OSError):
                    end.shutdown(socket.SHUT_RDWR)
            back.join(10)

    def _pump(self, source: socket.socket, sink: socket.socket, there: bool) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(256 * 1024):
                if there:
                    with self._lock:
                        passed = self.on_data(data, self.sent) if self.on_data else data
                        self.sent += len(data)
                        if passed is None:
                            self.drops += 1
                            return
                        data = passed
                sink.sendall(data)


@contextlib.contextmanager
def proxy_to(azurite: Azurite) -> Iterator[tuple[Proxy, Azurite]]:
    """A proxy before `azurite`, and Azurite as it is reached through that."""
    proxy = Proxy(azurite.port)
    with socket.create_server(("127.0.0.1", 0), backlog=64) as server:
        proxy.port = server.getsockname()[1]

        def serve() -> None:
            with contextlib.suppress(OSError):
                while True:
                    near, _ = server.accept()
                    threading.Thread(target=_carry, args=(proxy, near), daemon=True).start()

        threading.Thread(target=serve, daemon=True).start()
        yield proxy, Azurite(azurite.port, proxy.port)
        server.shutdown(socket.SHUT_RDWR)


def _carry(proxy: Proxy, near: socket.socket) -> None:
    with contextlib.suppress(OSError):
        proxy.carry(near)


def environment() -> dict[str, str]:
    """What signs in to Azurite, in the variables that users of the SDK know."""
    return {"AZURE_STORAGE_ACCOUNT": ACCOUNT, "AZURE_STORAGE_KEY": KEY}


def place() -> Path | None:
    """Where an installation is kept."""
    kept = os.environ.get("GOLDSMITH_TEST_AZURITE")
    return Path(kept) if kept else None
