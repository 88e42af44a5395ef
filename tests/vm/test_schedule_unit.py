"""The user unit of `build schedule install`, read by systemd itself; no user session is to be had for the
tests, so that a stand-in for `systemctl` notes what it is asked to do.
"""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
from harness import Cli

from builder.process import require


@pytest.fixture
def mine(tmp_path: Path) -> Cli:
    return Cli(tmp_path / 'a "home" 100%', tmp_path)


def test_systemd_has_nothing_to_say_about_it(mine: Cli, tmp_path: Path) -> None:
    printed = mine("schedule", "install", "--print")
    assert printed.code == 0, printed.text
    unit = tmp_path / "goldsmith-schedule.service"
    runtime = tmp_path / "run"
    runtime.mkdir(mode=0o700)
    argv = [require("systemd-analyze", "systemd"), "verify", "--user", str(unit)]
    for text, good in ((printed.out, True), (printed.out.replace("Type=exec", "Type=exce"), False)):
        unit.write_text(text)
        done = subprocess.run(
            argv,
            env={**os.environ, "XDG_RUNTIME_DIR": str(runtime)},
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert (str(unit) in done.stderr) is not good, done.stderr


def test_it_is_written_started_and_removed_again(mine: Cli, tmp_path: Path) -> None:
    folder = tmp_path / "bin"
    folder.mkdir()
    program = folder / "systemctl"
    program.write_text(f'#!/bin/sh\necho "$@" >> {tmp_path}/asked\n')
    program.chmod(0o755)
    env = {"PATH": f"{folder}:{os.environ['PATH']}", "XDG_CONFIG_HOME": str(tmp_path / "config")}
    unit = tmp_path / "config" / "systemd" / "user" / "goldsmith-schedule.service"
    done = mine("schedule", "install", "--systemd", env=env)
    assert done.code == 0, done.text
    assert "Undo: build schedule install --systemd --remove" in done.out
    assert "ExecStart=" in unit.read_text()
    done = mine("schedule", "install", "--systemd", "--remove", env=env)
    assert done.code == 0, done.text
    assert not unit.exists()
    assert (tmp_path / "asked").read_text().splitlines() == [
        "--user daemon-reload",
        "--user enable --now goldsmith-schedule.service",
        "--user disable --now goldsmith-schedule.service",
        "--user daemon-reload",
    ]
    program.write_text("#!/bin/sh\necho Failed to connect to bus >&2\nexit 1\n")
    done = mine("schedule", "install", "--systemd", env=env)
    assert (done.code, "Failed to connect to bus" in done.text) == (3, True), done.text
    assert "'build schedule run --once' from cron does the same work" in done.text
