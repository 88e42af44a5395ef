"""User units of systemd that keep the scheduler running (systemd.unit(5), systemd.service(5))."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from builder import process
from builder.errors import EnvironmentProblem
from builder.settings import Home

UNIT = "goldsmith-schedule.service"
_SECONDS = 60.0


def unit_text(home: Home) -> str:
    """The unit. A build that it stops clears up after itself, which takes a moment."""
    command = " ".join(
        _quoted(word).replace("$", "$$")
        for word in (sys.executable, "-P", "-m", "builder", "schedule", "run")
    )
    return f"""\
[Unit]
Description=Goldsmith: builds templates when they are due
Documentation=man:systemd.service(5)
After=network-online.target

[Service]
Type=exec
Environment={_quoted(f"GOLDSMITH_HOME={home.root}")}
Environment={_quoted(f"PATH={os.environ.get('PATH', os.defpath)}")}
ExecStart={command}
Restart=on-failure
RestartSec=60
KillMode=mixed
KillSignal=SIGINT
TimeoutStopSec=180
SuccessExitStatus=130

[Install]
WantedBy=default.target
"""


def unit_file() -> Path:
    """Where a user's units are (systemd.unit(5), "User Unit Search Path")."""
    config = os.environ.get("XDG_CONFIG_HOME") or str(Path.home() / ".config")
    return Path(config) / "systemd" / "user" / UNIT


def install(home: Home) -> Path:
    """Write the unit, and start it now and at each login. Raises EnvironmentProblem without systemd."""
    systemctl = process.require("systemctl", "systemd")
    file = unit_file()
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(unit_text(home), encoding="utf-8")
    except OSError as error:
        raise EnvironmentProblem(f"{file} cannot be written: {error.strerror}.") from error
    for words in (("daemon-reload",), ("enable", "--now", UNIT)):
        _systemctl(systemctl, words)
    return file


def uninstall() -> Path:
    """Stop it, and remove the unit. Raises EnvironmentProblem."""
    systemctl = process.require("systemctl", "systemd")
    file = unit_file()
    if file.exists():
        _systemctl(systemctl, ("disable", "--now", UNIT))
        file.unlink(missing_ok=True)
        _systemctl(systemctl, ("daemon-reload",))
    return file


def _systemctl(program: str, words: tuple[str, ...]) -> None:
    try:
        process.run([program, "--user", *words], timeout=_SECONDS)
    except process.ProcessError as error:
        raise EnvironmentProblem(
            f"systemctl --user {' '.join(words)} failed.",
            details=error.details,
            hint="A login session with systemd is needed; 'build schedule install --print' shows the unit. "
            "'build schedule run --once' from cron does the same work.",
        ) from error


def _quoted(word: str) -> str:
    """As systemd reads it back (systemd.syntax(7)): quotes, and no specifier in it. Variables are put into
    a command only: in Environment= a dollar is one."""
    escaped = word.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%")
    return f'"{escaped}"'
