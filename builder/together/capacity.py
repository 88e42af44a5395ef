"""How many builds this host carries at once: its cores and the memory that is free now."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from builder.doctor import memory_available
from builder.errors import PreflightError
from builder.vm.sizes import resolve_size

if TYPE_CHECKING:
    from builder.settings import Settings
    from builder.vm.sizes import MachineSize
    from templates.model import ImageTemplate

# What QEMU and our own process take beside the guest's memory.
PER_BUILD_MIB = 150


@dataclass(frozen=True, slots=True)
class Capacity:
    """`at_once` builds; `reason` says why it is less than was asked for, else it is empty."""

    at_once: int
    reason: str = ""


def capacity(
    wanted: int,
    sizes: Sequence[MachineSize],
    *,
    host_cores: int | None = None,
    free_mib: int | None = None,
) -> Capacity:
    """At most `wanted` builds of VMs of these sizes. Any of them may meet, so the largest count. One is
    always possible: a single build is bounded by its own VM's size.
    """
    cores = host_cores or len(os.sched_getaffinity(0))
    free = free_memory_mib() if free_mib is None else free_mib
    wanted = max(1, min(wanted, len(sizes) or wanted))
    by_cores = _fitting([size.cpus for size in sizes], cores, wanted)
    by_memory = _fitting([size.memory_mib + PER_BUILD_MIB for size in sizes], free, wanted)
    if by_cores <= by_memory and by_cores < wanted:
        needed = _sum_of_largest([size.cpus for size in sizes], by_cores + 1)
        return Capacity(by_cores, f"{by_cores + 1} VMs have {needed} vCPUs, this host has {cores} cores")
    if by_memory < wanted:
        needed = _sum_of_largest([size.memory_mib + PER_BUILD_MIB for size in sizes], by_memory + 1)
        return Capacity(by_memory, f"{by_memory + 1} builds need {needed} MiB of memory, {free} are free")
    return Capacity(wanted)


def sizes_of(templates: Sequence[ImageTemplate], settings: Settings) -> list[MachineSize]:
    """The sizes of their VMs. One that has no valid size is left out: its own build says so."""
    sizes = []
    for template in templates:
        try:
            sizes.append(resolve_size(template.properties.vm_profile.vm_size, settings))
        except PreflightError:
            continue
    return sizes


def free_memory_mib() -> int:
    """MiB that programs can have now (MemAvailable of proc(5))."""
    return memory_available(Path("/proc/meminfo").read_text()) // 1024**2


def _fitting(needs: Sequence[int], there: int, wanted: int) -> int:
    fitting = 1
    while fitting < wanted and _sum_of_largest(needs, fitting + 1) <= there:
        fitting += 1
    return fitting


def _sum_of_largest(needs: Sequence[int], count: int) -> int:
    return sum(sorted(needs, reverse=True)[:count])
