"""`build validate` as a person or a CI types it. The tools that look at scripts have tests of their own."""

from __future__ import annotations

import hashlib
import io
import json
import stat
from pathlib import Path
from typing import Any

import pytest

from builder import validation
from builder.cli.app import main
from builder.errors import EnvironmentProblem
from builder.lint.script import Script
from templates import files
from templates.diagnostics import Diagnostic, Location, TemplateError


class Surveyed(list[str]):
    """The templates whose targets were looked at; `error` is what was found."""

    error: Exception | None = None


@pytest.fixture(autouse=True)
def looked_at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Script]:
    """The scripts that would have been looked at. Nothing here starts a process."""
    monkeypatch.setenv("GOLDSMITH_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    found: list[Script] = []

    def check_scripts(scripts: list[Script]) -> list[Diagnostic]:
        found.extend(scripts)
        return [Diagnostic("warning", "SC1", script.data.decode(), script.locate(2, 1)) for script in scripts]

    monkeypatch.setattr(validation, "check_scripts", check_scripts)
    return found


@pytest.fixture(autouse=True)
def surveyed(monkeypatch: pytest.MonkeyPatch) -> Surveyed:
    seen = Surveyed()

    def survey(document: Any, template: Any, services: Any) -> None:
        seen.append(template.name)
        if seen.error is not None:
            raise seen.error

    monkeypatch.setattr("builder.submit.survey", survey)
    return seen


def template(**fields: Any) -> dict[str, Any]:
    return {
        "type": "Microsoft.VirtualMachineImages/imageTemplates",
        "apiVersion": "2024-02-01",
        "name": "web",
        "location": "local",
        "identity": {"type": "None"},
        "properties": {
            "source": {
                "type": "PlatformImage",
                "publisher": "Debian",
                "offer": "debian-12",
                "sku": "12-gen2",
                "version": "latest",
            },
            "customize": [{"type": "Shell", "inline": ["true"]}],
            "distribute": [{"type": "VHD", "runOutputName": "out"}],
            **fields,
        },
    }


def put(name: str, data: Any) -> str:
    Path(name).write_text(data if isinstance(data, str) else json.dumps(data, indent=2))
    return name


def found(capsys: pytest.CaptureFixture[str], *words: str, code: int) -> list[dict[str, Any]]:
    capsys.readouterr()
    assert main(["validate", *words, "--json"]) == code
    rows: list[dict[str, Any]] = json.loads(capsys.readouterr().out)
    return rows


def test_a_good_file(capsys: pytest.CaptureFixture[str], looked_at: list[Script], surveyed: Surveyed) -> None:
    (row,) = found(capsys, put("t.json", template()), code=0)
    assert (row["severity"], row["code"], row["message"]) == ("warning", "SC1", "#!/bin/sh -e\ntrue\n")
    assert row["location"]["pointer"] == "/properties/customize/0/inline/0"
    assert len(looked_at) == 1
    assert surveyed == ["web"]


def test_every_file_is_looked_at(capsys: pytest.CaptureFixture[str]) -> None:
    bad = put("bad.json", '{"a": 1,,}')
    latin = Path("latin.json")
    latin.write_bytes(b'{"a":\n "\xe9"}')
    rows = found(capsys, bad, "none.json", str(latin), put("t.json", template()), code=2)
    places = [(row["file"], row["code"], row["location"]["line"], row["location"]["column"]) for row in rows]
    assert places == [
        ("bad.json", "BadJson", 1, 9),
        ("none.json", "UnreadableFile", 1, 1),
        ("latin.json", "UnreadableFile", 2, 3),
        ("t.json", "SC1", rows[3]["location"]["line"], rows[3]["location"]["column"]),
    ]


def test_people_get_lines_and_a_sum(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["validate", put("t.json", template(vmProfile={"osDiskSizeGB": "x"})), "--offline"]) == 2
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("t.json:")
    assert lines[-1].startswith("1 file: 1 error, ")
    assert any(set(line) == {" ", "|", "^"} for line in lines)


@pytest.mark.parametrize(
    ("how", "beginning"), [("github", "::error file=t.json,line="), ("sarif", "{"), ("junit", "<?xml")]
)
def test_formats_end_with_the_same_code(capsys: pytest.CaptureFixture[str], how: str, beginning: str) -> None:
    assert main(["validate", put("t.json", "{}"), "--format", how]) == 2
    assert capsys.readouterr().out.startswith(beginning)
    assert main(["validate", put("t.json", template()), "--format", how, "--offline"]) == 0


def test_an_unknown_format(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["validate", put("t.json", "{}"), "--format", "xml"]) == 2
    assert "junit" in capsys.readouterr().err


def test_inputs_are_fetched_and_their_checksums_compared(
    capsys: pytest.CaptureFixture[str], looked_at: list[Script]
) -> None:
    Path("a.sh").write_text("#!/bin/bash\necho\n")
    right = hashlib.sha256(b"#!/bin/bash\necho\n").hexdigest()
    steps = [
        {"type": "Shell", "scriptUri": "a.sh", "sha256Checksum": right},
        {"type": "Shell", "scriptUri": "a.sh", "sha256Checksum": "0" * 64},
        {"type": "File", "sourceUri": "nothing", "destination": "/tmp/x"},
    ]
    rows = found(capsys, put("t.json", template(customize=steps)), code=2)
    assert [(row["code"], row["location"]["pointer"]) for row in rows if row["severity"] == "error"] == [
        ("ChecksumMismatch", "/properties/customize/1/sha256Checksum"),
        ("DownloadFailed", "/properties/customize/2/sourceUri"),
    ]
    (script,) = looked_at
    assert script.locate(2, 3) == Location("a.sh", 2, 3)


def test_offline_asks_nobody(
    capsys: pytest.CaptureFixture[str],
    looked_at: list[Script],
    surveyed: Surveyed,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("builder.resolve.read_uri", lambda *_: pytest.fail("something was fetched"))
    steps = [{"type": "Shell", "scriptUri": "https://h.example/a.sh"}, {"type": "Shell", "inline": ["true"]}]
    assert main(["validate", put("t.json", template(customize=steps)), "--offline"]) == 0
    out = capsys.readouterr().out
    assert "t.json: inputs: 1 not fetched (--offline)" in out
    assert (len(looked_at), surveyed) == (1, [])


def test_what_the_survey_finds(capsys: pytest.CaptureFixture[str], surveyed: Surveyed) -> None:
    place = Location("t.json", 1, 1, "/properties/source")
    surveyed.error = TemplateError([Diagnostic("error", "NotFound", "no such image", place)])
    rows = found(capsys, put("t.json", template()), code=2)
    assert [row["code"] for row in rows] == ["SC1", "NotFound"]


def test_what_this_machine_lacks_is_no_mistake_of_the_template(
    capsys: pytest.CaptureFixture[str], surveyed: Surveyed
) -> None:
    surveyed.error = EnvironmentProblem("qemu is not installed.")
    assert main(["validate", put("t.json", template())]) == 0
    assert "t.json: targets: qemu is not installed." in capsys.readouterr().out


def test_standard_input(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    def say(text: str) -> None:
        files._standard_input.cache_clear()
        monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(text.encode())))

    say('{\n "a" 1}')
    assert main(["validate", "-"]) == 2
    out = capsys.readouterr().out
    assert out.startswith("<stdin>:2:6: error BadJson: ")
    assert '  |  "a" 1}' in out, "the line is quoted although it can be read only once"
    say(json.dumps(template()))
    assert main(["validate", "-", "--offline"]) == 0
    say(json.dumps({**template(), "apiVersion": "2020-02-14"}))
    assert main(["validate", "-", "--fix"]) == 2
    assert "--diff" in capsys.readouterr().err
    files._standard_input.cache_clear()


def test_secrets_of_parameters_are_in_no_finding(
    capsys: pytest.CaptureFixture[str],
) -> None:
    data = {
        "$schema": "https://schema.management.azure.com/schemas/2019-04-01/deploymentTemplate.json#",
        "contentVersion": "1.0.0.0",
        "parameters": {"token": {"type": "secureString"}},
        "resources": [template(customize=[{"type": "Shell", "inline": ["[parameters('token')]"]}])],
    }
    put("p.json", {"parameters": {"token": {"value": "hunter2-canary"}}})
    (row,) = found(capsys, put("t.json", data), "--parameters", "p.json", code=0)
    assert row["message"] == "#!/bin/sh -e\n****\n"


def test_a_bad_parameter_file_is_a_finding_of_that_file(capsys: pytest.CaptureFixture[str]) -> None:
    (row,) = found(capsys, put("t.json", template()), "--parameters", put("p.json", "{,}"), code=2)
    assert (row["file"], row["location"]["column"]) == ("p.json", 2)


OLD = """{
  "type": "Microsoft.VirtualMachineImages/imageTemplates",
  "apiVersion": "2020-02-14",   "name": "web", "location": "local", "identity": {"type": "None"},
  "properties": {
    "source": {"type": "PlatformImage", "publisher": "Debian", "offer": "debian-12", "sku": "12-gen2"},
    "customize": [{"type": "Shell", "inline": ["true"]},],
    "distribute": [{"type": "VHD", "runOutputName": "out"}]
  }
}"""


def test_fix_shows_a_diff_and_writes_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    for option in ("--diff", "--dry-run"):
        assert main(["validate", put("t.json", OLD), "--fix", option]) == 0
        lines = capsys.readouterr().out.splitlines()
        assert lines[:2] == ["--- t.json", "+++ t.json"]
        assert '-    "customize": [{"type": "Shell", "inline": ["true"]},],' in lines
        assert '+    "customize": [{"type": "Shell", "inline": ["true"]}],' in lines
        assert Path("t.json").read_text() == OLD
    assert main(["validate", "t.json", "--diff"]) == 2


def test_fix_writes_the_file_back_as_it_was_otherwise(capsys: pytest.CaptureFixture[str]) -> None:
    real = Path("real.json")
    real.write_bytes(b"\xef\xbb\xbf" + OLD.replace("\n", "\r\n").encode())
    real.chmod(0o640)
    Path("t.json").symlink_to(real)
    rows = found(capsys, "t.json", "--fix", "--offline", code=0)
    assert [row["code"] for row in rows] == ["SC1"]
    assert Path("t.json").is_symlink()
    assert stat.S_IMODE(real.stat().st_mode) == 0o640
    data = real.read_bytes()
    assert data.startswith(b"\xef\xbb\xbf{\r\n")
    assert data.count(b"\r\n") == OLD.count("\n")
    assert b'"apiVersion": "2025-10-01",   "name"' in data
    assert sorted(path.name for path in Path().iterdir() if path.is_file()) == ["real.json", "t.json"]
    assert main(["validate", "t.json", "--fix", "--offline", "--strict"]) == 0
    assert real.read_bytes() == data, "once is enough"


def test_fix_says_what_it_did_and_leaves_what_it_cannot_read(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["validate", put("t.json", OLD), put("bad.json", "{"), "--fix", "--offline"]) == 2
    said = capsys.readouterr()
    assert "t.json: removed 1 trailing comma" in said.err
    assert "bad.json:1:2: error BadJson" in said.out
    assert Path("bad.json").read_text() == "{"
