"""`schedule install --systemd` in a real session of systemd: a container whose first process it is."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from . import box
from .box import USER

pytestmark = pytest.mark.timeout(1800)
UNIT = "goldsmith-schedule.service"
DOCKERFILE = """\
FROM {image}
USER root
RUN apt-get update -qq && apt-get install -qq -y --no-install-recommends systemd systemd-sysv \\
    dbus dbus-user-session libpam-systemd && rm -rf /var/lib/apt/lists/*
ENTRYPOINT ["/sbin/init"]
CMD []
"""
# Not --privileged, which an engine inside a container may not give.
AS_A_MACHINE = (
    *("--cap-add", "SYS_ADMIN", "--security-opt", "seccomp=unconfined", "--cgroupns", "host"),
    *("--tmpfs", "/run", "--tmpfs", "/run/lock", "-v", "/sys/fs/cgroup:/sys/fs/cgroup:rw"),
)


@dataclass(frozen=True)
class Session:
    name: str

    def __call__(self, *words: str, code: int = 0) -> str:
        """A command of the user in their session."""
        runtime = f"/run/user/{USER}"
        env = {"XDG_RUNTIME_DIR": runtime, "DBUS_SESSION_BUS_ADDRESS": f"unix:path={runtime}/bus"}
        variables = [word for key, value in env.items() for word in ("--env", f"{key}={value}")]
        argv = ["docker", "exec", "--user", str(USER), *variables, self.name, *words]
        done = subprocess.run(argv, capture_output=True, text=True, timeout=120, check=False)
        assert done.returncode == code, done.stdout + done.stderr
        return done.stdout

    def wait_for(self, *words: str, text: str) -> None:
        """Until that command says so; a session takes a while after a boot."""
        end = time.monotonic() + 120
        while True:
            try:
                if text in self(*words):
                    return
            except AssertionError:
                if time.monotonic() > end:
                    raise
            assert time.monotonic() < end, f"{words} never said {text!r}"
            time.sleep(1)


@pytest.fixture
def session(image: str, tmp_path: Path) -> Iterator[Session]:
    (tmp_path / "Dockerfile").write_text(DOCKERFILE.format(image=image))
    box.docker("build", "--network", "host", "--tag", "goldsmith-test-systemd:1", tmp_path, timeout=900)
    with box.machine("goldsmith-test-systemd:1", AS_A_MACHINE, command=()) as name:
        it = Session(name)
        it.wait_for("systemctl", "is-system-running", text="running")
        box.docker("exec", name, "loginctl", "enable-linger", "goldsmith", timeout=60)
        it.wait_for("systemctl", "--user", "is-active", "default.target", text="active")
        yield it


def test_the_unit_runs_and_comes_back_after_a_boot(session: Session) -> None:
    template = "/opt/goldsmith/examples/quickstart/template.json"
    session("build", "schedule", "add", template, "--cron", "0 3 * * *", "--output-dir", "/goldsmith/out")
    assert f"systemd/user/{UNIT}" in session("build", "schedule", "install", "--systemd")
    wait_for_the_daemon(session)
    box.docker("restart", "-t", "30", session.name, timeout=120)
    wait_for_the_daemon(session)
    session("systemctl", "--user", "stop", UNIT)
    shown = session("systemctl", "--user", "show", "--property", "Result,ExecMainStatus", UNIT)
    assert set(shown.split()) == {"Result=success", "ExecMainStatus=130"}
    session("build", "schedule", "install", "--systemd", "--remove")
    session("systemctl", "--user", "cat", UNIT, code=1)


def wait_for_the_daemon(session: Session) -> None:
    """Until the unit's process holds the lock; then whoever else wants to look after them is refused.

    Only read until then: who tries the lock takes it from the unit, which then comes back after a minute.
    """
    file = "/goldsmith/schedule.lock"
    session.wait_for("stat", "--format", "%n", file, text=file)
    inode = session("stat", "--format", "%i", file).strip()
    session.wait_for("cat", "/proc/locks", text=f":{inode} ")
    argv = ["docker", "exec", "--user", str(USER), session.name, "build", "schedule", "run", "--once"]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=120, check=False)
    assert (done.returncode, "Another process looks after" in done.stderr) == (2, True), done.stderr
