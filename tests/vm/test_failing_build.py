"""Builds that fail, are refused, are cancelled or keep their machine."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import time
from pathlib import Path

import pytest
from harness import Cli, assert_nothing_left

pytestmark = pytest.mark.timeout(3000)

CANARY = "canary-7f3a9c51"
CANARY_SHA256 = hashlib.sha256(CANARY.encode()).hexdigest()


def template(name: str, steps: list[dict[str, object]], **properties: object) -> dict[str, object]:
    return {
        "type": "Microsoft.VirtualMachineImages/imageTemplates",
        "apiVersion": "2025-10-01",
        "name": name,
        "location": "local",
        "identity": {"type": "None"},
        "properties": {
            "buildTimeoutInMinutes": 40,
            # The quickstart's: its first boot is theirs, too.
            "vmProfile": {"vmSize": "Standard_B2s"},
            "source": {
                "type": "PlatformImage",
                "publisher": "Debian",
                "offer": "debian-12",
                "sku": "12",
                "version": "latest",
            },
            "customize": steps,
            "distribute": [{"type": "VHD", "runOutputName": f"{name}-vhd"}],
            **properties,
        },
    }


def write(path: Path, value: object) -> Path:
    path.write_text(json.dumps(value, indent=2))
    return path


@pytest.mark.usefixtures("quickstart", "no_leftovers")
def test_a_failing_customizer_is_named_and_leaves_a_bundle(cli: Cli, tmp_path: Path) -> None:
    steps: list[dict[str, object]] = [
        {
            "type": "Shell",
            "name": "Secretive",
            "inline": [
                'echo "token is $TOKEN"',
                f'echo "{CANARY_SHA256}  -" > /tmp/sum; printf %s "$TOKEN" | sha256sum -c /tmp/sum',
                'test "$COLOUR" = blue',
                "ps -ef > /tmp/ps.txt; ! grep canary /tmp/ps.txt",
            ],
            "x-goldsmith": {"secrets": {"TOKEN": {"env": "THE_TOKEN"}}, "env": {"COLOUR": "blue"}},
        },
        {
            "type": "Shell",
            "name": "Breaks",
            "inline": ["echo the step was here > ~/marker", "ls /does-not-exist", "echo never"],
        },
        {"type": "Shell", "name": "Never", "inline": ["echo never"]},
    ]
    file = write(tmp_path / "t.json", template("failing", steps))
    out = tmp_path / "out"
    out.mkdir()
    events = tmp_path / "events.jsonl"
    result = cli(
        *(file, "--output-dir", out, "--events", events, "--on-error", "keep"),
        "--no-cache",  # the serial log is a boot's
        env={"THE_TOKEN": CANARY},
    )
    assert result.code == 1, result.text
    assert "Customizer 2 of 3 'Breaks'" in result.text
    assert "exit code 2" in result.text
    assert "/does-not-exist" in result.text
    assert list(out.iterdir()) == []
    run = next(p for p in sorted((cli.home / "runs").iterdir(), reverse=True))
    bundle = run / "failure"
    assert str(bundle) in result.text
    assert any(p.suffix == ".png" and p.stat().st_size > 100 for p in bundle.iterdir())
    assert any("serial" in p.name and p.stat().st_size > 1000 for p in bundle.iterdir())
    # The canary reached the script and nothing else, the kept disk included.
    assert "token is ****" in events.read_text()
    assert CANARY not in result.text
    places = [run, cli.home / "registry.db", cli.home / "staging", tmp_path]
    holders = subprocess.run(["grep", "-rl", CANARY, *places], capture_output=True, text=True, check=False)
    assert (holders.returncode, holders.stdout) == (1, "")
    # The kept machine boots again, and what the steps did is still there.
    shell = cli("shell", run.name, stdin="cat /home/packer/marker; exit 7\n")
    assert "the step was here" in shell.out, shell.text
    assert shell.code == 7


@pytest.mark.usefixtures("quickstart", "no_leftovers")
def test_second_build_is_refused_then_the_first_is_cancelled(cli: Cli, tmp_path: Path) -> None:
    steps: list[dict[str, object]] = [
        {"type": "Shell", "name": "Long", "inline": ["echo started", "sleep 900"]}
    ]
    file = write(tmp_path / "t.json", template("longrunning", steps))
    events = tmp_path / "events.jsonl"
    first = cli.start(file, "--events", events)
    try:
        wait_for(lambda: events.exists() and '"started"' in events.read_text(), 600, first)
        second = cli(file, timeout=120)
        assert second.code == 2, second.text
        assert "in use" in second.text
        run_id = next(e["runId"] for e in map(json.loads, events.open()) if e["kind"] == "run.started")
        cancelled = cli("runs", "cancel", run_id, timeout=120)
        assert cancelled.code == 0, cancelled.text
        assert first.wait(timeout=120) == 130
    finally:
        if first.poll() is None:
            os.killpg(first.pid, signal.SIGKILL)
    last = json.loads(events.read_text().splitlines()[-1])
    assert last["state"] == "Canceled"


@pytest.mark.usefixtures("quickstart")
def test_ctrl_c_while_booting_and_sigkill_leave_nothing(cli: Cli, tmp_path: Path, home: Path) -> None:
    steps: list[dict[str, object]] = [{"type": "Shell", "name": "Never", "inline": ["echo never"]}]
    file = write(tmp_path / "t.json", template("interrupted", steps))
    for signum, expected in ((signal.SIGINT, 130), (signal.SIGKILL, -signal.SIGKILL)):
        events = tmp_path / f"events-{signum}.jsonl"
        build = cli.start(file, "--events", events, "--no-cache")
        wait_for(lambda e=events: e.exists() and "Booting" in e.read_text(), 300, build)
        time.sleep(3)
        os.kill(build.pid, signum)
        assert build.wait(timeout=90) == expected
    # SIGKILL cannot clean up; QEMU died with its parent, gc takes the rest.
    time.sleep(1)
    collected = cli("gc", timeout=120)
    assert collected.code == 0, collected.text
    assert_nothing_left(home)
    states = json.dumps(cli("runs", "list", "--json").json())
    assert '"Running"' not in states


@pytest.mark.usefixtures("quickstart", "no_leftovers")
def test_a_script_that_restarts_is_told_apart(cli: Cli, tmp_path: Path) -> None:
    steps: list[dict[str, object]] = [
        {"type": "Shell", "name": "Reboots", "inline": ["sudo systemctl reboot --force", "sleep 300"]}
    ]
    file = write(tmp_path / "t.json", template("reboots", steps))
    result = cli(file)
    assert result.code == 1, result.text
    assert "restarted" in result.text
    assert "x-LinuxRestart" in result.text


@pytest.mark.usefixtures("quickstart", "no_leftovers")
def test_build_timeout_is_a_deadline_for_everything(cli: Cli, tmp_path: Path) -> None:
    steps: list[dict[str, object]] = [{"type": "Shell", "name": "Endless", "inline": ["sleep 900"]}]
    file = write(tmp_path / "t.json", template("slow", steps, buildTimeoutInMinutes=1))
    start = time.monotonic()
    result = cli(file)
    assert result.code == 4, result.text
    assert "longer than 1 minutes (buildTimeoutInMinutes)" in result.text
    assert time.monotonic() - start < 300, "the limit is a minute, cleaning up has its own"


def wait_for(condition: object, seconds: float, process: subprocess.Popen[str]) -> None:
    end = time.monotonic() + seconds
    while not condition():  # type: ignore[operator]
        if process.poll() is not None:
            raise AssertionError(f"ended early: {process.stdout.read() if process.stdout else ''}")
        assert time.monotonic() < end, "waited too long"
        time.sleep(0.3)
