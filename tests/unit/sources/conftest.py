from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from builder.deadline import Deadline
from builder.events import EventBus
from builder.redact import Redactor
from builder.services import Services
from builder.settings import Home, Settings


@pytest.fixture
def services(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Services]:
    made = Services(
        home=Home(tmp_path / "home"),
        settings=Settings(),
        bus=EventBus(Redactor()),
        redactor=Redactor(),
        deadline=Deadline(60),
        base_dir=tmp_path,
        output_dir=tmp_path,
    )
    yield made
    if "registry" in made.__dict__:
        made.registry.close()
