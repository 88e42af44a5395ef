"""One file over one connection and over several, from a server that limits each connection.

.venv/bin/python benchmarks/downloads.py [MIB a second for each connection]
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests" / "vm"))
from web import Page, web_server

from builder.deadline import Deadline
from builder.download.fetch import fetch
from builder.download.network import Network
from builder.events import EventBus
from builder.redact import Redactor

MIB = 1024**2
SIZE = 64 * MIB
ROUNDS = 3


def seconds(url: str, connections: int) -> float:
    with tempfile.TemporaryDirectory() as folder:
        begun = time.monotonic()
        fetch(
            url, Path(folder) / "file", deadline=Deadline(600), bus=EventBus(Redactor()),
            network=Network(connections=connections),
        )  # fmt: skip
        return time.monotonic() - begun


def main() -> None:
    rate = float(sys.argv[1]) if len(sys.argv) > 1 else 8.0
    with web_server() as web:
        web.pages["/file"] = Page(bytes(SIZE), rate=rate * MIB)
        print(f"{SIZE // MIB} MiB, {rate:g} MiB/s for each connection, median of {ROUNDS}")
        for connections in (1, 2, 4, 8):
            times = [seconds(f"{web.url}/file", connections) for _ in range(ROUNDS)]
            print(f"{connections} connections: {statistics.median(times):.1f} s")


if __name__ == "__main__":
    main()
