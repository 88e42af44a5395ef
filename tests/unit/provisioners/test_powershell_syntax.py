"""All PowerShell that we send to a guest, read by a grammar of it: no PowerShell is to be had here."""

from __future__ import annotations

from importlib import resources

import pytest
import tree_sitter
import tree_sitter_powershell

from builder.lint import powershell as lint
from builder.vm import ssh, windows_ready
from builder.vm.access import BuildAccess
from builder.vm.windows_seed import setup_script
from provisioners import deprovision, powershell_text
from provisioners.environment import powershell_assignments
from provisioners.windows_update import WindowsUpdateProvisioner
from templates.model import WindowsUpdateStep

_PARSER = tree_sitter.Parser(tree_sitter.Language(tree_sitter_powershell.language()))
_UPDATES = WindowsUpdateProvisioner(
    WindowsUpdateStep(type="WindowsUpdate", filters=["exclude:$_.Title -like '*Preview*'", "include:$true"]),
    None,
)

TEXTS = {
    "runner": powershell_text.runner("C:/a.ps1", environment="C:/b.ps1"),
    "task": powershell_text.scheduled_task("t", script="C:\\a.ps1", log="C:\\l", as_system=True, limit=9),
    "task as user": powershell_text.scheduled_task("t", script="a", log="l", as_system=False, limit=9),
    "command line": powershell_text.command_line('shutdown /r /c "it\'s"'),
    "environment": powershell_assignments({"A": "it's", "B": "\u2018x\u2019\n$y"}),
    "deprovision": deprovision.WINDOWS_DEFAULT,
    "deprovision runner": deprovision.windows_runner("packer"),
    "deprovision task": deprovision._windows_task("C:/x.ps1"),
    "updates": _UPDATES._script("C:/r.json"),
    "boot time": ssh._WINDOWS_BOOT_TIME,
    "setup": setup_script(BuildAccess.generate()),
    "image state": windows_ready._LOOK,
    "clock": windows_ready._SET_CLOCK.format(filetime=1),
    "lint": lint._PARSE,
}


def mistakes(text: str) -> list[str]:
    """Where the grammar finds no sense: its lines."""
    found: list[str] = []
    nodes = [_PARSER.parse(text.encode()).root_node]
    while nodes:
        node = nodes.pop()
        if node.is_error or node.is_missing:
            line = node.start_point[0]
            found.append(f"line {line + 1}: {text.splitlines()[line]}")
        nodes += node.children
    return found


@pytest.mark.parametrize("name", TEXTS)
def test_it_is_powershell(name: str) -> None:
    assert mistakes(TEXTS[name]) == []


@pytest.mark.parametrize(
    "text", ["if ($a { }", "function f( { }", "'not ended", "foreach ($x on $y) { }", "@{ a = 1"]
)
def test_the_grammar_sees_mistakes(text: str) -> None:
    assert mistakes(text)


@pytest.mark.parametrize("change", ["{", "}", "(", ")", "'"])
def test_a_character_too_many_is_seen_in_every_script_file(change: str) -> None:
    for folder, name in (
        ("provisioners", "windows_update.ps1"),
        ("provisioners", "deprovision_windows.ps1"),
        ("builder.vm", "windows_setup.ps1"),
    ):
        lines = resources.files(folder).joinpath(name).read_text().splitlines()
        middle = next(n for n in range(len(lines) // 2, len(lines)) if not lines[n].strip().startswith("#"))
        lines[middle] += f" {change}"
        assert mistakes("\n".join(lines) + "\n"), (name, lines[middle])
