from __future__ import annotations

import pytest

from builder.settings import Home


@pytest.fixture
def home(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Home:
    made = Home(tmp_path_factory.mktemp("home"))
    monkeypatch.setenv("GOLDSMITH_HOME", str(made.root))
    return made
