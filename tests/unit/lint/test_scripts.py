"""Scripts of a template: where their lines stand, and what is made of the tools' words.

The answers have the form of bash 5.2, dash 0.5.12 and shellcheck 0.9, which tests/vm/test_lint_tools.py
asks themselves; those of pwsh are written by hand.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import templates
from builder.lint import powershell, shell
from builder.lint.check import check_scripts
from builder.lint.findings import MAX_BYTES
from builder.lint.script import Script, script_of
from builder.process import Completed, ProcessError
from builder.resolve import frozen_content, steps_of
from templates.diagnostics import Diagnostic, Location
from templates.model import ScriptStep

SCOPE = templates.DeploymentScope("00000000-0000-0000-0000-000000000000", "goldsmith", "local")
TEMPLATE = {
    "type": "Microsoft.VirtualMachineImages/imageTemplates",
    "apiVersion": "2024-02-01",
    "name": "t",
    "location": "local",
    "identity": {"type": "None"},
    "properties": {
        "source": {"type": "PlatformImage", "publisher": "p", "offer": "o", "sku": "s", "version": "latest"},
        "distribute": [{"type": "VHD", "runOutputName": "out"}],
    },
}


class Tools:
    """Answers in the place of the tools, by name; what was asked is in `asked`."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, **answers: Any) -> None:
        self.answers = answers
        self.asked: list[tuple[list[str], dict[str, Any]]] = []
        for module in (shell, powershell):
            monkeypatch.setattr(module.shutil, "which", lambda name: name if name in answers else None)

    def __call__(self, argv: list[str], **options: Any) -> Completed:
        self.asked.append((argv, options))
        assert options["timeout"] <= 60
        answer = self.answers[argv[0]]
        if isinstance(answer, Exception):
            raise answer
        code, out, err = answer
        return Completed(tuple(argv), code, out, err)


def scripts(tmp_path: Path, text: str, files: dict[str, bytes] | None = None) -> list[Script]:
    """The scripts of the template whose customize is `text`, as `build validate` would make them."""
    file = tmp_path / "t.json"
    whole = json.dumps(TEMPLATE)
    file.write_text(whole[:-2] + ', "customize":\n' + text + "}}")
    document = templates.read(file, defaults=SCOPE)
    (template,) = document.templates
    prefix = document.pointer_of(template)
    found = []
    for pointer, step in steps_of(template):
        assert isinstance(step, ScriptStep)
        data = (files or {}).get(step.script_uri or "", b"")
        found.append(script_of(document, prefix + pointer, step, frozen_content("x", data), tmp_path))
    return found


def test_lines_of_inline_are_the_elements(tmp_path: Path) -> None:
    (script,) = scripts(tmp_path, '[{"type": "Shell", "inline": [\n"echo \\"a\\" $x",\n  "one\\ntwo $y"]}]')
    assert script.data == b'#!/bin/sh -e\necho "a" $x\none\ntwo $y\n'
    assert script.dialect == "sh"
    places = [script.locate(*place) for place in [(1, 1), (2, 1), (2, 10), (3, 1), (4, 5), (99, 99)]]
    assert [(p.line, p.column) for p in places] == [(3, 2), (3, 2), (3, 13), (4, 4), (4, 13), (4, 15)]
    assert places[2].pointer == "/properties/customize/0/inline/0"


def test_a_shebang_of_ones_own_moves_no_line(tmp_path: Path) -> None:
    (script,) = scripts(tmp_path, '[{"type": "Shell", "inline": ["#!/usr/bin/env -S A=1 bash -e",\n"x"]}]')
    assert script.dialect == "bash"
    assert (script.locate(2, 1).line, script.locate(2, 1).column) == (3, 2)


def test_text_that_is_not_in_the_file_is_placed_at_its_element(tmp_path: Path) -> None:
    file = tmp_path / "t.json"
    whole = json.dumps(TEMPLATE)
    file.write_text(whole[:-2] + ', "customize":\n[{"type": "Shell", "inline": ["{{ v }} x"]}]}}')
    document = templates.read(file, defaults=SCOPE, variables={"v": "echo a b c d"})
    step = document.templates[0].properties.customize[0]
    assert isinstance(step, ScriptStep)
    script = script_of(document, "/properties/customize/0", step, frozen_content("inline", b""), tmp_path)
    assert script.locate(2, 9) == script.locate(2, 1)


def test_a_file_has_lines_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    text = '[{"type": "Shell", "scriptUri": "./a/../s.sh"}, {"type": "Shell", "scriptUri": "https://h.example/s?sig=1"}]'
    here, there = scripts(
        tmp_path, text, {"./a/../s.sh": b"#! /bin/dash\nx\n", "https://h.example/s?sig=1": b"x"}
    )
    assert (here.dialect, here.locate(2, 3)) == ("dash", Location("s.sh", 2, 3))
    assert there.dialect == "sh"
    assert there.locate(7, 3).pointer == "/properties/customize/1/scriptUri"
    assert not there.told_apart


def script(data: bytes = b"if\n", dialect: Any = "sh") -> Script:
    return Script(dialect, data, lambda line, column: Location("s", line, column))


def check(tools: Tools, *given: Script) -> list[tuple[str, str, int, int, str]]:
    return [facts(found) for found in check_scripts(given, tools)]


def facts(found: Diagnostic) -> tuple[str, str, int, int, str]:
    return found.severity, found.code, found.location.line, found.location.column, found.message


BASH = (2, "", "/dev/stdin: line 4: syntax error near unexpected token `fi'\n/dev/stdin: line 4: `fi'\n")
DASH = (2, "", '/dev/stdin: 4: Syntax error: "fi" unexpected\n')
FINE = (0, "", "")


