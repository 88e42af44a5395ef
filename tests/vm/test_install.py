"""Builds from an ISO: the system is installed from its own medium, and everything else is done with it.

The medium is a stand-in (media.py) that reads our kickstart as Anaconda does. `pytest tests/vm --rhel-iso
PATH` does the same with a real one.
"""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
from harness import Cli, CliResult, assert_nothing_left
from media import ON_MEDIUM, Medium
from test_failing_build import template, write

pytestmark = [pytest.mark.timeout(7200), pytest.mark.long]

STEPS: list[dict[str, object]] = [
    {
        "type": "Shell",
        "name": "Look",
        "inline": [
            "echo root:$(findmnt -no FSTYPE /) boot:$(findmnt -no FSTYPE /boot)",
            "echo firmware:$(test -d /sys/firmware/efi && echo uefi || echo bios)",
            "echo swap:$(swapon --noheadings | wc -l)",
            "echo command-line:$(cat /proc/cmdline)",
            "echo user:$(id -un) sudo:$(sudo -n id -un)",
            "echo kickstart:$(sudo ls /root/anaconda-ks.cfg /root/.goldsmith 2>/dev/null | wc -l)",
            "sudo cat /var/log/stand-in.log 2>/dev/null || true",
        ],
    },
    {"type": "Shell", "name": "Mark", "inline": ["echo made from an ISO | sudo tee /etc/motd"]},
]


def from_iso(name: str, medium: Medium, **wishes: Any) -> dict[str, object]:
    source = {
        "type": "ISO",
        "sourceUri": str(medium.path),
        "sha256Checksum": medium.sha256,
        "x-goldsmith": {"diskSizeGB": 8, "memoryMiB": 2048, "timeout": "90m", **wishes},
    }
    return template(name, STEPS, source=source, buildTimeoutInMinutes=180)


def events(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def build(cli: Cli, folder: Path, value: dict[str, object]) -> tuple[CliResult, list[dict[str, Any]], Path]:
    out = folder / "out"
    out.mkdir(exist_ok=True)
    result = cli(
        write(folder / "template.json", value),
        *("--output-dir", out, "--events", folder / "events.jsonl"),
        timeout=7000,
    )
    return result, events(folder / "events.jsonl"), out / f"{value['name']}-vhd.vhd"


def output(found: list[dict[str, Any]]) -> str:
    return "\n".join(e["line"] for e in found if e["kind"] == "step.output" and e["stage"] == "Customize")


@pytest.mark.parametrize(("generation", "firmware"), [("V2", "uefi"), ("V1", "bios")])
def test_a_whole_build_from_an_iso(
    dvd: Medium, stand_in_dvd: Medium, generation: str, firmware: str, cli: Cli, home: Path, tmp_path: Path
) -> None:
    value = from_iso(f"iso-{firmware}", dvd, generation=generation, packages=["vim-enhanced"])
    result, found, vhd = build(cli, tmp_path, value)
    assert result.code == 0, result.text
    said = output(found)
    assert "root:xfs boot:xfs" in said
    assert f"firmware:{firmware}" in said
    assert "swap:0" in said
    assert "user:packer sudo:root" in said
    assert "kickstart:0" in said
    assert "console=ttyS0,115200n8" in said
    assert "net.ifnames=0" in said
    assert not re.search(r"command-line:.*\b(rhgb|quiet)\b", said)
    phases = {e["name"]: e for e in found if e["kind"] == "phase.finished"}
    assert phases["Install"]["stage"] == "Source"
    waits = [e["what"] for e in found if e["kind"] == "wait.started"]
    assert [what for what in waits if what.endswith(": installing packages")]
    if dvd == stand_in_dvd:
        check_stand_in(found, said)
    check_disk(vhd, generation)
    assert_nothing_left(home)
    assert_only_the_base(home)

    again = cli("plan", tmp_path / "template.json", "--json").json()
    assert isinstance(again, dict)
    assert "CACHED" in json.dumps(again), "an installation is paid once"


def check_stand_in(found: list[dict[str, Any]], said: str) -> None:
    """What our kickstart asked of Red Hat's commands, and what it made of a package that is not there."""
    assert "rpm -q cloud-init" in said
    assert "dnf -y install hyperv-daemons" in said
    assert [name for name in ON_MEDIUM if f"dnf -y install {name}" in said] == []
    assert "dracut --force --regenerate-all" in said
    assert "grub2-mkconfig -o /boot/grub2/grub.cfg" in said
    assert "grubby --update-kernel=ALL --remove-args=rhgb quiet crashkernel" in said
    warnings = [e["message"] for e in found if e["kind"] == "note" and e["code"] == "Installed"]
    assert len(warnings) == 1
    assert warnings[0].endswith("not to be had from the medium or a repository: hyperv-daemons.")


def check_disk(vhd: Path, generation: str) -> None:
    """GPT as Azure wants it, the root last; looked at from outside."""
    done = subprocess.run(["sfdisk", "--json", vhd], capture_output=True, check=True)
    table = json.loads(done.stdout)["partitiontable"]
    first, _boot, root = table["partitions"]
    assert table["label"] == "gpt"
    assert (
        first["type"]
        == {
            "V1": "21686148-6449-6E6F-744E-656564454649",
            "V2": "C12A7328-F81F-11D2-BA4B-00A0C93EC93B",
        }[generation]
    )
    assert root["size"] > 5 * 2**21


def assert_only_the_base(home: Path) -> None:
    """Of an installation only the disk and the way in stay; its console is with the run."""
    bases = [path for path in (home / "cache/bases").iterdir() if (path / "entry.json").exists()]
    for base in bases:
        assert {path.name for path in base.iterdir()} == {"disk.raw", "entry.json", "meta.json"}
    logs = list((home / "runs").glob("*/installation.log"))
    assert any("GOLDSMITH: configured" in log.read_text(errors="replace") for log in logs)
