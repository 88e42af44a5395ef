"""Goldsmith's half: the installed command, as a user runs it, in a home of its own."""

from __future__ import annotations

import json
import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

import evidence
import watch
from workloads import Machine, Workload

ROOT = Path(__file__).resolve().parents[1]
COMMAND = ROOT / ".venv" / "bin" / "build"
LIMIT_SECONDS = 1800
PUBLISHER, OFFER, SKU, VERSION = "Benchmark", "base", "1", "1.0.0"

# Azure's table has no size for every pair of CPUs and memory; these two are enough here.
VM_SIZES = {(2, 4096): "Standard_B2s", (1, 2048): "Standard_B1ms"}


@dataclass(frozen=True)
class Build:
    """A finished build: its times, what it said, and the VHDs it made."""

    watched: watch.Watched
    evidence: evidence.Evidence
    vhds: tuple[Path, ...]


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


def template(workload: Workload, machine: Machine, targets: int) -> dict[str, object]:
    """The image template that does what packer_side.template does, with so many VHD targets."""
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
            "distribute": [{"type": "VHD", "runOutputName": name} for name in _outputs(targets)],
        },
    }


def build(workload: Workload, targets: int, machine: Machine, home: Path, place: Path, log: str) -> Build:
    """One build in `place`, which a series keeps. Raises RuntimeError with the last lines."""
    place.mkdir(parents=True, exist_ok=True)
    source, out = place / "template.json", place / "out"
    source.write_text(json.dumps(template(workload, machine, targets), indent=2))
    events, messages = place / f"{log}.jsonl", place / f"{log}.log"
    argv = [str(COMMAND), "run", str(source), "--output-dir", str(out), "--events", str(events), "--plain"]
    watched = watch.run(argv, messages, limit=LIMIT_SECONDS, env=_environment(machine, home))
    if watched.code != 0:
        raise RuntimeError(f"build ended with {watched.code}\n{watch.tail(messages)}")
    vhds = tuple(out / f"{name}.vhd" for name in _outputs(targets))
    absent = [vhd.name for vhd in vhds if not vhd.is_file()]
    if absent:
        raise RuntimeError(f"build made no {', '.join(absent)}\n{watch.tail(messages)}")
    return Build(watched, evidence.read(events, watched.seconds), vhds)


def warm_up(machine: Machine, home: Path, place: Path, workload: Workload) -> None:
    """Let Python compile what it imports, so that the first build does not pay for it."""
    place.mkdir(parents=True, exist_ok=True)
    source = place / "template.json"
    source.write_text(json.dumps(template(workload, machine, 1), indent=2))
    subprocess.run(
        [str(COMMAND), "plan", str(source)], env=_environment(machine, home), capture_output=True,
        stdin=subprocess.DEVNULL, timeout=LIMIT_SECONDS, check=False,
    )  # fmt: skip


def _outputs(targets: int) -> list[str]:
    return [f"bench-{number}" for number in range(1, targets + 1)]


def _environment(machine: Machine, home: Path) -> dict[str, str]:
    """Nothing of the user's own settings, which would be measured along."""
    ours = {"GOLDSMITH_HOME": str(home), "GOLDSMITH_ACCELERATOR": machine.accelerator}
    return {k: v for k, v in os.environ.items() if not k.startswith("GOLDSMITH_")} | ours
