"""The machine of a Windows guest in a real QEMU: a boot sector stands in for the Windows we have not."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from builder.disk.graph import BlockGraph, DiskLayer
from builder.settings import Home, Settings
from builder.sources.base import Generation
from builder.vm import accelerator
from builder.vm.access import BuildAccess
from builder.vm.machine import Machine
from builder.vm.seed import write_seed
from builder.vm.spec import MachineSpec

pytestmark = pytest.mark.timeout(300)

# mov dx, 0x3f8; mov al, 'W'; out dx, al; hlt; jmp back to the hlt
SAYS_W = b"\xba\xf8\x03\xb0W\xee\xf4\xeb\xfd".ljust(510, b"\0") + b"\x55\xaa"


def spec_of(folder: Path, generation: Generation) -> MachineSpec:
    disk = folder / "disk.raw"
    disk.write_bytes(SAYS_W.ljust(1 << 20, b"\0"))
    access = BuildAccess.generate()
    return MachineSpec(
        cpus=1,
        memory_mib=256,
        generation=generation,
        disk=BlockGraph((DiskLayer(disk, "raw"),)),
        directory=folder / "vm",
        serial_log=folder / "serial.log",
        second_serial_log=folder / "ttyS1.log",
        accelerator=accelerator.choose(Settings(), Home(folder)),
        seed=write_seed(folder / "seed.iso", access, os_type="Windows"),
        os_type="Windows",
    )


def test_bios_starts_what_is_on_the_ahci_disk(tmp_path: Path) -> None:
    spec = spec_of(tmp_path, "V1")
    with Machine(spec) as machine:
        end = time.monotonic() + 60
        while b"W" not in (spec.serial_log.read_bytes() if spec.serial_log.exists() else b""):
            assert machine.alive
            assert time.monotonic() < end, "the boot sector said nothing"
            time.sleep(0.1)


def test_uefi_takes_the_devices(tmp_path: Path) -> None:
    """Nothing here boots by UEFI: it is enough that QEMU accepts all of it and the firmware runs."""
    spec = spec_of(tmp_path, "V2")
    with Machine(spec) as machine:
        for _ in range(20):
            machine.check()
            time.sleep(0.1)
        assert machine.alive
