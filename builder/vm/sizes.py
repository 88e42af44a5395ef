"""Azure VM sizes as CPUs and memory, bounded by what this host has.

The table (sizes.json: name -> [vCPUs, MiB]) follows Azure's documentation of its size series.
"""

from __future__ import annotations

import difflib
import json
import os
import re
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path

from builder.errors import PreflightError
from builder.settings import Settings

HOST_RESERVE_MIB = 512
LEAST_MEMORY_MIB = 512
_ARM = re.compile(r"standard_[a-z]+\d+(-\d+)?[a-z]*p[a-z]*_v\d+", re.IGNORECASE)
_STEP_MIB = 1024
# Families of which the table has no sizes (graphics, high performance, confidential, large memory): Azure's
# names of sizes tell their vCPUs all the same (its page "VM sizes naming conventions").
_SPECIAL = re.compile(
    r"standard_(?:n[a-z]{1,2}|h[a-z]?|ec|dc|m|g|gs|fx)(\d+)[a-z0-9-]*(?:_[a-z0-9]+)*", re.IGNORECASE
)
_SPECIAL_MIB_PER_CPU = 4096
# Constrained sizes (Standard_E4-2s_v5): the memory of the size without the part, fewer vCPUs.
_CONSTRAINED = re.compile(r"(standard_[a-z]+\d+)-(\d+)([a-z]*_v\d+)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class MachineSize:
    """What the build VM gets. `notes` say what was cut and why."""

    name: str
    cpus: int
    memory_mib: int
    notes: tuple[str, ...] = ()


def resolve_size(
    vm_size: str, settings: Settings, *, host_cpus: int | None = None, host_memory_mib: int | None = None
) -> MachineSize:
    """CPUs and memory for `vmProfile.vmSize`; empty means the settings' defaults.

    Names compare without case, as in ARM. `host_*` default to this machine's. Raises PreflightError
    for an unknown or an Arm64 size.
    """
    name, cpus, memory = _look_up(vm_size.strip(), settings)
    label = f"vmSize {name}" if name else "the default VM size"
    notes = []
    if name and name.casefold() not in _table() and not _CONSTRAINED.fullmatch(name):
        notes.append(f"{label} is not in the table of sizes: {cpus} vCPUs by its name, 4 GiB of memory each.")
    most_cpus = host_cpus or len(os.sched_getaffinity(0))
    most_memory = (host_memory_mib or _available_memory_mib()) - HOST_RESERVE_MIB
    # In steps: a memory snapshot fits only a VM with as much memory, and what is free differs every time.
    most_memory -= most_memory % _STEP_MIB if most_memory > _STEP_MIB else 0
    most_memory = max(most_memory, LEAST_MEMORY_MIB)
    if cpus > most_cpus:
        notes.append(f"{label} has {cpus} vCPUs; this host has {most_cpus}, so the VM gets {most_cpus}.")
        cpus = most_cpus
    if memory > most_memory:
        notes.append(
            f"{label} has {memory} MiB of memory; this host can spare {most_memory}, so the VM gets that."
        )
        memory = most_memory
    return MachineSize(name, cpus, memory, tuple(notes))


def smallest_size(cpus: int, memory_mib: int) -> str | None:
    """The smallest size with at least that many CPUs and MiB of memory; None when none is large enough.

    Of equals the newest series counts: Azure retires the old ones.
    """
    large = [
        (memory, found_cpus, -_series(name), name)
        for name, found_cpus, memory in _table().values()
        if found_cpus >= cpus and memory >= memory_mib and not name.startswith("Basic")
    ]
    return min(large)[-1] if large else None


def _series(name: str) -> int:
    match = re.search(r"_v(\d+)\Z", name, re.IGNORECASE)
    return int(match[1]) if match else 1


def _look_up(vm_size: str, settings: Settings) -> tuple[str, int, int]:
    if not vm_size:
        return "", settings.default_cpus, settings.default_memory_mib
    found = _table().get(vm_size.casefold())
    if found is not None:
        return found
    parts = _CONSTRAINED.fullmatch(vm_size)
    whole = _table().get(f"{parts[1]}{parts[3]}".casefold()) if parts else None
    if parts and whole:
        return vm_size, min(int(parts[2]), whole[1]), whole[2]
    if _ARM.fullmatch(vm_size):
        raise PreflightError(
            f"vmSize {vm_size!r} is an Arm64 size; only x86-64 guests can be built.",
            hint="Choose a size without 'p' after the number, such as Standard_D2s_v5.",
        )
    special = _SPECIAL.fullmatch(vm_size)
    if special and int(special[1]):
        return vm_size, int(special[1]), int(special[1]) * _SPECIAL_MIB_PER_CPU
    close = _similar(vm_size)
    raise PreflightError(
        f"Unknown vmSize {vm_size!r}.",
        details=(f"Close matches: {', '.join(close)}",) if close else (),
        hint="Leave vmSize empty for the default, or use a size such as Standard_D2s_v5.",
    )


def _similar(vm_size: str) -> list[str]:
    name = vm_size.casefold()
    if not name.startswith(("st", "basic")):
        name = f"standard_{name}"
    keys = difflib.get_close_matches(name, _table(), n=3, cutoff=0.85)
    return [_table()[key][0] for key in keys]


@cache
def _table() -> dict[str, tuple[str, int, int]]:
    raw = json.loads(files("builder.vm").joinpath("sizes.json").read_text())
    return {name.casefold(): (name, cpus, memory) for name, (cpus, memory) in raw.items()}


def _available_memory_mib() -> int:
    try:
        for line in Path("/proc/meminfo").read_text().splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) // 1024
    except OSError:
        pass
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // (1 << 20)
