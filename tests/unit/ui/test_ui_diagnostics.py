"""The formats of `build validate`, each held to the rules of who reads it."""

from __future__ import annotations

import io
import json
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from builder.checked import Check, CheckedFile
from builder.ui.diagnostics import Format, write
from templates.diagnostics import Diagnostic, Location

ODD = "50% of 'a,b:c'\nand \x1b[31mmore\r"


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[CheckedFile]:
    monkeypatch.chdir(tmp_path)
    Path("a, b.json").write_text('{\n\t"näme": "日本", "x": 1\n}')
    first = Location("a, b.json", 2, 16, "/x")
    problems = (
        Diagnostic("error", "BadValue", ODD, first, "write 2"),
        Diagnostic("error", "BadValue", "again", first),
    )
    script = Diagnostic(
        "warning", "SC2086", "quote it", Location(str(tmp_path / "run it.sh"), 3, 5), "or not"
    )
    return [
        CheckedFile(
            "a, b.json",
            (Check("template", problems), Check("scripts", (script,)), Check("targets", (), "off")),
        ),
        CheckedFile("good.json", (Check("template"),)),
    ]


def written(files: list[CheckedFile], how: str) -> str:
    stream = io.StringIO()
    write(files, Format(how), stream)
    return stream.getvalue()


def test_people_see_the_line_a_caret_and_the_hint(files: list[CheckedFile]) -> None:
    lines = written(files, "human").splitlines()
    assert lines[0] == "a, b.json:2:16: error BadValue: 50% of 'a,b:c'"
    source = lines.index('  |  "näme": "日本", "x": 1')
    # Two characters of the line are two columns wide each.
    assert lines[source + 1].index("^") == lines[source].index('"x"') + 2
    assert "  hint: write 2" in lines
    assert "a, b.json: targets: off" in lines
    assert lines[-1] == "2 files: 2 errors, 1 warning"


def test_what_a_file_holds_cannot_steer_a_terminal(files: list[CheckedFile]) -> None:
    text = written(files, "human")
    assert "\x1b" not in text
    assert "\\x1b[31mmore\\r" in text


def test_colours_only_on_a_terminal(files: list[CheckedFile], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)
    terminal = Terminal()
    write(files, Format.HUMAN, terminal)
    assert "\x1b[1m\x1b[31merror BadValue:" in terminal.getvalue()
    monkeypatch.setenv("NO_COLOR", "1")
    plain = Terminal()
    write(files, Format.HUMAN, plain)
    assert plain.getvalue() == written(files, "human")


def test_one_of_each_is_one(files: list[CheckedFile]) -> None:
    assert written(files[1:], "human") == "1 file: 0 errors, 0 warnings\n"


def test_a_name_the_stream_cannot_hold() -> None:
    name = b"\xff\xe9.json".decode("utf-8", "surrogateescape")
    found = [CheckedFile(name, (Check("t", (Diagnostic("error", "E", "m", Location(name, 1, 1)),)),))]
    for how in Format:
        stream = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
        write(found, how, stream)
        stream.seek(0)
        assert "E" in stream.read()


def test_json_has_every_fact(files: list[CheckedFile]) -> None:
    rows = json.loads(written(files, "json"))
    assert [row["file"] for row in rows] == ["a, b.json"] * 3
    assert rows[0] == {
        "file": "a, b.json",
        "severity": "error",
        "code": "BadValue",
        "message": ODD,
        "location": {"file": "a, b.json", "line": 2, "column": 16, "pointer": "/x"},
        "hint": "write 2",
    }
    assert json.loads(written(files[1:], "json")) == []


def test_github_commands_are_escaped_as_the_runner_unescapes(files: list[CheckedFile]) -> None:
    lines = written(files, "github").splitlines()
    assert lines[0] == (
        "::error file=a%2C b.json,line=2,col=16,title=BadValue::"
        "50%25 of 'a,b:c'%0Aand \x1b[31mmore%0D%0Ahint: write 2"
    )
    assert lines[2] == "::warning file=run it.sh,line=3,col=5,title=SC2086::quote it%0Ahint: or not"
    assert len(lines) == 3


def test_junit_counts_what_it_holds(files: list[CheckedFile]) -> None:
    root = ET.fromstring(written(files, "junit"))
    suites = root.findall("testsuite")
    assert [suite.get("name") for suite in suites] == ["a, b.json", "good.json"]
    for element in (root, *suites):
        assert element.get("tests") == str(len(list(element.iter("testcase"))))
        assert element.get("failures") == str(len(list(element.iter("failure"))))
        assert element.get("skipped") == str(len(list(element.iter("skipped"))))
    cases = {case.get("name"): [child.tag for child in case] for case in suites[0]}
    assert cases == {
        "template: BadValue at 2:16": ["failure"],
        "scripts": [],
        f"scripts: SC2086 at {Path.cwd() / 'run it.sh'}:3:5": ["system-out"],
        "targets": ["skipped"],
    }
    assert len(suites[0].findall("testcase")) == 5
    assert [case.get("name") for case in suites[1]] == ["template"]


def test_sarif_has_what_its_schema_asks_for(files: list[CheckedFile]) -> None:
    """The required properties and the enumerations of sarif-schema-2.1.0 for all objects that are used."""
    log = json.loads(written(files, "sarif"))
    assert log["version"] == "2.1.0"
    (run,) = log["runs"]
    driver = run["tool"]["driver"]
    assert driver["name"] == "goldsmith"
    assert [rule["id"] for rule in driver["rules"]] == ["BadValue", "SC2086"]
    for rule in driver["rules"]:
        assert rule["help"]["text"]
        assert rule["shortDescription"]["text"]
        assert rule["defaultConfiguration"]["level"] in ("none", "note", "warning", "error")
    assert run["columnKind"] == "unicodeCodePoints"
    for result in run["results"]:
        assert result["ruleId"] == driver["rules"][result["ruleIndex"]]["id"]
        assert result["level"] in ("warning", "error")
        assert result["message"]["text"]
        (place,) = result["locations"]
        assert place["physicalLocation"]["region"]["startLine"] >= 1
        assert place["physicalLocation"]["region"]["startColumn"] >= 1
    uris = [r["locations"][0]["physicalLocation"]["artifactLocation"]["uri"] for r in run["results"]]
    assert uris == ["a%2C%20b.json", "a%2C%20b.json", "run%20it.sh"]
    assert run["results"][0]["locations"][0]["logicalLocations"] == [{"fullyQualifiedName": "/x"}]


def test_sarif_of_a_file_elsewhere_has_a_whole_address(files: list[CheckedFile]) -> None:
    found = [CheckedFile("f", (Check("t", (Diagnostic("error", "E", "m", Location("/x y/z.json", 1, 1)),)),))]
    (run,) = json.loads(written(found, "sarif"))["runs"]
    place = run["results"][0]["locations"][0]["physicalLocation"]
    assert place["artifactLocation"]["uri"] == "file:///x%20y/z.json"
