"""What both sides do to the image, word for word the same."""

from __future__ import annotations

from dataclasses import dataclass

from builder.vm.accelerator import KVM_CPU_MODEL, TCG_CPU_MODEL

Step = tuple[str, ...]
"""The lines of one shell script (`#!/bin/sh -e`)."""


def trivial_step(text: str) -> Step:
    """The step that costs a guest next to nothing; `text` is what an edit changes."""
    return (f"echo '{text}' | sudo tee /etc/motd > /dev/null", "uname -a")


@dataclass(frozen=True)
class Workload:
    """A provisioner set. `motd` and `program` are what both finished images must hold."""

    name: str
    steps: tuple[Step, ...]
    motd: str = ""
    program: str = ""

    def edited(self, text: str) -> Workload:
        """The same set with another text in its last, trivial step."""
        return Workload(self.name, (*self.steps[:-1], trivial_step(text)), text, self.program)


MOTD = "Benchmark."
TRIVIAL = Workload("trivial", (trivial_step(MOTD),), MOTD)
NGINX = Workload(
    "nginx",
    (
        (
            "export DEBIAN_FRONTEND=noninteractive",
            "sudo -E apt-get update",
            "sudo -E apt-get install -y --no-install-recommends nginx-light",
        ),
        trivial_step(MOTD),
    ),
    MOTD,
    "nginx",
)
WORKLOADS = {workload.name: workload for workload in (TRIVIAL, NGINX)}


def true_steps(count: int) -> Workload:
    """A set whose steps do nothing, so that what is left is the engine's and the link's."""
    return Workload(f"true-{count}", (("true",),) * count)


@dataclass(frozen=True)
class Machine:
    """The build VM, the same for both sides."""

    cpu_model: str
    accelerator: str = "tcg"
    cpus: int = 2
    memory_mib: int = 4096
    machine_type: str = "q35"


def machine(accelerator: str, cpu_model: str | None) -> Machine:
    """By default packer gets the CPU model that our engine takes under this accelerator."""
    ours = KVM_CPU_MODEL if accelerator == "kvm" else TCG_CPU_MODEL
    return Machine(cpu_model or ours, accelerator)
