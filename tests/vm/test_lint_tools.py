"""Scripts given to the real shells and the real shellcheck."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from builder.lint.check import check_scripts
from builder.lint.script import Script
from templates.diagnostics import Location


def script(text: str, dialect: Any) -> Script:
    return Script(dialect, text.encode(), lambda line, column: Location("s", line, column))


def codes(text: str, dialect: Any) -> set[tuple[str, str, int]]:
    return {(f.severity, f.code, f.location.line) for f in check_scripts([script(text, dialect)])}


@pytest.mark.parametrize("dialect", ["sh", "bash"])
@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("a=1\nif true; then\n  echo\n", 4),
        ("echo\necho )\n", 2),
        ("f() {\n}\n", 2),
        ('echo "x\n', 1),
        ("for\n", 1),
    ],
)
def test_errors_have_their_line(dialect: str, text: str, line: int) -> None:
    found = {(severity, code) for severity, code, at in codes(text, dialect) if at in (line, line + 1)}
    assert ("error", "ShellSyntax") in found


def test_a_good_script_is_good() -> None:
    assert codes("#!/bin/sh -e\nset -u\ncd /tmp\necho 'näh'\n", "sh") == set()
    assert codes('#!/bin/bash\na=(1 2)\necho "${a[@]}"\n', "bash") == set()


def test_arrays_in_sh_are_a_matter_of_the_image() -> None:
    found = codes("#!/bin/sh\na=(1 2)\n", "sh")
    if Path("/bin/sh").resolve().name == "dash":
        assert ("warning", "ShellDialect", 2) in found
    assert not any(severity == "error" for severity, _, _ in found)


def test_nothing_is_executed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    marker = tmp_path / "ran"
    startup = tmp_path / "startup"
    startup.write_text(f"touch {marker}\n")
    for name in ("BASH_ENV", "ENV"):
        monkeypatch.setenv(name, str(startup))
    text = f"#!/bin/bash\nset +n\nset +o noexec\ntouch {marker}\n: $(touch {marker})\n`touch {marker}`\n"
    for dialect in ("sh", "bash", "dash"):
        check_scripts([script(text, dialect)])
    assert not marker.exists()


def test_shellcheck_finds_places() -> None:
    (found,) = check_scripts([script('#!/bin/sh\nx=$1\nrm -r /tmp/"$x" $x\n', "sh")])
    assert (found.code, found.severity) == ("SC2086", "warning")
    assert (found.location.line, found.location.column) == (3, 17)
