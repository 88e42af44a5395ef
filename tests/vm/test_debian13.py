"""Debian 13: its packages become a base, the base an image, the image boots."""

from __future__ import annotations

import copy
import json
from pathlib import Path

import pytest
from harness import Cli, assert_nothing_left
from test_bad_input import BASE

pytestmark = [pytest.mark.timeout(3000), pytest.mark.long]


def test_from_packages_to_an_image_that_boots(cli: Cli, home: Path, tmp_path: Path) -> None:
    fetched = cli("marketplace", "fetch", "Debian:debian-13:13-gen2", "--json")
    assert fetched.code == 0, fetched.text
    assert json.loads(fetched.out)["frozen"].startswith("made on ")
    template = copy.deepcopy(BASE)
    template["name"] = "debian13"
    properties = template["properties"]
    properties["source"] |= {"offer": "debian-13", "sku": "13-gen2"}
    check = {
        "type": "Shell",
        "name": "Release",
        "inline": [". /etc/os-release", "echo runs $VERSION_CODENAME"],
    }
    properties["customize"] = [check]
    properties["validate"] = {"inVMValidations": [check]}
    properties["distribute"] = [{"type": "VHD", "runOutputName": "debian13"}]
    file = tmp_path / "debian13.json"
    file.write_text(json.dumps(template))
    result = cli(file, "--output-dir", tmp_path, "--events", tmp_path / "events.jsonl")
    assert result.code == 0, result.text
    events = [json.loads(line) for line in (tmp_path / "events.jsonl").open()]
    output = [e["line"] for e in events if e["kind"] == "step.output"]
    assert output.count("runs trixie") == 2, "the build's machine, and the one that booted from the image"
    assert (tmp_path / "debian13.vhd").exists()
    assert_nothing_left(home)