def test_an_error_is_said_once_at_its_line(monkeypatch: pytest.MonkeyPatch) -> None:
    expected = [("error", "ShellSyntax", 4, 1, 'Syntax error: "fi" unexpected')]
    assert check(Tools(monkeypatch, bash=BASH, sh=DASH), script()) == expected
    assert check(Tools(monkeypatch, sh=DASH), script()) == expected, "nobody else to ask"
    tools = Tools(monkeypatch, bash=BASH, sh=DASH)
    assert check(tools, script(dialect="bash"))[0][4].startswith("syntax error near")
    assert [argv for argv, _ in tools.asked] == [["bash", "-n", "/dev/stdin"]]
    assert tools.asked[0][1]["stdin"] == b"if\n"
    assert (tools.asked[0][1]["env"]["BASH_ENV"], tools.asked[0][1]["env"]["ENV"]) == ("", "")


def test_what_only_dash_refuses_is_a_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    ((severity, code, line, _, message),) = check(Tools(monkeypatch, bash=FINE, sh=DASH), script())
    assert (severity, code, line) == ("warning", "ShellDialect", 4)
    assert "bash takes it" in message


def test_warnings_of_bash(monkeypatch: pytest.MonkeyPatch) -> None:
    said = "/dev/stdin: line 9: warning: here-document at line 2 delimited by end-of-file (wanted `EOF')\n"
    (found,) = check(Tools(monkeypatch, bash=(0, "", said)), script(dialect="bash"))
    assert found[:3] == ("warning", "ShellSyntax", 9)


def test_shellcheck(monkeypatch: pytest.MonkeyPatch) -> None:
    comment = {
        "line": 2,
        "column": 6,
        "level": "info",
        "code": 2086,
        "message": "Double quote to prevent globbing",
    }
    tools = Tools(monkeypatch, sh=FINE, shellcheck=(1, json.dumps({"comments": [comment]}), ""))
    (found,) = check_scripts([script()], tools)
    assert facts(found) == ("warning", "SC2086", 2, 6, "Double quote to prevent globbing")
    assert "shellcheck disable=SC2086" in (found.hint or "")
    assert "--shell=sh" in tools.asked[-1][0]


def test_shellcheck_does_not_repeat_the_shell(monkeypatch: pytest.MonkeyPatch) -> None:
    numbers = [1072, 1061, 1073, 2086]
    comments = [{"line": 1, "column": 1, "code": number, "message": "m"} for number in numbers]
    answer = (1, json.dumps({"comments": comments}), "")
    refused = check(Tools(monkeypatch, bash=BASH, shellcheck=answer), script(dialect="bash"))
    assert [found[1] for found in refused] == ["ShellSyntax", "SC1061", "SC2086"]
    taken = check_scripts([script(dialect="bash")], Tools(monkeypatch, bash=FINE, shellcheck=answer))
    assert [found.code for found in taken] == ["SC1072", "SC1061", "SC1073", "SC2086"]
    assert [bool(found.hint) for found in taken] == [False, False, False, True]


@pytest.mark.parametrize("out", ["", "[]", "{}", '{"comments": [1]}'])
def test_a_tool_that_answers_nonsense(monkeypatch: pytest.MonkeyPatch, out: str) -> None:
    (found,) = check(Tools(monkeypatch, shellcheck=(3, out, "unknown option\n")), script())
    assert found[:2] == ("warning", "LintFailed")
    assert "unknown option" in found[4]


def test_a_tool_that_hangs(monkeypatch: pytest.MonkeyPatch) -> None:
    slow = ProcessError("bash did not finish within 30 s.", argv=["bash"], exit_code=None, output="")
    (found,) = check(Tools(monkeypatch, bash=slow), script(dialect="bash"))
    assert found[:2] == ("warning", "LintFailed")


def test_what_nobody_looks_at(monkeypatch: pytest.MonkeyPatch) -> None:
    tools = Tools(monkeypatch)
    assert check(tools, script(), script(dialect="powershell")) == [], "a missing tool is no error"
    tools = Tools(monkeypatch, bash=BASH, sh=DASH, shellcheck=FINE)
    others = [script(dialect=""), script(b"x\0y"), script(b"#" * (MAX_BYTES + 1))]
    assert check(tools, *others) == []
    assert tools.asked == []


def test_windows_line_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    tools = Tools(monkeypatch, bash=BASH, sh=DASH)
    found = check(tools, script(b"#!/bin/sh\r\nx\r\n"), script(b"x\r\ny\n"))
    assert [one[:2] for one in found] == [("error", "WindowsLineEndings"), ("warning", "WindowsLineEndings")]
    assert tools.asked == []


def test_powershell(monkeypatch: pytest.MonkeyPatch) -> None:
    answer = json.dumps([{"line": 1, "column": 4, "message": "Missing closing '}'"}])
    tools = Tools(monkeypatch, pwsh=(0, answer, ""))
    assert check(tools, script(dialect="powershell")) == [
        ("error", "PowerShellSyntax", 1, 4, "Missing closing '}'")
    ]
    assert "-NonInteractive" in tools.asked[0][0]
    assert check(Tools(monkeypatch, pwsh=(0, "[]", "")), script(dialect="powershell")) == []
    (found,) = check(Tools(monkeypatch, pwsh=(1, "", "no .NET\n")), script(dialect="powershell"))
    assert found[:2] == ("warning", "LintFailed")


def test_lines_of_what_was_fetched_are_named_in_the_message(monkeypatch: pytest.MonkeyPatch) -> None:
    far = Script("sh", b"if\n", lambda _line, _column: Location("t.json", 9, 9), told_apart=False)
    (found,) = check_scripts([far], Tools(monkeypatch, sh=DASH))
    assert found.message.startswith("line 4: Syntax error")
