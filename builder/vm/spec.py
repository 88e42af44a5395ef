"""What a virtual machine is made of, and the QEMU command line that says so."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from builder.disk.data_disk import DataDisk
from builder.disk.graph import BlockGraph
from builder.sources.base import Devices, Generation, OsType, usual_devices
from builder.vm.accelerator import Accelerator
from builder.vm.firmware import Firmware
from builder.vm.seed import BUILD_MAC

DISK_NODE = "disk"
NETDEV = "net0"
# What QEMU recommends for Windows under KVM (its manual, "Hyper-V Enlightenments"): without them Windows
# polls timers and spins on locks as on bare metal. TCG knows none of them.
_ENLIGHTENMENTS = (
    "hv-relaxed,hv-vapic,hv-spinlocks=0x1fff,hv-vpindex,hv-runtime,hv-time,hv-synic,hv-stimer,"
    "hv-frequencies,hv-tlbflush,hv-ipi"
)
_AHCI_PORTS = 6
_AHCI_TAKEN = 2
"""Ports of the machine's own controller that the OS disk and the seed have."""
_SANDBOX = "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny"


@dataclass(frozen=True, slots=True)
class DirectBoot:
    """A kernel that QEMU starts itself, past the disk's boot loader; under UEFI as well."""

    kernel: Path
    initrd: Path
    command_line: str


@dataclass(frozen=True, slots=True)
class MachineSpec:
    """One machine. `directory` holds its private files (UEFI variables, QEMU's messages).

    `network` False keeps the guest from reaching anything but the forwarded SSH port.
    `devices` None: what a guest of that system usually has drivers for.
    `second_serial_log` is the guest's ttyS1: the detached deprovision reports there.
    """

    cpus: int
    memory_mib: int
    generation: Generation
    disk: BlockGraph
    directory: Path
    serial_log: Path
    accelerator: Accelerator
    seed: Path | None = None
    second_serial_log: Path | None = None
    network: bool = True
    os_type: OsType = "Linux"
    devices: Devices | None = None
    name: str = "goldsmith"
    data_disks: tuple[DataDisk, ...] = ()
    incoming: bool = False
    """Whether it waits for a memory snapshot (builder/vm/snapshot.py) instead of booting."""
    uuid: str = field(default_factory=lambda: str(uuid.uuid4()))
    mac: str = BUILD_MAC
    boot: DirectBoot | None = None
    """Without one it starts from its disk."""
    cds: tuple[Path, ...] = ()
    """ISOs in CD drives, which every installer has a driver for."""
    ends_at_reboot: bool = False
    """Whether a restart ends it as a power-off does: what is installed is not to be started."""

    @property
    def vars_file(self) -> Path:
        """This machine's UEFI variables; part of its state."""
        return self.directory / "uefi-vars.fd"

    @property
    def virtio(self) -> bool:
        """Whether disk and network are virtio, else AHCI and e1000e."""
        return (self.devices or usual_devices(self.os_type)) == "virtio"

    @property
    def stderr_file(self) -> Path:
        """What QEMU itself has to say."""
        return self.directory / "qemu.stderr"


def machine_argv(spec: MachineSpec, *, qemu: str, firmware: Firmware | None, qmp_fd: int) -> list[str]:
    """The QEMU command line of `spec`; pure. `qmp_fd` is inherited and already connected.

    q35 for both generations: one machine type, and the firmware alone makes the difference.
    """
    machine = "q35,vmport=off"
    if firmware is not None:
        machine += ",pflash0=uefi-code,pflash1=uefi-vars"
    return [
        qemu,
        *("-name", f"guest={_escape(spec.name)}", "-uuid", spec.uuid),
        *("-no-user-config", "-nodefaults", "-sandbox", _SANDBOX),
        *("-machine", machine, *spec.accelerator.argv, "-cpu", _cpu(spec)),
        *("-smp", str(spec.cpus), "-m", str(spec.memory_mib)),
        # "strict": a disk that does not boot is an error to see, not a reason to try the network.
        *("-boot", "strict=on", "-rtc", "base=utc", "-display", "none", "-vga", "std"),
        *_monitor(qmp_fd),
        *_firmware(spec, firmware),
        *_disks(spec),
        *_network(spec),
        *_serial(spec),
        *_extras(spec),
        *_installer(spec),
        *_data_disks(spec),
        *(("-incoming", "defer") if spec.incoming else ()),
    ]


def _cpu(spec: MachineSpec) -> str:
    enlightened = spec.os_type == "Windows" and spec.accelerator.name == "kvm"
    return f"{spec.accelerator.cpu_model},{_ENLIGHTENMENTS}" if enlightened else spec.accelerator.cpu_model


def _monitor(qmp_fd: int) -> list[str]:
    return ["-chardev", f"socket,id=qmp,fd={qmp_fd}", "-mon", "chardev=qmp,mode=control"]


