"""Packer's half: a template as a careful user would write it, then the conversion to a fixed VHD.

What costs packer time by default and not here: `boot_wait` (10 s), the compaction of a disk that is
converted right after, `cache=writeback`, a resize to 40 GiB, and the copy of the base with all its
holes, which packer makes when the base's extension already is the format's.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import time
from datetime import datetime
from pathlib import Path

import watch
from results import Phase
from seed import Seed
from workloads import Machine, Workload

LIMIT_SECONDS = 1800
DISK = "packer-disk"
DEPROVISION = Path(__file__).with_name("packer_deprovision.sh")


def available() -> str | None:
    """Packer's version, or None when it is not installed."""
    path = shutil.which("packer")
    if path is None:
        return None
    done = subprocess.run([path, "version"], capture_output=True, text=True, check=True, timeout=60)
    return done.stdout.splitlines()[0].strip()


def build(
    workload: Workload, base: Path, seed: Seed, machine: Machine, room: Path
) -> tuple[float, tuple[Phase, ...], Path]:
    """One build in the new directory `room`: seconds, phases, VHD. Raises RuntimeError with the log's end."""
    room.mkdir(parents=True)
    # Any extension but .raw: then packer copies with qemu-img, which skips holes, not byte for byte.
    named = room / "base.img"
    named.symlink_to(base)
    shutil.copy(DEPROVISION, room / "deprovision.sh")
    (room / "template.json").write_text(json.dumps(template(workload, named, seed, machine, room), indent=2))
    log, vhd = room / "packer.log", room / "image.vhd"
    argv = ["packer", "build", "-color=false", "-timestamp-ui", "template.json"]
    built = watch.run(argv, log, limit=LIMIT_SECONDS, cwd=room)
    if built.code != 0:
        raise RuntimeError(f"packer ended with {built.code}\n{watch.tail(log)}")
    start = time.monotonic()
    subprocess.run(
        ["qemu-img", "convert", "-f", "raw", "-O", "vpc", "-o", "subformat=fixed,force_size",
         str(room / "output" / DISK), str(vhd)],
        check=True, capture_output=True, timeout=LIMIT_SECONDS,
    )  # fmt: skip
    convert = time.monotonic() - start
    seconds = built.seconds + convert
    phases = {**_phases(log.read_text(errors="replace"), built.seconds), "convert": convert}
    phases["start-up and rest"] = max(0.0, seconds - sum(phases.values()))
    return seconds, tuple(Phase(name, took) for name, took in phases.items()), vhd


def template(workload: Workload, base: Path, seed: Seed, machine: Machine, room: Path) -> dict[str, object]:
    """Packer JSON (1.6)."""
    disk = f"file=output/{DISK},if=virtio,format=raw,cache=unsafe,discard=unmap,detect-zeroes=unmap"
    return {
        "builders": [
            {
                "type": "qemu",
                "accelerator": machine.accelerator,
                "machine_type": machine.machine_type,
                "cpus": machine.cpus,
                "memory": machine.memory_mib,
                "headless": True,
                "disk_image": True,
                "iso_url": str(base),
                "iso_checksum": "none",
                "format": "raw",
                "skip_resize_disk": True,
                "skip_compaction": True,
                "disk_interface": "virtio",
                "net_device": "virtio-net",
                "output_directory": "output",
                "vm_name": DISK,
                # A -drive here replaces packer's own, so the disk is named again beside the seed.
                "qemuargs": [
                    ["-cpu", machine.cpu_model],
                    ["-drive", disk],
                    ["-drive", f"file={seed.iso},if=virtio,format=raw,readonly=on"],
                    ["-serial", f"file:{room / 'serial.log'}"],
                ],
                "boot_wait": "1s",
                "boot_command": [],
                "ssh_username": seed.user,
                "ssh_private_key_file": str(seed.private_key),
                "ssh_timeout": "20m",
                "shutdown_command": "sudo sh /tmp/deprovision.sh",
                "shutdown_timeout": "10m",
            }
        ],
        "provisioners": [
            *({"type": "shell", "inline": list(step)} for step in workload.steps),
            {"type": "file", "source": "deprovision.sh", "destination": "/tmp/deprovision.sh"},
        ],
    }


_STAMP = re.compile(r"^(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ): (?:==> |    )qemu: (.*)$")
_MARKS = (
    ("copy the base", "Retrieving ISO"),
    ("boot to SSH", "Starting VM"),
    ("provision", "Connected to SSH"),
    ("deprovision and shutdown", "Gracefully halting"),
)


def _phases(log: str, total: float) -> dict[str, float]:
    """Seconds between packer's own lines (whole seconds are all it prints)."""
    seen: list[tuple[str, datetime]] = []
    last: datetime | None = None
    for line in log.splitlines():
        match = _STAMP.match(line)
        if match is None:
            continue
        last = datetime.fromisoformat(match[1].replace("Z", "+00:00"))
        name = next((phase for phase, words in _MARKS if words in match[2]), None)
        if name and name not in dict(seen):
            seen.append((name, last))
    if last is None or not seen:
        return {"packer": total}
    ends = [at for _, at in seen[1:]] + [last]
    return {name: (end - at).total_seconds() for (name, at), end in zip(seen, ends, strict=True)}
