from __future__ import annotations

from pathlib import Path

import pytest

from builder.layers.cache import Cache
from builder.layers.finished import FinishedStore
from builder.layers.store import LayerStore
from builder.settings import Home

GIB = 1024**3


@pytest.fixture
def home(tmp_path: Path) -> Home:
    home = Home(tmp_path / "home")
    home.ensure()
    return home


@pytest.fixture
def store(home: Home) -> LayerStore:
    return LayerStore(home.layers)


@pytest.fixture
def finished(home: Home) -> FinishedStore:
    home.finished.parent.mkdir(parents=True, exist_ok=True)
    return FinishedStore(home.finished)


@pytest.fixture
def cache(store: LayerStore, finished: FinishedStore) -> Cache:
    return Cache(store, finished, 20 * GIB)


@pytest.fixture
def other(tmp_path: Path) -> Home:
    """The other machine."""
    return Home(tmp_path / "other")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "cache.tar"
