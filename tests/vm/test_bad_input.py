"""Bad input: one clear error each, before anything boots, with the exit codes of the reference."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from harness import Cli, assert_nothing_left

GALLERY = (
    "/subscriptions/00000000-0000-0000-0000-000000000000/resourceGroups/goldsmith"
    "/providers/Microsoft.Compute/galleries/shop"
)
BASE: dict[str, Any] = {
    "type": "Microsoft.VirtualMachineImages/imageTemplates",
    "apiVersion": "2025-10-01",
    "name": "bad",
    "location": "local",
    "identity": {"type": "None"},
    "properties": {
        "source": {
            "type": "PlatformImage",
            "publisher": "Debian",
            "offer": "debian-12",
            "sku": "12",
            "version": "latest",
        },
        "customize": [{"type": "Shell", "name": "first", "inline": ["true"]}],
        "distribute": [{"type": "VHD", "runOutputName": "out"}],
    },
}


def shared(definition: str, **more: object) -> dict[str, object]:
    return {
        "type": "SharedImage",
        "runOutputName": "shared",
        "galleryImageId": f"{GALLERY}/images/{definition}",
        **more,
    }


def edit(**properties: Any) -> Callable[[dict[str, Any]], None]:
    return lambda p: p.update(properties)


def add(section: str, item: dict[str, object]) -> Callable[[dict[str, Any]], None]:
    return lambda p: p[section].append(item)


CASES: dict[str, tuple[Callable[[dict[str, Any]], None], int, list[str]]] = {
    "misspelt field": (
        add("customize", {"type": "Shell", "inlin": ["x"]}),
        2,
        ["'inlin' is not known", "did you mean 'inline'?"],
    ),
    "misspelt type": (
        lambda p: p["distribute"][0].update(type="VDH"),
        2,
        ["'VDH' is no known type", "did you mean 'VHD'?"],
    ),
    "missing script": (
        add("customize", {"type": "Shell", "scriptUri": "nope.sh"}),
        2,
        ["nope.sh", "does not exist", "Relative paths start at the template's folder"],
    ),
    "wrong checksum": (
        add("customize", {"type": "Shell", "scriptUri": "good.sh", "sha256Checksum": "0" * 64}),
        2,
        ["checksum of good.sh is wrong", "expected 0000"],
    ),
    "unknown marketplace image": (
        lambda p: p["source"].update(offer="debian-12x"),
        2,
        ["no marketplace image Debian:debian-12x:12", "Did you mean Debian:debian-12:12"],
    ),
    "missing definition": (add("distribute", shared("nothing")), 2, ["nothing", "build gallery"]),
    "wrong osType": (add("distribute", shared("windows")), 2, ["has a different OS type", "Windows"]),
    "wrong generation": (add("distribute", shared("gen2")), 2, ["has a different Hypervisor generation"]),
    "unknown size": (edit(vmProfile={"vmSize": "Standard_Dx9"}), 2, ["Standard_Dx9"]),
    "a disk cannot shrink": (edit(vmProfile={"osDiskSizeGB": 1}), 2, ["osDiskSizeGB is 1", "can only grow"]),
    "unwritable output": (
        lambda p: p["distribute"][0].update(uri="/proc/nowhere/x.vhd"),
        2,
        ["/proc/nowhere"],
    ),
    "unset secret": (
        lambda p: p["customize"][0].update({"x-goldsmith": {"secrets": {"T": {"env": "NOT_SET_AT_ALL"}}}}),
        2,
        ["NOT_SET_AT_ALL is not set"],
    ),
    "inline and scriptUri": (
        lambda p: p["customize"][0].update(scriptUri="good.sh"),
        2,
        ["inline", "scriptUri"],
    ),
}


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Cli:
    """A home of its own with a gallery whose definitions do not fit a Debian Gen1 image."""
    cli = Cli(tmp_path_factory.mktemp("bad-home"), tmp_path_factory.mktemp("bad-work"))
    (cli.cwd / "good.sh").write_text("#!/bin/sh\ntrue\n")
    made = cli("gallery", "create", "shop", timeout=60)
    assert made.code == 0, made.text
    for name, os_type, generation in (("windows", "Windows", "V1"), ("gen2", "Linux", "V2")):
        made = cli(
            *("gallery", "definition", "create", f"shop/{name}"),
            *("--publisher", "P", "--offer", "O", "--sku", name),
            *("--os-type", os_type, "--generation", generation),
            timeout=60,
        )
        assert made.code == 0, made.text
    return cli


@pytest.mark.parametrize("name", CASES)
def test_one_clear_error_before_anything_boots(shop: Cli, name: str) -> None:
    change, code, words = CASES[name]
    template = copy.deepcopy(BASE)
    change(template["properties"])
    file = shop.cwd / "template.json"
    file.write_text(json.dumps(template, indent=2))
    result = shop(file, timeout=120)
    assert result.code == code, result.text
    for word in words:
        assert word in result.text, result.text
    assert "template.json:" in result.text
    assert "Traceback" not in result.text
    assert "Booting" not in result.text
    assert_nothing_left(shop.home)


def test_broken_json_is_located(shop: Cli) -> None:
    file = shop.cwd / "broken.json"
    file.write_text('{\n  "type": "x"\n  "name": "y"\n}\n')
    result = shop(file, timeout=60)
    assert result.code == 2
    assert "broken.json:3:3: error BadJson" in result.text
    assert '"name": "y"' in result.text


def test_several_problems_are_said_at_once(shop: Cli) -> None:
    template = copy.deepcopy(BASE)
    template["properties"]["customize"].append({"type": "Shell", "scriptUri": "nope.sh"})
    template["properties"]["distribute"].append(shared("nothing"))
    template["properties"]["vmProfile"] = {"vmSize": "Standard_Dx9"}
    file = shop.cwd / "several.json"
    file.write_text(json.dumps(template, indent=2))
    result = shop(file, timeout=60)
    assert result.code == 2
    assert "3 problems" in result.text, result.text


def test_a_missing_qemu_names_the_package(shop: Cli, tmp_path: Path) -> None:
    file = shop.cwd / "plain.json"
    file.write_text(json.dumps(BASE))
    result = shop(file, timeout=60, env={"PATH": str(tmp_path)})
    assert result.code == 3, result.text
    assert "apt-get install qemu-system-x86" in result.text


def test_a_missing_template_and_a_misspelt_verb(shop: Cli) -> None:
    assert shop("./nothing.json", timeout=60).code == 2
    result = shop("rusn", timeout=60)
    assert result.code == 2
    assert "Did you mean" in result.text


def test_an_existing_version_is_refused(quickstart: object, cli: Cli, tmp_path: Path) -> None:
    template = copy.deepcopy(BASE)
    template["properties"]["distribute"] = [
        {
            "type": "SharedImage",
            "runOutputName": "again",
            "galleryImageId": GALLERY.replace("shop", "quickstart") + "/images/debian-12/versions/0.0.1",
        }
    ]
    file = tmp_path / "again.json"
    file.write_text(json.dumps(template, indent=2))
    result = cli(file, timeout=120)
    assert result.code == 2, result.text
    assert "0.0.1" in result.text
    assert "Booting" not in result.text
