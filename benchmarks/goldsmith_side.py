"""Goldsmith's half: the installed command, as a user runs it, in a home of its own."""

from __future__ import annotations

import json
import os
import subprocess
import time
from pathlib import Path

from workloads import Machine, Result, Workload

ROOT = Path(__file__).resolve().parents[1]
COMMAND = ROOT / ".venv" / "bin" / "build"
LIMIT_SECONDS = 1800
PUBLISHER, OFFER, SKU, VERSION = "Benchmark", "base", "1", "1.0.0"

# Azure's table has no size for every pair of CPUs and memory; these two are enough here.
VM_SIZES = {(2, 4096): "Standard_B2s", (1, 2048): "Standard_B1ms"}


def make_home(home: Path, base: Path) -> None:
    """A home whose catalogue knows the base image that packer gets, too."""
    home.mkdir(parents=True, exist_ok=True)
    (home / "catalogue.json").write_text(json.dumps(catalogue(base), indent=2))


def catalogue(base: Path) -> dict[str, object]:
    """The user's catalogue file: one image of kind `file` (docs/reference.md, The catalogue).

    Without a sha256, as packer's template has none: hashing 4 GiB would only be timed on one side.
    """
    return {
        "format": 1,
        "images": [
            {
                "publisher": PUBLISHER,
                "offer": OFFER,
                "sku": SKU,
                "osType": "Linux",
                "generation": "V1",
                "versions": {VERSION: {"kind": "file", "path": str(base), "format": "raw"}},
            }
        ],
    }


def template(workload: Workload, machine: Machine) -> dict[str, object]:
    """The image template that does what packer_side.template does."""
    return {
        "type": "Microsoft.VirtualMachineImages/imageTemplates",
        "apiVersion": "2024-02-01",
        "name": f"bench-{workload.name}",
        "location": "local",
        "identity": {"type": "None"},
        "properties": {
            "buildTimeoutInMinutes": 30,
            "vmProfile": {"vmSize": VM_SIZES[machine.cpus, machine.memory_mib]},
            "source": {
                "type": "PlatformImage",
                "publisher": PUBLISHER,
                "offer": OFFER,
                "sku": SKU,
                "version": VERSION,
            },
            "customize": [
                {"type": "Shell", "name": f"step-{number}", "inline": list(step)}
                for number, step in enumerate(workload.steps, start=1)
            ],
            "distribute": [{"type": "VHD", "runOutputName": "bench"}],
        },
    }


def build(workload: Workload, machine: Machine, home: Path, room: Path) -> Result:
    """One build in the empty directory `room`. Raises RuntimeError with its last lines."""
    room.mkdir(parents=True)
    source = room / "template.json"
    source.write_text(json.dumps(template(workload, machine), indent=2))
    events, out, log = room / "events.jsonl", room / "out", room / "build.log"
    start = time.monotonic()
    with log.open("wb") as sink:
        code = subprocess.run(
            [str(COMMAND), "run", str(source), "--output-dir", str(out), "--events", str(events), "--plain"],
            env={**os.environ, "GOLDSMITH_HOME": str(home), "GOLDSMITH_ACCELERATOR": machine.accelerator},
            stdout=sink, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL,
            timeout=LIMIT_SECONDS, check=False,
        ).returncode  # fmt: skip
    seconds = time.monotonic() - start
    if code != 0:
        tail = "\n".join(log.read_text(errors="replace").splitlines()[-25:])
        raise RuntimeError(f"build ended with {code}; {log}\n{tail}")
    (vhd,) = out.rglob("*.vhd")
    return Result("goldsmith", workload.name, seconds, phases(events, seconds), vhd.stat().st_size)


def phases(events: Path, total: float) -> dict[str, float]:
    """Seconds of each stage, from its `stage.finished` event; what no stage owns is start-up and the rest."""
    found: dict[str, float] = {}
    for line in events.read_text().splitlines():
        event = json.loads(line)
        if event["kind"] == "stage.finished":
            found[event["stage"]] = found.get(event["stage"], 0.0) + event["seconds"]
    return {**found, "start-up and rest": max(0.0, total - sum(found.values()))}
