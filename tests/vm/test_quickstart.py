"""The main job: a real Debian, a real VM, three targets, nothing left behind."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest
from harness import Cli, Quickstart, assert_nothing_left

pytestmark = pytest.mark.timeout(3000)


def test_three_targets_are_made(quickstart: Quickstart) -> None:
    kinds = {str(e["runOutput"]): e["type"] for e in quickstart.events if e["kind"] == "artifact"}
    assert kinds == {
        "quickstart-vhd": "VHD",
        "quickstart-image": "ManagedImage",
        "quickstart-gallery": "SharedImage",
    }
    assert str(quickstart.artifact("quickstart-gallery")["version"]) == "0.0.1"


def test_nothing_is_left_behind(quickstart: Quickstart, home: Path) -> None:
    assert_nothing_left(home)
    assert quickstart.out.is_dir()
    assert [p.name for p in quickstart.out.iterdir()] == [quickstart.vhd.name]


def test_the_vhd_is_fixed_and_whole(quickstart: Quickstart) -> None:
    size = quickstart.vhd.stat().st_size
    assert (size - 512) % 1024**2 == 0
    info = json.loads(
        subprocess.run(
            ["qemu-img", "info", "--output=json", "-f", "vpc", quickstart.vhd],
            capture_output=True,
            check=True,
        ).stdout
    )
    assert info["format"] == "vpc"
    assert info["virtual-size"] == size - 512
    with quickstart.vhd.open("rb") as file:
        file.seek(-512, os.SEEK_END)
        footer = file.read()
    assert footer[:8] == b"conectix"
    assert int.from_bytes(footer[60:64], "big") == 2, "disk type: fixed"
    # Holes stay holes: the file takes much less than it spans.
    assert quickstart.vhd.stat().st_blocks * 512 < size / 2


def test_registry_targets_are_links_of_one_file(quickstart: Quickstart) -> None:
    image = Path(str(quickstart.artifact("quickstart-image")["path"]))
    replica = Path(str(quickstart.artifact("quickstart-gallery")["path"]))
    if replica.is_dir():
        (replica,) = replica.rglob("*.vhd")
    assert image.stat().st_ino == replica.stat().st_ino
    assert image.stat().st_nlink >= 2, "a source cache may hold one more"


def test_the_build_user_is_gone_seen_from_outside(quickstart: Quickstart) -> None:
    """Looked at with debugfs by hand, not through our own proof."""
    table = json.loads(
        subprocess.run(["sfdisk", "--json", quickstart.vhd], capture_output=True, check=True).stdout
    )["partitiontable"]
    root = max(table["partitions"], key=lambda p: p["size"])
    place = f"{quickstart.vhd}?offset={root['start'] * table.get('sectorsize', 512)}"

    def debugfs(command: str) -> str:
        return subprocess.run(
            ["debugfs", "-R", command, place], capture_output=True, text=True, check=True
        ).stdout

    passwd = debugfs("cat /etc/passwd")
    assert passwd.startswith("root:")
    assert "packer" not in passwd
    assert "packer" not in debugfs("cat /etc/sudoers.d/90-cloud-init-users")
    assert "packer" not in debugfs("ls -p /home")
    assert "ssh_host_" not in debugfs("ls -p /etc/ssh")
    assert debugfs("cat /etc/machine-id").strip() == ""
    assert "made by Goldsmith" in debugfs("cat /etc/motd")
    assert "authorized_keys" not in debugfs("ls -p /root/.ssh")
    assert "script_" not in debugfs("ls -p /tmp")


def test_reading_verbs_know_the_result(quickstart: Quickstart, cli: Cli) -> None:
    runs = cli("runs", "list", "--json").json()
    assert isinstance(runs, list)
    assert "Succeeded" in json.dumps(runs)
    images = json.dumps(cli("images", "list", "--json").json())
    assert "/images/quickstart" in images
    galleries = cli("gallery", "list", "--json")
    assert galleries.code == 0
    assert "quickstart" in galleries.out
    run_id = next(str(e["runId"]) for e in quickstart.events if e["kind"] == "run.started")
    logs = cli("runs", "logs", run_id)
    assert "made by Goldsmith" in logs.out


def test_steps_ran_in_order_and_the_restart_is_proven(quickstart: Quickstart) -> None:
    done = [e for e in quickstart.events if e["kind"] == "step.finished" and e["stage"] == "Customize"]
    assert [e["name"] for e in done] == [
        "Greet", "InstallPackage", "UploadPage", "PlacePage", "Restart", "StillThere",
    ]  # fmt: skip
    assert {e["outcome"] for e in done} == {"succeeded"}
