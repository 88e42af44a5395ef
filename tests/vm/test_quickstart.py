"""The main job: a real Debian, a real VM, three targets, nothing left behind."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from harness import EXAMPLES, Cli, Quickstart, assert_nothing_left

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


@pytest.fixture
def elsewhere() -> Iterator[Path]:
    """Another file system."""
    folder = Path(tempfile.mkdtemp(prefix="goldsmith-test-", dir="/dev/shm"))
    yield folder
    shutil.rmtree(folder)


def test_three_regions_of_two_replicas(
    quickstart: Quickstart, cli: Cli, tmp_path: Path, elsewhere: Path
) -> None:
    """The finished image is taken again, so that only distribution runs: links here, a copy there, a region
    that is out of reach; then one that is not waited for.
    """
    folder = tmp_path / "quickstart"
    shutil.copytree(EXAMPLES / "quickstart", folder)
    template = json.loads((folder / "template.json").read_text())
    resource = template["resources"][-1]
    target = next(one for one in resource["properties"]["distribute"] if one["type"] == "SharedImage")
    location = target["targetRegions"][0]["name"]
    names = (location, "eastus", "northeurope")
    target["targetRegions"] = [{"name": name, "replicaCount": 2} for name in names]
    resource["properties"]["distribute"] = [target]
    (folder / "template.json").write_text(json.dumps(template))

    done = cli(folder / "template.json", "--plain")
    assert done.code == 0, done.text
    version = json.loads(cli("gallery", "version", "show", "quickstart/debian-12/latest", "--json").out)
    files = [Path(copy["location"]) for one in version["replicas"] for copy in one["copies"]]
    assert len(files) == 6
    assert len({file.stat().st_ino for file in files}) == 1, "links: no bytes"
    assert [one["state"] for one in version["replicas"]] == ["Completed"] * 3

    east, north = elsewhere / "east", elsewhere / "north"
    env = {"GOLDSMITH_REGIONS": json.dumps({"eastus": str(east), "northeurope": str(north)})}
    east.mkdir()
    done = cli(folder / "template.json", "--plain", env=env)
    assert done.code == 5, done.text
    assert "but not complete in northeurope" in done.text
    assert "build gallery replicate" in done.text
    run = json.loads(cli("runs", "show", "latest", "--json").out)
    assert run["runState"] == "PartiallySucceeded"
    assert [one["name"] for one in run["runOutputs"]] == ["quickstart-gallery"]
    copies = sorted(east.rglob("*.vhd"))
    assert len({copy.stat().st_ino for copy in copies}) == 1
    assert copies[0].stat().st_blocks * 512 < copies[0].stat().st_size / 2
    north.mkdir()
    assert cli("gallery", "replicate", "--all", env=env).code == 0
    assert cli("gallery", "verify", "quickstart/debian-12", env=env).code == 0

    done = cli(folder / "template.json", "--plain", "--no-wait", env=env)
    assert done.code == 0, done.text
    assert "made in the background" in done.text
    end = time.monotonic() + 300
    while cli("gallery", "status", "--json", env=env).json():
        assert time.monotonic() < end
        time.sleep(1)
