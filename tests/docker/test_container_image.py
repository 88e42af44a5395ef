"""`build` as a container: the recipe of .ci/container, built and run as docs/container.md says."""

from __future__ import annotations

import json
import os
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

from . import box
from .box import ALLOW_NAMESPACES, NO_PRIVILEGE, USER, Box, Done, template, write

pytestmark = pytest.mark.timeout(3600)
DEVICE = Path("/dev/kvm")


def kvm() -> tuple[str, ...]:
    """The options of docs/container.md, on a machine that has the device."""
    if not DEVICE.exists():
        return ()
    return ("--device", str(DEVICE), "--group-add", str(DEVICE.stat().st_gid))


def test_it_is_the_command_and_nobody_special(plain: Box) -> None:
    assert plain("--version").out.startswith("goldsmith ")
    assert "Examples:" in plain("run", "--help").out
    who = subprocess.run(
        ["docker", "run", "--rm", "--entrypoint", "id", plain.image, "-u"],
        capture_output=True, text=True, timeout=60, check=True,
    )  # fmt: skip
    assert who.stdout.strip() == str(USER)
    wrong = plain("run", "missing.json")
    assert wrong.code == 2
    assert "missing.json" in wrong.err


def test_the_doctor_says_what_the_engine_refuses(plain: Box) -> None:
    done = plain("doctor", "--json")
    assert done.code == 0, done.text
    checks = {check["name"]: check for check in json.loads(done.out)["checks"]}
    assert checks["user namespaces"]["status"] == "warn"
    assert "seccomp=unconfined" in checks["user namespaces"]["advice"]
    assert {one["status"] for one in checks.values()} <= {"ok", "warn"}
    allowed = plain.with_options(*ALLOW_NAMESPACES)("doctor", "--json")
    namespaces = next(one for one in json.loads(allowed.out)["checks"] if one["name"] == "user namespaces")
    assert namespaces["status"] == "ok"


def test_a_bootstrap_is_refused_with_advice_where_namespaces_are(plain: Box) -> None:
    write(plain, template("refused", "true"))
    with box.volume() as home:
        done = Box(home, plain.work)("run", "refused.json", "--plain")
    assert done.code == 3, done.text
    assert "user namespaces" in done.text
    assert "--security-opt seccomp=unconfined" in done.text


def test_it_builds_from_nothing(plain: Box, built: Done) -> None:
    assert built.code == 0, built.text
    vhd = plain.work / "out" / "first-vhd.vhd"
    assert vhd.stat().st_uid == USER
    assert footer(vhd)


def footer(vhd: Path) -> bool:
    with vhd.open("rb") as file:
        file.seek(-512, os.SEEK_END)
        return file.read(8) == b"conectix"


@pytest.mark.usefixtures("built")
@pytest.mark.parametrize(
    "with_kvm", [False, pytest.param(True, marks=pytest.mark.long)], ids=["emulated", "dev-kvm"]
)
def test_the_next_build_needs_no_privilege_at_all(plain: Box, with_kvm: bool) -> None:
    """The base is in the volume; /dev/kvm is there or not, works or not."""
    name = f"next-{'kvm' if with_kvm else 'tcg'}"
    write(plain, template(name, "echo one | sudo tee /etc/made", f"echo {name} | sudo tee /etc/next"))
    strict = plain.with_options(*NO_PRIVILEGE, *(kvm() if with_kvm else ()))
    done = strict("run", f"{name}.json", "--output-dir", "out", "--plain")
    assert done.code == 0, done.text
    assert footer(plain.work / "out" / f"{name}-vhd.vhd")
    assert f"| {name}" in done.text


@pytest.mark.long
@pytest.mark.usefixtures("built")
def test_any_user_builds_with_a_base_from_elsewhere(plain: Box, tmp_path: Path) -> None:
    packed = plain("cache", "export", "base.tar", "--template", "first", "--with-base")
    assert packed.code == 0, packed.text
    (plain.work / "base.tar").chmod(0o644)
    write(plain, template("stranger", "echo one | sudo tee /etc/made", "id -un"))
    tmp_path.chmod(0o777)
    with box.volume() as home:
        mine = Box(home, plain.work, ("--user", "12345:12345", *NO_PRIVILEGE), mounts=(f"{tmp_path}:/mine",))
        assert mine("cache", "import", "base.tar").code == 0
        (plain.work / "base.tar").unlink()  # gigabytes
        done = mine("run", "stranger.json", "--output-dir", "/mine/out", "--plain")
    assert done.code == 0, done.text
    assert (tmp_path / "out" / "stranger-vhd.vhd").stat().st_uid == 12345


@pytest.mark.usefixtures("built")
def test_containers_share_a_volume(plain: Box) -> None:
    """Each has pids of its own: what one is doing must not look dead to the other."""
    write(plain, template("long", "echo one | sudo tee /etc/made", "echo waiting; sleep 900"))
    with plain.started("run", "long.json", "--output-dir", "out", "--plain") as name:
        wait_for(name, "| waiting")
        (run,) = [one for one in listed(plain) if one["template"]["name"] == "long"]
        assert run["runState"] == "Running"
        swept = plain("gc", "--json")
        assert swept.code == 0, swept.text
        assert json.loads(swept.out)["removed"] == []
        cancelled = plain("runs", "cancel", run["runId"])
        assert cancelled.code != 0
        assert "outside of this container" in cancelled.err
        again = plain("run", "long.json", "--output-dir", "out", "--plain")
        assert again.code != 0
        assert run["runId"] in again.text, "who is in the way"
        subprocess.run(["docker", "stop", "-t", "90", name], check=True, capture_output=True, timeout=120)
        state = subprocess.run(
            ["docker", "inspect", "--format", "{{.State.ExitCode}}", name],
            capture_output=True, text=True, timeout=60, check=True,
        )  # fmt: skip
        assert state.stdout.strip() in ("130", "143")
    (run,) = [one for one in listed(plain) if one["runId"] == run["runId"]]
    assert run["runState"] == "Canceled"
    assert left_in_staging(plain) == []


@pytest.mark.usefixtures("built")
def test_a_killed_container_is_cleared_away(plain: Box) -> None:
    write(plain, template("killed", "echo one | sudo tee /etc/made", "echo waiting; sleep 900"))
    with plain.started("run", "killed.json", "--output-dir", "out", "--plain") as name:
        wait_for(name, "| waiting")
        subprocess.run(["docker", "kill", name], check=True, capture_output=True, timeout=60)
    assert left_in_staging(plain) != []
    (run,) = [one for one in listed(plain) if one["template"]["name"] == "killed"]
    assert run["runState"] == "Failed"
    swept = plain("gc", "--json")
    assert swept.code == 0, swept.text
    assert json.loads(swept.out)["left"] == []
    assert left_in_staging(plain) == []


def listed(plain: Box) -> list[dict[str, Any]]:
    done = plain("runs", "list", "--json")
    assert done.code == 0, done.text
    return list(json.loads(done.out))


def left_in_staging(plain: Box) -> list[str]:
    """What stands in the home's staging area, without what every home has there."""
    words = ["docker", "run", "--rm", "-v", f"{plain.home}:/goldsmith", "--entrypoint", "ls", plain.image]
    done = subprocess.run(
        [*words, "/goldsmith/staging"], capture_output=True, text=True, timeout=60, check=True
    )
    return done.stdout.split()


def wait_for(name: str, words: str, seconds: float = 900) -> None:
    end = time.monotonic() + seconds
    while words not in (said := box.logs(name)):
        assert time.monotonic() < end, said
        time.sleep(1)