def _firmware(spec: MachineSpec, firmware: Firmware | None) -> Iterable[str]:
    if firmware is None:
        return
    for name, path, form, read_only in (
        ("uefi-code", firmware.code, firmware.code_format, True),
        ("uefi-vars", spec.vars_file, firmware.vars_format, False),
    ):
        file = {"driver": "file", "filename": str(path), "read-only": read_only}
        node = {"node-name": name, "driver": form, "read-only": read_only, "file": file}
        yield from ("-blockdev", _json(node))


def _disks(spec: MachineSpec) -> Iterable[str]:
    for node in spec.disk.blockdev(DISK_NODE):
        yield from ("-blockdev", _json(node))
    # ide.0 to ide.5 are the ports of the machine's own AHCI controller, one unit each: QEMU would put the
    # second unit on the first port, too. A Windows image from Azure has no virtio drivers.
    driver = "virtio-blk-pci" if spec.virtio else "ide-hd,bus=ide.0"
    yield from ("-device", f"{driver},drive={DISK_NODE},id=disk0,bootindex=1")
    if spec.seed is not None:
        file = {"driver": "file", "filename": str(spec.seed), "read-only": True}
        node = {"node-name": "seed", "driver": "raw", "read-only": True, "file": file}
        yield from ("-blockdev", _json(node))
        driver = "virtio-blk-pci" if spec.virtio else "ide-cd,bus=ide.1"
        yield from ("-device", f"{driver},drive=seed,id=seed0")


def _network(spec: MachineSpec) -> list[str]:
    # Port 0: the kernel picks a free one while binding, which no other process can take in between.
    restrict = "off" if spec.network else "on"
    card = "virtio-net-pci" if spec.virtio else "e1000e"
    return [
        *("-netdev", f"user,id={NETDEV},restrict={restrict},hostfwd=tcp:127.0.0.1:0-:22"),
        # An empty romfile: no network boot ROM to run through first.
        *("-device", f"{card},netdev={NETDEV},id=nic0,mac={spec.mac},romfile="),
    ]


def _serial(spec: MachineSpec) -> Iterable[str]:
    for number, path in enumerate((spec.serial_log, spec.second_serial_log)):
        if path is not None:
            yield from ("-chardev", f"file,id=serial{number},path={_escape(str(path))},append=on")
            yield from ("-serial", f"chardev:serial{number}")


def _extras(spec: MachineSpec) -> list[str]:
    # Windows has no driver for most of these, and no use for the rest: it is never restored from memory.
    if spec.os_type != "Linux":
        return []
    return [
        *("-object", "rng-random,id=rng,filename=/dev/urandom", "-device", "virtio-rng-pci,rng=rng,id=rng0"),
        # Tells a restored guest that it is one of several: its kernel reseeds its random numbers.
        *("-device", "vmgenid,guid=auto,id=generation0"),
        # A panicking guest stays on the screen, where the failure bundle's screenshot sees it.
        *("-device", "pvpanic", "-action", "panic=pause"),
    ]


def _installer(spec: MachineSpec) -> Iterable[str]:
    """Nothing for an ordinary machine, whose command line a memory snapshot is keyed on."""
    for number, path in enumerate(spec.cds):
        file = {"driver": "file", "filename": str(path), "read-only": True}
        node = {"node-name": f"cd{number}", "driver": "raw", "read-only": True, "file": file}
        yield from ("-blockdev", _json(node))
        # Each drive its own port: AHCI has one unit a bus, and QEMU would put both on the first.
        yield from ("-device", f"ide-cd,drive=cd{number},id=cdrom{number},bus=ide.{number}")
    if spec.boot is not None:
        yield from ("-kernel", str(spec.boot.kernel), "-initrd", str(spec.boot.initrd))
        yield from ("-append", spec.boot.command_line)
    if spec.ends_at_reboot:
        yield "-no-reboot"


def _data_disks(spec: MachineSpec) -> Iterable[str]:
    # Last of all devices: the others keep their places on the bus, and with them their names in the guest.
    for place, disk in enumerate(spec.data_disks):
        for node in disk.graph.blockdev(disk.node):
            yield from ("-blockdev", _json(node))
        driver = "virtio-blk-pci"
        if not spec.virtio:
            port = place + _AHCI_TAKEN
            controller, unit = divmod(port, _AHCI_PORTS)
            if controller and not unit:
                yield from ("-device", f"ich9-ahci,id=ahci{controller}")
            driver = f"ide-hd,bus={f'ahci{controller}' if controller else 'ide'}.{unit}"
        yield from ("-device", f"{driver},drive={disk.node},id={disk.node}-device,serial={disk.node}")


def _escape(text: str) -> str:
    return text.replace(",", ",,")


def _json(node: dict[str, object]) -> str:
    return json.dumps(node, separators=(",", ":"))
