"""A Gen2 build with a larger disk, a deprovision script of its own, a waived rule of the VHD gate, and a
validation that fails.
"""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest
from harness import EXAMPLES, Cli, Quickstart, assert_nothing_left
from test_bad_input import BASE, GALLERY

pytestmark = pytest.mark.timeout(3000)

SCOPE = GALLERY.partition("/providers/")[0]


@pytest.mark.usefixtures("quickstart")
def test_gen2_grows_keeps_its_own_deprovision_script_and_distributes_in_spite_of_validation(
    cli: Cli, home: Path, tmp_path: Path
) -> None:
    made = cli(
        *("gallery", "definition", "create", "quickstart/gen2", "--publisher", "P", "--offer", "O"),
        *("--sku", "gen2", "--os-type", "Linux", "--generation", "V2"),
        timeout=60,
    )
    assert made.code == 0, made.text
    result = cli(write(tmp_path, gen2_template()), "--events", tmp_path / "events.jsonl")
    assert result.code == 1, result.text
    assert "Validator 2 of 2 'Fails' failed" in result.text
    events = [json.loads(line) for line in (tmp_path / "events.jsonl").open()]
    output = "\n".join(e["line"] for e in events if e["kind"] == "step.output")
    assert "the disk grew" in output
    assert "my own deprovisioning" in output
    assert "validated under UEFI by packer" in output
    made_types = [e["type"] for e in events if e["kind"] == "artifact"]
    assert made_types == ["SharedImage", "ManagedImage"], "continueDistributeOnFailure"
    assert events[-1]["state"] == "Failed"
    image = json.loads(cli("images", "show", "gen2", "--json").out)
    assert "V2" in json.dumps(image)
    assert "no-os-swap: waived: /etc/fstab switches swap on the OS disk on." in notes(events)
    verified = cli("images", "verify", "gen2", "--waive", "no-os-swap", "--strict")
    assert "Looked at as Linux, generation V2." in verified.out
    assert verified.code == 0, verified.text
    assert_nothing_left(home)
    the_gate_refuses_it_without_the_waiver(cli, home, tmp_path)


def the_gate_refuses_it_without_the_waiver(cli: Cli, home: Path, tmp_path: Path) -> None:
    """The finished image is in the cache: nothing boots, and nothing is distributed."""
    template = gen2_template()
    del template["properties"]["x-goldsmith"]["waive"]
    result = cli(write(tmp_path, template), "--events", tmp_path / "again.jsonl")
    assert result.code == 1, result.text
    assert "may not leave this machine: no-os-swap" in result.text
    assert "/swapfile none swap sw,nofail 0 0" in result.text
    assert '"waive": ["no-os-swap"]' in result.text
    events = [json.loads(line) for line in (tmp_path / "again.jsonl").open()]
    stages = [e["stage"] for e in events if e["kind"] == "stage.started"]
    assert "Gate" in stages
    assert not {"Boot", "Validate", "Distribute"} & set(stages)
    assert_nothing_left(home)


def notes(events: list[dict[str, Any]]) -> list[str]:
    return [e["message"] for e in events if e["kind"] == "note"]


def gen2_template() -> dict[str, Any]:
    template = copy.deepcopy(BASE)
    template["name"] = "gen2"
    properties = template["properties"]
    properties["source"]["sku"] = "12-gen2"
    properties["x-goldsmith"] = {"gate": "always", "waive": ["no-os-swap"]}
    properties["vmProfile"] = {"vmSize": "Standard_B2s", "osDiskSizeGB": 6}
    properties["customize"] = [
        {
            "type": "Shell",
            "name": "Grown",
            "inline": [
                "test -d /sys/firmware/efi",
                'test "$(df --output=size -k / | tail -1)" -gt 5500000 && echo the disk grew',
                "echo '/swapfile none swap sw,nofail 0 0' | sudo tee -a /etc/fstab",
            ],
        },
        {
            "type": "Shell",
            "name": "OwnScript",
            "inline": [
                "cat > /tmp/DeprovisioningScript.sh <<'EOF'",
                "echo my own deprovisioning",
                "/usr/sbin/waagent -force -deprovision+user",
                "EOF",
            ],
        },
    ]
    properties["validate"] = {
        "continueDistributeOnFailure": True,
        "inVMValidations": [
            {
                "type": "Shell",
                "name": "Firmware",
                "inline": ["test -d /sys/firmware/efi", "echo validated under UEFI by $(id -un)"],
            },
            {"type": "Shell", "name": "Fails", "inline": ["exit 9"]},
        ],
    }
    properties["distribute"] = [
        {
            "type": "SharedImage",
            "runOutputName": "gen2-shared",
            "galleryImageId": GALLERY.replace("shop", "quickstart") + "/images/gen2",
        },
        {
            "type": "ManagedImage",
            "runOutputName": "gen2-image",
            "imageId": f"{SCOPE}/providers/Microsoft.Compute/images/gen2",
            "location": "local",
        },
    ]
    return template


def test_source_validation_only_builds_and_distributes_nothing(
    quickstart: Quickstart, cli: Cli, home: Path, tmp_path: Path
) -> None:
    template = json.loads((EXAMPLES / "validate" / "template.json").read_text())
    (resource,) = template["resources"]
    resource["name"] = "source-only"
    checks = resource["properties"]["validate"]
    checks["sourceValidationOnly"] = True
    checks["inVMValidations"] = [
        {"type": "Shell", "name": "Motd", "inline": ["grep made.by.Goldsmith /etc/motd"]}
    ]
    out = tmp_path / "out"
    out.mkdir()
    result = cli(write(tmp_path, template), "--output-dir", out, "--events", tmp_path / "events.jsonl")
    assert result.code == 0, result.text
    events = [json.loads(line) for line in (tmp_path / "events.jsonl").open()]
    stages = [e["stage"] for e in events if e["kind"] == "stage.started"]
    assert "Validate" in stages
    assert not {"Customize", "Generalize", "Distribute"} & set(stages)
    assert list(out.iterdir()) == []
    assert_nothing_left(home)


def write(folder: Path, template: dict[str, Any]) -> Path:
    path = folder / "template.json"
    path.write_text(json.dumps(template, indent=2))
    return path
