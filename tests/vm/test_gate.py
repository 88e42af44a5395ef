"""The VHD gate on the real result of the quickstart, and on copies with one thing broken by other tools."""

from __future__ import annotations

import json
import os
import random
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from harness import EXAMPLES, Cli, Quickstart, assert_nothing_left

pytestmark = pytest.mark.timeout(3000)

MIB = 1024**2
ESP, ROOT = 2 * MIB, 66 * MIB
MTOOLS = {**os.environ, "MTOOLS_SKIP_CHECK": "1", "MTOOLSRC": os.devnull}


def do(*argv: str | Path, **more: Any) -> bytes:
    return subprocess.run([*map(str, argv)], check=True, capture_output=True, timeout=600, **more).stdout


@pytest.fixture
def vhd(quickstart: Quickstart, tmp_path: Path) -> Iterator[Path]:
    """A copy of the result, to be broken; it takes 0.7 GiB, so it goes at once."""
    copy = tmp_path / "os.vhd"
    do("cp", "--sparse=always", "--reflink=auto", quickstart.vhd, copy)
    yield copy
    for file in tmp_path.iterdir():
        file.unlink()


def verify(cli: Cli, file: Path, *words: str) -> tuple[int, dict[str, dict[str, Any]]]:
    result = cli("images", "verify", file, "--json", *words, timeout=300)
    assert result.out, result.text
    assert "Traceback" not in result.text
    found: Any = result.json()
    return result.code, {one["rule"]: one for one in found["gate"]["results"]}


def not_ok(results: dict[str, dict[str, Any]]) -> dict[str, str]:
    return {name: one["outcome"] for name, one in results.items() if one["outcome"] != "ok"}


def debugfs(vhd: Path, *commands: str) -> None:
    script = vhd.with_name("commands")
    script.write_text("".join(f"{line}\n" for line in commands))
    do("debugfs", "-w", "-f", script, f"{vhd}?offset={ROOT}")


def cat(vhd: Path, path: str) -> bytes:
    return do("debugfs", "-R", f"cat {path}", f"{vhd}?offset={ROOT}")


def replace(vhd: Path, path: str, content: bytes) -> None:
    """As `rm` and a new file of that name."""
    new = vhd.with_name("new")
    new.write_bytes(content)
    debugfs(vhd, f"rm {path}", f"write {new} {path}")


@pytest.mark.parametrize("words", [[], ["--generation", "V1"], ["--generation", "V2"]])
def test_the_quickstart_passes_every_rule(quickstart: Quickstart, cli: Cli, words: list[str]) -> None:
    code, results = verify(cli, quickstart.vhd, "--strict", *words)
    assert not_ok(results) == {}
    assert code == 0
    assert len(results) == 18


def test_what_is_registered_passes_too(quickstart: Quickstart, cli: Cli) -> None:
    for name in ("quickstart", "quickstart/debian-12/0.0.1"):
        result = cli("images", "verify", name, timeout=300)
        assert result.code == 0, result.text
        assert "(as recorded)" in result.out
        assert "18 rules: 18 ok. Looked at as Linux, generation V1." in result.out


def swap(vhd: Path) -> None:
    replace(vhd, "/etc/fstab", cat(vhd, "/etc/fstab") + b"/swapfile none swap sw 0 0\n")


def console(vhd: Path) -> None:
    grub = cat(vhd, "/boot/grub/grub.cfg")
    assert b"console=ttyS0" in grub
    replace(vhd, "/boot/grub/grub.cfg", grub.replace(b"console=ttyS0,115200", b"console=ttyS1"))


def drivers(vhd: Path) -> None:
    path = initrd_of(vhd)
    packed = cat(vhd, path)
    plain = (
        do("zstd", "-dc", input=packed)
        if packed[:4] == b"\x28\xb5\x2f\xfd"
        else do("gzip", "-dc", input=packed)
    )
    without = without_entries(plain, b"/hv_")
    assert len(without) < len(plain)
    replace(vhd, path, do("gzip", "-1", input=without))


