"""Rebuilding on what an earlier build distributed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from harness import EXAMPLES, Cli, Quickstart, assert_nothing_left

pytestmark = pytest.mark.timeout(3000)


def test_patch_makes_the_next_version_from_latest(quickstart: Quickstart, cli: Cli, home: Path) -> None:
    before = quickstart.vhd.stat().st_mtime_ns
    result = cli(EXAMPLES / "patch" / "template.json")
    assert result.code == 0, result.text
    listed = cli("gallery", "version", "list", "quickstart/debian-12", "--json")
    assert listed.code == 0, listed.text
    assert [version["version"] for version in json.loads(listed.out)] == ["0.0.2", "0.0.1"]
    assert quickstart.vhd.stat().st_mtime_ns == before
    assert_nothing_left(home)


def test_validate_example_boots_the_result_and_passes(quickstart: Quickstart, cli: Cli, home: Path) -> None:
    out = cli.cwd / "validated"
    out.mkdir()
    result = cli(EXAMPLES / "validate" / "template.json", "--output-dir", out)
    assert result.code == 0, result.text
    assert [p.suffix for p in out.iterdir()] == [".vhd"]
    run = cli("runs", "show", "latest", "--json").json()
    text = json.dumps(run)
    assert "Generalized" in text
    assert_nothing_left(home)
