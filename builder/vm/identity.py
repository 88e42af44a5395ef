"""Which machine a memory snapshot fits: the same QEMU, devices, CPU, memory, accelerator and firmware.

Anything else and the guest's memory would meet hardware it was not booted on.
"""

from __future__ import annotations

import contextlib
import hashlib
from pathlib import Path
from typing import TYPE_CHECKING

from builder import process
from builder.disk.graph import BlockGraph, DiskLayer
from builder.memo import recall, remember
from builder.vm.accelerator import QEMU_PACKAGE, QEMU_PROGRAM, qemu_identity
from builder.vm.firmware import choose_firmware
from builder.vm.spec import MachineSpec, machine_argv

if TYPE_CHECKING:
    from builder.settings import Home
    from builder.sources.base import Devices, Generation, OsType
    from builder.vm.accelerator import Accelerator

_ASK_SECONDS = 30.0
_NOWHERE = Path("/nowhere")


def machine_key(
    home: Home,
    accelerator: Accelerator,
    *,
    cpus: int,
    memory_mib: int,
    generation: Generation,
    os_type: OsType,
    devices: Devices,
    network: bool,
) -> str:
    """A digest of all that a memory snapshot depends on. Raises EnvironmentProblem when QEMU or the
    firmware is missing.
    """
    qemu = process.require(QEMU_PROGRAM, QEMU_PACKAGE)
    firmware = choose_firmware(generation)
    # The command line itself, with every path and name that may differ taken out.
    spec = MachineSpec(
        cpus=cpus,
        memory_mib=memory_mib,
        generation=generation,
        disk=BlockGraph((DiskLayer(_NOWHERE, "raw"),)),
        directory=_NOWHERE,
        serial_log=_NOWHERE,
        second_serial_log=_NOWHERE,
        accelerator=accelerator,
        seed=_NOWHERE,
        network=network,
        os_type=os_type,
        devices=devices,
        uuid="",
    )
    parts = machine_argv(spec, qemu="", firmware=firmware, qmp_fd=0)
    parts += [_version(home, qemu), _host_cpu() if accelerator.name == "kvm" else ""]
    if firmware is not None:
        parts.append(hashlib.sha256(firmware.code.read_bytes()).hexdigest())
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()


def _version(home: Home, qemu: str) -> str:
    """QEMU's version, asked for once per program file: asking costs as much as all the rest."""
    memo = home.root / "cache" / "qemu.json"
    identity = qemu_identity(qemu)
    known = recall(memo)
    if known.get("identity") == identity and isinstance(known.get("version"), str):
        return str(known["version"])
    version = process.run([qemu, "--version"], timeout=_ASK_SECONDS).stdout.splitlines()[0]
    remember(memo, {"identity": identity, "version": version})
    return version


def _host_cpu() -> str:
    """Model and features: under KVM the guest sees them (`-cpu host`)."""
    with contextlib.suppress(OSError):
        wanted = ("vendor_id", "cpu family", "model\t", "stepping", "flags")
        lines = Path("/proc/cpuinfo").read_text().split("\n\n")[0].splitlines()
        return "\n".join(line for line in lines if line.startswith(wanted))
    return ""
