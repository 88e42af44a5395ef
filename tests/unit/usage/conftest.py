from __future__ import annotations

import pytest

from builder.registry import sqlite
from builder.settings import Home


@pytest.fixture(autouse=True)
def no_fsync(monkeypatch: pytest.MonkeyPatch) -> None:
    """Power cuts are not what these tests are about."""
    monkeypatch.setattr(sqlite, "SYNCHRONOUS", "OFF")


@pytest.fixture
def home(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Home:
    made = Home(tmp_path_factory.mktemp("home"))
    monkeypatch.setenv("GOLDSMITH_HOME", str(made.root))
    return made
