"""How many builds a host carries, and what is said when it is fewer than asked for."""

from __future__ import annotations

import pytest
from engine.conftest import make_template

from builder.doctor import memory_available
from builder.settings import Settings
from builder.together.capacity import capacity, free_memory_mib, sizes_of
from builder.vm.sizes import MachineSize

PLENTY = 1_000_000


def machines(*sizes: tuple[int, int]) -> list[MachineSize]:
    return [MachineSize("", cpus, memory) for cpus, memory in sizes]


@pytest.mark.parametrize(
    ("wanted", "sizes", "cores", "free", "at_once", "reason"),
    [
        (4, [(2, 2048)] * 4, 8, PLENTY, 4, ""),
        (9, [(2, 2048)] * 3, 8, PLENTY, 3, ""),
        (4, [(2, 2048)] * 4, 4, PLENTY, 2, "3 VMs have 6 vCPUs, this host has 4 cores"),
        (2, [(2, 2048)] * 2, 2, PLENTY, 1, "2 VMs have 4 vCPUs, this host has 2 cores"),
        (2, [(8, 2048)] * 2, 2, PLENTY, 1, "2 VMs have 16 vCPUs, this host has 2 cores"),
        # The two largest may meet.
        (2, [(1, 2048), (1, 2048), (4, 2048)], 4, PLENTY, 1, "2 VMs have 5 vCPUs, this host has 4 cores"),
        (3, [(1, 2048)] * 3, 8, 5000, 2, "3 builds need 6594 MiB of memory, 5000 are free"),
        (2, [(1, 2048)] * 2, 8, 100, 1, "2 builds need 4396 MiB of memory, 100 are free"),
        (2, [], 8, PLENTY, 2, ""),
    ],
)  # fmt: skip
def test_as_many_as_cores_and_memory_carry(
    wanted: int, sizes: list[tuple[int, int]], cores: int, free: int, at_once: int, reason: str
) -> None:
    found = capacity(wanted, machines(*sizes), host_cores=cores, free_mib=free)
    assert (found.at_once, found.reason) == (at_once, reason)


def test_an_unknown_size_is_for_its_own_build_to_refuse() -> None:
    templates = [
        make_template(vmProfile={"vmSize": size}) for size in ("Standard_A1_v2", "Standard_Nonsense")
    ]
    assert [size.cpus for size in sizes_of(templates, Settings())] == [1]


def test_memory_is_measured() -> None:
    assert free_memory_mib() > 0
    assert memory_available("MemTotal: 9 kB\nMemAvailable:   2048 kB\n") == 2 * 1024**2
