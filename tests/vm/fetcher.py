"""What tests of downloads share: something to fetch, and what fetches it."""

from __future__ import annotations

import hashlib
import random
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from builder.deadline import Deadline
from builder.download import exchange, transfer
from builder.download.fetch import fetch
from builder.download.network import Network
from builder.events import EventBus
from builder.redact import Redactor

MIB = 1024**2
DATA = random.Random(5).randbytes(5 * MIB + 12345)
SHA = hashlib.sha256(DATA).hexdigest()


@dataclass
class Fetcher:
    """`fetch` into one place, with what it told."""

    folder: Path
    network: Network = field(default_factory=Network)
    events: list[object] = field(default_factory=list)

    @property
    def dest(self) -> Path:
        return self.folder / "disk.img"

    @property
    def bus(self) -> EventBus:
        bus = EventBus(Redactor())
        bus.add_sink(lambda envelope: self.events.append(envelope.event))
        return bus

    def __call__(
        self,
        url: str | list[str],
        sha256: str | None = None,
        *,
        seconds: float = 60,
        sha512: str | None = None,
    ) -> bytes:
        fetch(
            url, self.dest, sha256=sha256, sha512=sha512,
            deadline=Deadline(seconds), bus=self.bus, network=self.network,
        )  # fmt: skip
        assert [path.name for path in self.folder.iterdir()] == [self.dest.name]
        return self.dest.read_bytes()


def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Small files in parts, short pauses, and no proxy of this machine."""
    monkeypatch.setattr(exchange, "_FIRST_PAUSE", 0.01)
    monkeypatch.setattr(exchange, "_LONGEST_PAUSE", 0.05)
    monkeypatch.setattr(transfer, "PARALLEL_FROM", 4 * MIB)
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
