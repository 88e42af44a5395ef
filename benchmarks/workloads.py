"""What both sides do to the image, word for word the same."""

from __future__ import annotations

from dataclasses import dataclass

from builder.vm.accelerator import TCG_CPU_MODEL


@dataclass(frozen=True)
class Workload:
    """A provisioner set: shell steps, each a list of lines that become one script (`#!/bin/sh -e`)."""

    name: str
    steps: tuple[tuple[str, ...], ...]


TRIVIAL = Workload(
    "trivial",
    (("echo 'Benchmark.' | sudo tee /etc/motd > /dev/null", "uname -a"),),
)

NGINX = Workload(
    "nginx",
    (
        (
            "export DEBIAN_FRONTEND=noninteractive",
            "sudo -E apt-get update",
            "sudo -E apt-get install -y --no-install-recommends nginx-light",
        ),
    ),
)

WORKLOADS = {workload.name: workload for workload in (TRIVIAL, NGINX)}


@dataclass(frozen=True)
class Machine:
    """The build VM, the same for both sides; the CPU model is the one our engine takes under TCG."""

    cpus: int = 2
    memory_mib: int = 4096
    cpu_model: str = TCG_CPU_MODEL
    accelerator: str = "tcg"
    machine_type: str = "q35"


@dataclass(frozen=True)
class Result:
    """One timed build. `seconds` is wall clock around the whole command and conversion."""

    tool: str
    workload: str
    seconds: float
    phases: dict[str, float]
    vhd_bytes: int
