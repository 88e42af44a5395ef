"""Medians, ratio and phases as text, and the raw numbers as JSON."""

from __future__ import annotations

import json
import os
import platform
import shutil
import statistics
import subprocess
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path

from workloads import Machine, Result


def host() -> dict[str, str]:
    """What a reader needs to compare these numbers with others."""
    qemu = shutil.which("qemu-system-x86_64") or "qemu-system-x86_64"
    version = subprocess.run([qemu, "--version"], capture_output=True, text=True, check=True, timeout=60)
    model = next(
        (
            line.split(":", 1)[1].strip()
            for line in Path("/proc/cpuinfo").read_text().splitlines()
            if "model name" in line
        ),
        platform.machine(),
    )
    return {
        "cpu": model,
        "cores": str(os.cpu_count()),
        "kernel": platform.release(),
        "qemu": version.stdout.split("\n")[0],
    }


def render(results: list[Result], machine: Machine, facts: dict[str, str]) -> str:
    """The whole report."""
    lines = [
        "Host: " + ", ".join(f"{key} {value}" for key, value in facts.items()),
        f"VM: {machine.cpus} CPUs, {machine.memory_mib} MiB, -cpu {machine.cpu_model}, "
        f"{machine.machine_type}, accelerator {machine.accelerator}",
    ]
    for workload in dict.fromkeys(result.workload for result in results):
        lines += ["", *_workload(workload, [r for r in results if r.workload == workload])]
    return "\n".join(lines)


def _workload(name: str, results: list[Result]) -> list[str]:
    tools = list(dict.fromkeys(result.tool for result in results))
    lines = [f"{name}: wall clock of the whole build to a fixed VHD, seconds"]
    medians: dict[str, float] = {}
    for tool in tools:
        times = [result.seconds for result in results if result.tool == tool]
        medians[tool] = statistics.median(times)
        every = " ".join(f"{value:.1f}" for value in times)
        lines.append(
            f"  {tool:<10} median {medians[tool]:7.1f}   min {min(times):.1f}   n {len(times)}   ({every})"
        )
    if {"goldsmith", "packer"} <= medians.keys():
        ratio = medians["goldsmith"] / medians["packer"]
        lines.append(f"  ratio goldsmith/packer {ratio:.2f}  (under 1: goldsmith is faster)")
    for tool in tools:
        lines.append(f"  where {tool}'s time goes (median seconds):")
        lines += [
            f"    {phase:<28} {seconds:7.1f}"
            for phase, seconds in _phases(r for r in results if r.tool == tool)
        ]
    return lines


def _phases(results: Iterable[Result]) -> list[tuple[str, float]]:
    values: dict[str, list[float]] = {}
    for result in results:
        for phase, seconds in result.phases.items():
            values.setdefault(phase, []).append(seconds)
    return [(phase, statistics.median(seconds)) for phase, seconds in values.items()]


def save(path: Path, results: list[Result], machine: Machine, facts: dict[str, str]) -> None:
    """Write the raw numbers."""
    data = {"host": facts, "machine": asdict(machine), "results": [asdict(result) for result in results]}
    path.write_text(json.dumps(data, indent=2) + "\n")
