"""`build plan`, `build inspect`, `build schema`: from the command line to what is shown."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from builder import doctor, preflight
from builder.cli.app import main
from builder.errors import ExitCode
from builder.redact import MASK
from templates.schema import schema_text

SECRET = "hunter2-canary"


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("GOLDSMITH_HOME", str(tmp_path / "home"))
    monkeypatch.setattr("builder.redact._guarding", [])
    monkeypatch.setattr(doctor, "check_for_build", list)
    monkeypatch.setattr(doctor, "check_for_bootstrap", list)
    monkeypatch.setattr(preflight, "choose_firmware", lambda _: None)
    monkeypatch.setattr(preflight, "SPACE_FOR_A_BUILD", 0)
    monkeypatch.setattr(preflight, "SPACE_FOR_A_BASE", 0)
    return tmp_path / "home"


def resource(name: str = "web", **properties: Any) -> dict[str, Any]:
    return {
        "type": "Microsoft.VirtualMachineImages/imageTemplates",
        "apiVersion": "2024-02-01",
        "name": name,
        "location": "local",
        "identity": {"type": "None"},
        "properties": {
            "source": {
                "type": "PlatformImage",
                "publisher": "Debian",
                "offer": "debian-12",
                "sku": "12",
                "version": "latest",
            },
            "customize": [{"type": "Shell", "name": "Say {{ word }}", "inline": ["echo {{ word }}"]}],
            "distribute": [{"type": "VHD", "runOutputName": "out"}],
            **properties,
        },
    }


def write(file: Path, data: dict[str, Any]) -> str:
    file.write_text(json.dumps(data))
    return str(file)


def deployment(file: Path) -> str:
    image = resource(
        "[parameters('name')]",
        customize=[
            {
                "type": "Shell",
                "name": "[concat('login ', parameters('token'))]",
                "inline": ["[concat('login ', parameters('token'))]"],
            }
        ],
    )
    data = {
        "$schema": "https://schema.management.azure.com/schemas/2019-04-01/deploymentTemplate.json#",
        "contentVersion": "1.0.0.0",
        "parameters": {
            "name": {"type": "string", "defaultValue": "web"},
            "token": {"type": "secureString", "defaultValue": SECRET},
        },
        "resources": [image],
    }
    return write(file, data)


def test_plan(tmp_path: Path, home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = write(tmp_path / "t.json", resource())
    assert main(["plan", file, "--var", "word=hello", "--output-dir", str(tmp_path)]) == 0
    out = capsys.readouterr().out
    assert "Plan of web" in out
    assert "Say hello" in out
    assert f"creates  VHD        {tmp_path / 'out.vhd'}" in out
    assert "\x1b" not in out
    assert not home.exists()


def test_plan_as_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = write(tmp_path / "t.json", resource())
    assert main(["plan", file, "--var", "word=hello", "--json"]) == 0
    data = json.loads(capsys.readouterr().out)
    keys = ["template", "file", "workspace", "source", "vm", "timeouts", "steps", "changes", "remarks"]
    keys.append("estimates")
    assert list(data) == keys
    assert set(data["steps"][0]) == {
        *("stage", "index", "name", "type", "action", "reason", "layerId", "timeout")
    }
    assert set(data["vm"]) == {"size", "cpus", "memoryMib", "diskSize", "dataDisks"}
    assert data["source"]["exactVersion"] == "12.0.0"


def test_the_reference_names_every_field(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    page = (Path(__file__).parents[3] / "docs/reference.md").read_text()
    table = page.split("## The plan\n", 1)[1].split("\n## ", 1)[0]
    named = set(re.findall(r"`([A-Za-z]+)`", table))
    assert main(["plan", write(tmp_path / "t.json", resource(customize=[])), "--json"]) == 0
    data = json.loads(capsys.readouterr().out)
    below = {key for part in ("source", "vm", "timeouts") for key in data[part]}
    of_lists = {*data["steps"][0], *data["changes"][0], "code", "message", "hint"}
    assert {*data, *below, *of_lists} <= named


def test_several_templates(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    files = [write(tmp_path / f"{name}.json", resource(name)) for name in ("a", "b")]
    for verb in ("plan", "inspect"):
        assert main([verb, *files, "--var", "word=x", "--json"]) == 0
        assert [one.get("template") or one["name"] for one in json.loads(capsys.readouterr().out)] == [
            "a",
            "b",
        ]


def test_a_bad_template(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    missing = [{"type": "Shell", "scriptUri": "missing.sh"}]
    files = [write(tmp_path / f"{name}.json", resource(name, customize=missing)) for name in ("a", "b")]
    assert main(["plan", *files]) == ExitCode.BAD_TEMPLATE
    caught = capsys.readouterr()
    assert caught.out == ""
    assert "a.json:1:" in caught.err, "problems of all templates are said"
    assert "b.json:1:" in caught.err
    assert main(["plan", write(tmp_path / "c.json", {"properties": {}}), "--json"]) == ExitCode.BAD_TEMPLATE


@pytest.mark.parametrize("words", [[], ["--json"]])
@pytest.mark.parametrize("verb", ["plan", "inspect"])
def test_secure_values_are_not_shown(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], verb: str, words: list[str]
) -> None:
    assert main([verb, deployment(tmp_path / "t.json"), *words]) == 0
    caught = capsys.readouterr()
    assert SECRET not in caught.out + caught.err
    assert f"login {MASK}" in caught.out


def test_inspect(tmp_path: Path, home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = write(tmp_path / "t.json", resource())
    assert main(["inspect", file, "--var", "word=hello"]) == 0
    head, _, text = capsys.readouterr().out.partition("\n")
    assert head == f"web ({file}): API version 2024-02-01, 1 customizer, 1 target"
    data = json.loads(text)
    assert data["properties"]["customize"][0]["inline"] == ["echo hello"]
    assert "buildTimeoutInMinutes" not in data["properties"]
    assert not home.exists()


def test_inspect_with_defaults_reads_again(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = write(tmp_path / "t.json", resource())
    assert main(["inspect", file, "--var", "word=hello", "--defaults", "--json"]) == 0
    data = json.loads(capsys.readouterr().out)
    assert data["properties"]["buildTimeoutInMinutes"] == 0
    assert data["properties"]["errorHandling"]["onCustomizerError"] == "cleanup"
    assert "x-goldsmith" not in json.dumps(data), "it would no longer be a template for Azure"
    again = write(tmp_path / "again.json", data)
    assert main(["validate", again, "--strict"]) == 0
    capsys.readouterr()
    assert main(["inspect", again, "--defaults", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == data


def test_extensions_that_say_something_stay(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    step = {"type": "Shell", "inline": ["true"], "x-goldsmith": {"timeout": "5m"}}
    file = write(tmp_path / "t.json", resource(customize=[step]))
    assert main(["inspect", file, "--defaults", "--json"]) == 0
    (found,) = json.loads(capsys.readouterr().out)["properties"]["customize"]
    assert found["x-goldsmith"]["timeout"] == "5m"


def test_schema(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["schema"]) == 0
    assert capsys.readouterr().out == schema_text()
    file = tmp_path / "s.json"
    assert main(["schema", "--output", str(file)]) == 0
    assert file.read_text() == schema_text()
    assert main(["schema", "--output", str(tmp_path / "none" / "s.json")]) == 2
    assert "--output" in capsys.readouterr().err
