"""`build gallery usage` and `build gallery advise`, through typer."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from registry.conftest import WEB, definition
from registry.conftest import gallery as gallery_model
from typer.testing import CliRunner

from builder.cli import gallery
from builder.errors import NotFoundError
from builder.registry.location import numbered
from builder.registry.records import CopyRecord, Delivery, ReplicaRecord
from builder.registry.store import Registry
from builder.settings import Home

GIB = 1024**3


def call(*words: str) -> str:
    result = CliRunner().invoke(gallery.app, list(words))
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code == 0, result.output
    return result.output


def call_json(*words: str) -> Any:
    return json.loads(call(*words, "--json"))


def made(path: Path) -> tuple[CopyRecord, ...]:
    """Two complete copies."""
    return tuple(CopyRecord(number, numbered(str(path), number), "Completed", GIB, GIB) for number in (1, 2))


@pytest.fixture
def published(home: Home) -> None:
    registry = Registry(home)
    registry.create_gallery(gallery_model(location="West US"))
    registry.create_definition(definition())
    for name in ("1.0.0", "1.1.0"):
        held = registry.reserve_version(WEB, name)
        copies = [
            ReplicaRecord(region, 2, "Standard_LRS", path, GIB, copies=made(path))
            for region in ("West US", "East US")
            for path in [home.regions / region / name / "os.vhd"]
        ]
        registry.complete_version(held.id, Delivery(copies, size=4 * GIB))
    registry.reserve_version(WEB, "2.0.0")
    registry.close()


@pytest.mark.parametrize("what", [(), ("Team.gallery",), ("Team.gallery/web",), (WEB,)])
def test_usage_of_all_that_is_below(published: None, what: tuple[str, ...]) -> None:
    found = call_json("usage", *what)
    assert found["total"] == {"snapshots": 8, "billed": 8 * GIB, "egress": 2 * GIB}
    assert found["money"] is None and found["pricesFile"] is None
    assert [one["version"] for one in found["lines"]] == ["Team.gallery/web/1.1.0"] * 2 + [
        "Team.gallery/web/1.0.0"
    ] * 2


def test_usage_of_one_version_with_prices(published: None, home: Home) -> None:
    text = call("usage", "team.gallery/web/latest")
    assert "4 snapshots, 4.0 GiB billed; 1.0 GiB to other regions." in text
    (home.root / "prices.toml").write_text(
        'currency = "EUR"\n[storage]\nStandard_LRS = 0.5\n[egress]\ndefault = 0.1\n'
    )
    text = call("usage", "team.gallery/web/latest")
    assert "2.00 EUR a month, 0.10 EUR once." in text
    assert "In 1999-12" in call("usage", "team.gallery/web/latest", "--month", "1999-12")
    assert call_json("usage", "Team.gallery/web/1.0.0", "--month", "1999-12")["money"]["storage"] == 0
    with pytest.raises(NotFoundError):
        call("usage", "nobody")


def test_usage_of_nothing(home: Home) -> None:
    assert "nothing would be billed" in call("usage")
    assert "[storage]" in call("usage", "--prices-template")


def test_advice() -> None:
    text = call("advise", "--vms", "100", "--regions", "West Europe, eastus")
    assert "West Europe: 6 replicas (5 by the guidance" in text
    assert '{ "name": "eastus", "replicaCount": 6 }' in text
    assert call("advise", "--scale-sets", "1").startswith("2 replicas")
    assert call_json("advise", "--vms", "4000")["notes"]
