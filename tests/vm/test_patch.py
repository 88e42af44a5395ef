"""Rebuilding on what an earlier build distributed: the next version, and what is known of its origin."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from harness import EXAMPLES, Cli, CliResult, Quickstart, assert_nothing_left

DEFINITION = "quickstart/debian-12"
PATCH = EXAMPLES / "patch" / "template.json"

pytestmark = pytest.mark.timeout(3000)


@pytest.fixture(scope="module")
def patched(quickstart: Quickstart, cli: Cli) -> CliResult:
    """The example, built on the quickstart's version."""
    result = cli(PATCH)
    assert result.code == 0, result.text
    return result


def version(cli: Cli, number: str) -> dict[str, Any]:
    found: dict[str, Any] = cli("gallery", "version", "show", f"{DEFINITION}/{number}", "--json").json()
    return found


def stale(cli: Cli, *words: str) -> dict[str, dict[str, Any]]:
    found = cli("gallery", "stale", *words, "--json").json()
    return {one["label"].removeprefix(f"{DEFINITION}/"): one for one in found}


def from_channel(folder: Path, name: str) -> Path:
    """The patch example's source, by a channel."""
    text = PATCH.read_text()
    latest = "\"[concat(variables('definitionId'), '/versions/latest')]\""
    assert latest in text
    file = folder / f"{name}.json"
    file.write_text(text.replace(latest, f'{latest}, "x-goldsmith": {{ "channel": "{name}" }}'))
    script = PATCH.with_name("security-updates.sh")
    (folder / script.name).write_bytes(script.read_bytes())
    return file


def test_patch_makes_the_next_version_from_latest(
    quickstart: Quickstart, cli: Cli, home: Path, patched: CliResult
) -> None:
    listed = cli("gallery", "version", "list", DEFINITION, "--json")
    assert listed.code == 0, listed.text
    assert [version["version"] for version in json.loads(listed.out)] == ["0.0.2", "0.0.1"]
    assert_nothing_left(home)


def test_the_source_is_not_touched(quickstart: Quickstart, cli: Cli, patched: CliResult) -> None:
    source = version(cli, "0.0.1")
    assert quickstart.vhd.stat().st_mtime < Path(version(cli, "0.0.2")["replicas"][0]["path"]).stat().st_mtime
    sound = cli("images", "verify", source["replicas"][0]["path"], "--no-gate")
    assert sound.code == 0, sound.text
    assert source["digest"] in sound.out


def test_both_know_where_they_came_from(cli: Cli, patched: CliResult) -> None:
    first, second = version(cli, "0.0.1"), version(cli, "0.0.2")
    assert (first["parent"], second["parent"]) == ("", first["id"].casefold())
    origin = first["lineage"]["source"]
    assert re.fullmatch(r"Debian:debian-12:12:[\d.]+", origin["urn"])
    assert (origin["type"], origin["recipe"]) == ("PlatformImage", "bootstrap")
    assert second["lineage"]["source"] == {
        "type": "SharedImageVersion",
        "id": first["id"],
        "version": "0.0.1",
        "digest": first["digest"],
    }
    for found, name, inputs in (
        (first, "quickstart", None),
        (second, "patch", ["security-updates.sh", "inline"]),
    ):
        lineage = found["lineage"]
        assert lineage["template"] == name
        assert re.fullmatch("[0-9a-f]{64}", lineage["templateDigest"])
        assert len(lineage["layers"]) >= 3
        assert inputs is None or [one["name"] for one in lineage["inputs"]] == inputs
    image = cli("images", "show", "quickstart", "--json").json()
    assert image["lineage"] == first["lineage"]
    assert cli("runs", "show", "latest", "--json").json()["lineage"] == second["lineage"]


def test_the_tree_and_what_is_stale(cli: Cli, patched: CliResult) -> None:
    lines = cli("gallery", "tree", DEFINITION).out.splitlines()
    assert [line.split()[0] for line in lines][1:] == [f"{DEFINITION}/0.0.1", f"{DEFINITION}/0.0.2"]
    assert lines[0].startswith("Debian:debian-12:12:")
    assert "[latest]" in lines[2]
    assert [len(line) - len(line.lstrip()) for line in lines] == [0, 2, 4]
    # The patch is of its own definition's latest: it is not stale because it is newer than its source.
    assert stale(cli)["0.0.2"]["state"] == "current"
    old = stale(cli, "--max-age", "1ms", "--all")["0.0.1"]
    assert (old["state"], "--again" in old["reasons"][0]) == ("stale", True)


def test_a_channel_as_a_source(cli: Cli, patched: CliResult, tmp_path: Path) -> None:
    moved = cli("gallery", "channel", "set", DEFINITION, "prod", "0.0.1")
    assert moved.code == 0, moved.text
    file = from_channel(tmp_path, "prod")
    plan = cli("plan", file, "--json").json()
    assert (plan["source"]["askedFor"], plan["source"]["exactVersion"].rpartition("/")[2]) == (
        "@prod",
        "0.0.1",
    )
    assert cli("gallery", "version", "show", f"{DEFINITION}/@prod", "--json").json()["version"] == "0.0.1"
    refused = cli("gallery", "version", "delete", f"{DEFINITION}/@prod", "--yes")
    assert refused.code == 2
    assert "'prod'" in refused.text
    cli("gallery", "channel", "set", DEFINITION, "prod", "latest")
    assert cli("plan", file, "--json").json()["source"]["exactVersion"].endswith("/0.0.2")
    assert cli("gallery", "channel", "undo", DEFINITION, "prod").out.strip().endswith("is back at 0.0.1")
    assert cli("gallery", "channel", "remove", DEFINITION, "prod").code == 0
    missing = cli("run", file)
    assert missing.code == 2
    assert "no channel 'prod'" in missing.text


def test_a_revoked_version_is_built_on_no_more(
    cli: Cli, home: Path, patched: CliResult, tmp_path: Path
) -> None:
    cli("gallery", "channel", "set", DEFINITION, "base", "0.0.1")
    file = from_channel(tmp_path, "base")
    revoked = cli("gallery", "version", "revoke", f"{DEFINITION}/0.0.1", "--reason", "CVE-2026-1")
    assert revoked.code == 0, revoked.text
    assert "stale now: quickstart/debian-12/0.0.2" in revoked.out
    try:
        # Its layers and the finished image lie in the cache: it would be done in seconds.
        refused = cli("run", file)
        assert refused.code == 2, refused.text
        assert "is revoked: CVE-2026-1" in refused.text
        assert "The newest good version is 0.0.2" in refused.text
        found = stale(cli)["0.0.2"]
        assert (found["state"], "is revoked: CVE-2026-1" in found["reasons"][0]) == ("stale", True)
        assert found["todo"] == f"build run {PATCH}"
        assert cli("gallery", "stale", "--exit-code").code == 1
        assert "revoked" in cli("gallery", "tree", DEFINITION).out
    finally:
        assert cli("gallery", "version", "unrevoke", f"{DEFINITION}/0.0.1").code == 0
        assert cli("gallery", "channel", "remove", DEFINITION, "base").code == 0
    assert stale(cli)["0.0.2"]["state"] == "current"
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