def damaged(vhd: Path) -> None:
    path = initrd_of(vhd)
    content = bytearray(cat(vhd, path))
    content[len(content) // 2 :] = bytes(len(content) - len(content) // 2)
    replace(vhd, path, bytes(content))


def agents(vhd: Path) -> None:
    debugfs(vhd, "rm /usr/bin/cloud-init", "rm /usr/sbin/waagent")


def user(vhd: Path) -> None:
    replace(vhd, "/etc/passwd", cat(vhd, "/etc/passwd") + b"packer:x:1000:1000::/home/packer:/bin/sh\n")


def modules(vhd: Path) -> None:
    replace(vhd, "/etc/modprobe.d/CIS.conf", b"install vfat /bin/true\n")


def odd_size(vhd: Path) -> None:
    """A sector more than whole MiB, made into a VHD by qemu-img."""
    raw, odd = vhd.with_name("raw"), vhd.with_name("odd.vhd")
    do("qemu-img", "convert", "-f", "vpc", "-O", "raw", vhd, raw)
    with raw.open("r+b") as file:
        file.truncate(raw.stat().st_size + 512)
    do("qemu-img", "convert", "-f", "raw", "-O", "vpc", "-o", "subformat=fixed,force_size=on", raw, odd)
    odd.replace(vhd)


def cut(vhd: Path) -> None:
    os.truncate(vhd, vhd.stat().st_size - 256)


def appended(vhd: Path) -> None:
    """Data that pushes a second, sound footer behind the disk."""
    footer = do("tail", "-c", "512", vhd)
    with vhd.open("ab") as file:
        file.write(footer)


def no_table(vhd: Path) -> None:
    do("dd", "if=/dev/zero", f"of={vhd}", "bs=512", "count=34", "conv=notrunc")


def huge_file(vhd: Path) -> None:
    """A file that claims a TiB: nobody reads it, and nothing is filled with it."""
    debugfs(vhd, "set_inode_field /etc/fstab size 1099511627776")


BROKEN: list[tuple[Callable[[Path], None], dict[str, str]]] = [
    (swap, {"no-os-swap": "failed"}),
    (console, {"serial-console": "failed", "boot-parameters": "ok"}),
    (drivers, {"hyperv-drivers": "failed"}),
    (damaged, {"hyperv-drivers": "failed"}),
    (agents, {"provisioning-agent": "failed"}),
    (user, {"generalized": "failed"}),
    (modules, {"udf-vfat": "failed"}),
    (odd_size, {"whole-mib": "failed"}),
    (cut, {"vhd-footer": "failed", "whole-mib": "unknown", "hyperv-drivers": "ok"}),
    (appended, {"file-size": "failed", "hyperv-drivers": "ok"}),
    (no_table, {"partition-table": "failed", "hyperv-drivers": "unknown"}),
    (huge_file, {"no-os-swap": "unknown", "vhd-footer": "ok"}),
]


@pytest.mark.parametrize(("harm", "expected"), BROKEN, ids=[harm.__name__ for harm, _ in BROKEN])
def test_one_thing_broken_is_named(
    harm: Callable[[Path], None], expected: dict[str, str], vhd: Path, cli: Cli
) -> None:
    harm(vhd)
    code, results = verify(cli, vhd)
    assert {name: results[name]["outcome"] for name in expected} == expected, not_ok(results)
    failed = {name for name, how in expected.items() if how == "failed"}
    assert {name for name, how in not_ok(results).items() if how == "failed"} == failed
    assert code == (1 if failed else 0)
    assert verify(cli, vhd, "--strict")[0] == 1
    waived = [word for name in failed for word in ("--waive", name)]
    assert verify(cli, vhd, *waived)[0] == 0


def test_without_its_efi_program_it_starts_under_generation_1_only(vhd: Path, cli: Cli) -> None:
    do("mdel", "-i", f"{vhd}@@{ESP}", "::/EFI/BOOT/BOOTX64.EFI", env=MTOOLS)
    assert not_ok(verify(cli, vhd, "--generation", "V2")[1]) == {"boot-loader": "failed"}
    assert not_ok(verify(cli, vhd, "--generation", "V1")[1]) == {}


@pytest.mark.parametrize("kind", ["vpc", "vhdx", "qcow2", "vmdk", "raw"])
def test_another_format_is_told_how_it_becomes_a_vhd(kind: str, vhd: Path, cli: Cli) -> None:
    """And the command that is told makes one that passes."""
    disk = vhd.with_name(f"disk.{kind}")
    # Else qemu-img rounds a dynamic VHD to a geometry, which is no whole number of MiB.
    exact = ["-o", "force_size=on"] if kind == "vpc" else []
    do("qemu-img", "convert", "-f", "vpc", "-O", kind, *exact, vhd, disk)
    code, results = verify(cli, disk)
    assert code == 1
    rule = results["fixed-type" if kind == "vpc" else "vhd-footer"]
    assert rule["outcome"] == "failed"
    assert (results["hyperv-drivers"]["outcome"] == "ok") == (kind == "raw")
    command = rule["findings"][0]["fix"].removeprefix("Convert it: ")
    assert command.startswith("qemu-img convert -f ")
    do(*command.split(), cwd=vhd.parent)
    code, results = verify(cli, vhd.with_name("disk.fixed.vhd"), "--strict")
    assert (code, not_ok(results)) == (0, {})


def test_any_damage_ends_in_an_answer(vhd: Path, cli: Cli) -> None:
    """Blocks of the file systems, the tables and the boot sectors overwritten at random."""
    chance = random.Random(6)
    places = [*range(0, 40 * 512, 512), *range(ESP, ESP + MIB, 4096), *range(ROOT, ROOT + 8 * MIB, 4096)]
    for _ in range(8):
        with vhd.open("r+b") as file:
            for _ in range(12):
                file.seek(chance.choice(places) + chance.randrange(400))
                file.write(chance.randbytes(chance.randint(1, 64)))
        verify(cli, vhd)


def test_a_build_asks_the_gate_when_it_is_to(
    quickstart: Quickstart, cli: Cli, home: Path, tmp_path: Path
) -> None:
    """The finished image is in the cache, so nothing boots."""
    template = json.loads((EXAMPLES / "quickstart" / "template.json").read_text())
    (resource,) = (one for one in template["resources"] if one["type"].endswith("/imageTemplates"))
    resource["properties"]["x-goldsmith"] = {"gate": "always"}
    resource["properties"]["distribute"] = [{"type": "VHD", "runOutputName": "gated"}]
    path = tmp_path / "template.json"
    path.write_text(json.dumps(template))
    for file in (EXAMPLES / "quickstart").iterdir():
        if file.name != "template.json" and file.is_file():
            (tmp_path / file.name).write_bytes(file.read_bytes())
    plan: Any = cli("plan", path, "--json").json()
    (step,) = (one for one in plan["steps"] if one["stage"] == "Gate")
    assert (step["action"], step["reason"]) == ("RUN", "asked for in every build")
    result = cli(path, "--output-dir", tmp_path / "out", "--events", tmp_path / "events.jsonl")
    assert result.code == 0, result.text
    events = [json.loads(line) for line in (tmp_path / "events.jsonl").open()]
    (done,) = (e for e in events if e["kind"] == "step.finished" and e["stage"] == "Gate")
    assert (done["outcome"], done["detail"]) == ("succeeded", "18 rules: 18 ok")
    assert_nothing_left(home)


def initrd_of(vhd: Path) -> str:
    listed = do("debugfs", "-R", "ls -p /boot", f"{vhd}?offset={ROOT}").decode()
    (name,) = (line.split("/")[5] for line in listed.splitlines() if "/initrd.img-" in line)
    return f"/boot/{name}"


def without_entries(cpio: bytes, part: bytes) -> bytes:
    """A cpio archive ("newc") without the entries that have `part` in their names."""
    kept, at = bytearray(), 0
    while cpio[at : at + 6] == b"070701":
        size, length = int(cpio[at + 54 : at + 62], 16), int(cpio[at + 94 : at + 102], 16)
        start = at + (110 + length + 3) // 4 * 4
        end = start + (size + 3) // 4 * 4
        if part not in cpio[at + 110 : at + 110 + length]:
            kept += cpio[at:end]
        at = end
    return bytes(kept)
