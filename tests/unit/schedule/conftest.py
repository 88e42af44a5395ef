from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from scheduler_bench import Bench, FakeClock, FakeWork

from builder.registry import sqlite
from builder.registry.store import Registry
from builder.settings import Home


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    monkeypatch.setattr(sqlite, "SYNCHRONOUS", "OFF")
    clock = FakeClock()
    registry = Registry(Home(tmp_path / "home"))
    yield Bench(registry, clock, FakeWork(clock))
    registry.close()
