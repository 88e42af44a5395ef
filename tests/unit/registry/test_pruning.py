"""Versions that go, in a real registry."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from builder.cli import main
from builder.errors import ConflictError
from builder.pruning import prune
from builder.registry.store import Registry
from builder.replication.place import Places
from builder.retention import Policy
from builder.settings import Home, Settings
from registry.conftest import WEB, Publish

NOW = datetime(2030, 1, 1, tzinfo=UTC)


def versions(registry: Registry) -> list[str]:
    return [one.version for one in registry.list_versions(WEB)]


def test_old_versions_go_with_their_files_and_channels_hold_theirs(
    web: Registry, publish: Publish, home: Home
) -> None:
    for number in range(5):
        publish(f"1.0.{number}")
    web.set_channel(WEB, "prod", "1.0.1")
    asked = list(prune(web, Places(web.home, Settings()), WEB, Policy(keep_last=2), NOW, dry_run=True))
    assert [one.verdict.goes for one in asked] == [True, False, True, False, False]
    assert versions(web) == ["1.0.4", "1.0.3", "1.0.2", "1.0.1", "1.0.0"], "nothing was done"
    done = list(prune(web, Places(web.home, Settings()), WEB, Policy(keep_last=2), NOW, dry_run=False))
    assert [one.problem for one in done] == [""] * 5
    assert versions(web) == ["1.0.4", "1.0.3", "1.0.1"]
    left = sorted(file.parent.name for file in home.regions.rglob("os.vhd"))
    assert left == ["1.0.1", "1.0.3", "1.0.4"]


def test_one_that_cannot_go_keeps_no_other(
    web: Registry, publish: Publish, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(4):
        publish(f"1.0.{number}")
    real = Registry.delete_version

    def refuse(self: Registry, arm_id: str, **options: bool) -> object:
        if arm_id.endswith("1.0.0"):
            raise ConflictError("Somebody holds it.")
        return real(self, arm_id, **options)

    monkeypatch.setattr(Registry, "delete_version", refuse)
    done = list(prune(web, Places(web.home, Settings()), WEB, Policy(keep_last=1), NOW, dry_run=False))
    assert [one.problem for one in done if one.verdict.goes] == ["Somebody holds it.", "", ""]
    assert versions(web) == ["1.0.3", "1.0.0"]


def test_the_command(
    web: Registry,
    publish: Publish,
    home: Home,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("GOLDSMITH_HOME", str(home.root))
    for number in range(3):
        publish(f"1.0.{number}")
    assert main(["gallery", "prune"]) == 2
    assert "Which versions may go?" in capsys.readouterr().err
    assert main(["gallery", "prune", "--keep-last", "1", "--older-than", "", "--yes"]) == 2
    assert "--older-than : no span of time" in capsys.readouterr().err, "an empty variable is no 'all'"
    assert main(["gallery", "prune", "Team.gallery/web", "--keep-last", "1", "--dry-run"]) == 0
    out = capsys.readouterr().out
    assert "2 would go" in out
    assert "latest" in out
    assert main(["gallery", "prune", "Team.gallery", "--keep-last", "1"]) == 2, "there is nobody to ask"
    capsys.readouterr()
    assert main(["gallery", "prune", "--keep-last", "1", "--older-than", "5m", "--yes", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert [one["goes"] for one in told["versions"]] == [False, False, False], "they are new"
    assert main(["gallery", "prune", WEB, "--keep-last", "1", "--yes"]) == 0
    assert "2 deleted" in capsys.readouterr().out
    assert versions(web) == ["1.0.2"]


def test_what_goes_with_the_last_of_its_names_is_counted(web: Registry, publish: Publish) -> None:
    old = publish("1.0.0", ("West US", "East US"))
    publish("1.0.1", ("West US", "East US"))
    first, second = (replica.path for replica in old.replicas)
    second.unlink()
    second.hardlink_to(first)
    places = Places(web.home, Settings())
    taken = first.stat().st_blocks * 512
    assert taken
    assert [one.freed for one in prune(web, places, WEB, Policy(keep_last=1), NOW, dry_run=True)] == [
        taken,
        0,
    ]
