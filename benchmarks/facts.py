"""What a reader needs to compare these figures with others."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import time
from importlib.metadata import version
from pathlib import Path

import packer_side
from goldsmith_side import ROOT
from workloads import Machine


def collect(machine: Machine) -> dict[str, str]:
    """Of the host, the tools and the VM."""
    return {
        "date": time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime()),
        "goldsmith": f"{version('goldsmith')} ({_commit()})",
        "packer": packer_side.available() or "none",
        "QEMU": _first_line([shutil.which("qemu-system-x86_64") or "qemu-system-x86_64", "--version"]),
        "Python": platform.python_version(),
        "kernel": platform.release(),
        "CPU": _field(Path("/proc/cpuinfo"), "model name") or platform.machine(),
        "cores": str(os.cpu_count()),
        "memory": _field(Path("/proc/meminfo"), "MemTotal"),
        "load before": load(),
        "VM": f"{machine.cpus} CPUs, {machine.memory_mib} MiB, {machine.machine_type}, "
        f"accelerator {machine.accelerator}, -cpu {machine.cpu_model}",
    }


def load() -> str:
    """Load averages: more than a little before the run means that others were at work."""
    return " ".join(f"{value:.2f}" for value in os.getloadavg())


def _commit() -> str:
    try:
        return _first_line(["git", "-C", str(ROOT), "describe", "--always", "--dirty"])
    except (OSError, subprocess.SubprocessError):  # an unpacked archive
        return "no checkout"


def _first_line(argv: list[str]) -> str:
    done = subprocess.run(argv, capture_output=True, text=True, check=True, timeout=60)
    return done.stdout.splitlines()[0].strip()


def _field(file: Path, name: str) -> str:
    for line in file.read_text().splitlines():
        key, _, value = line.partition(":")
        if key.strip() == name:
            return value.strip()
    return ""
