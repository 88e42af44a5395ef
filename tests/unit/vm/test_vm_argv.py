"""The QEMU command line, as a list."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from builder.disk.data_disk import DataDisk
from builder.disk.graph import BlockGraph, DiskLayer
from builder.vm.accelerator import TCG_CPU_MODEL, kvm, tcg
from builder.vm.firmware import Firmware
from builder.vm.spec import DirectBoot, MachineSpec, machine_argv

AHCI = [
    "ide-hd,bus=ide.0,drive=disk,id=disk0,bootindex=1",
    "ide-cd,bus=ide.1,drive=seed,id=seed0",
]
OVMF = Firmware(Path("/fw/code.fd"), "raw", Path("/fw/vars.fd"), "qcow2")


def make_spec(**changes: object) -> MachineSpec:
    graph = BlockGraph((DiskLayer(Path("/img/base.vhd"), "raw", size=1 << 30),)).over(Path("/ws/a,b.qcow2"))
    spec = MachineSpec(
        cpus=2,
        memory_mib=2048,
        generation="V1",
        disk=graph,
        directory=Path("/ws/vm"),
        serial_log=Path("/runs/1,2/serial.log"),
        accelerator=tcg("test"),
        seed=Path("/ws/seed.iso"),
        uuid="11111111-2222-3333-4444-555555555555",
    )
    return replace(spec, **changes)  # type: ignore[arg-type]


def argv(spec: MachineSpec, firmware: Firmware | None = None) -> list[str]:
    return machine_argv(spec, qemu="/usr/bin/qemu", firmware=firmware, qmp_fd=9)


def values(words: list[str], option: str) -> list[str]:
    return [words[i + 1] for i, word in enumerate(words[:-1]) if word == option]


def blockdevs(words: list[str]) -> dict[str, dict]:
    return {node["node-name"]: node for node in map(json.loads, values(words, "-blockdev"))}


def test_whole_command_line_of_a_small_machine():
    spec = make_spec(seed=None, disk=BlockGraph((DiskLayer(Path("/ws/d.qcow2"), "qcow2"),)))
    words = argv(spec)
    assert words[: words.index("-blockdev")] == [
        *("/usr/bin/qemu", "-name", "guest=goldsmith", "-uuid", "11111111-2222-3333-4444-555555555555"),
        *("-no-user-config", "-nodefaults", "-sandbox"),
        "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny",
        *("-machine", "q35,vmport=off", "-accel", "tcg,thread=multi,tb-size=1024", "-cpu", TCG_CPU_MODEL),
        *("-smp", "2", "-m", "2048", "-boot", "strict=on", "-rtc", "base=utc"),
        *("-display", "none", "-vga", "std"),
        *("-chardev", "socket,id=qmp,fd=9", "-mon", "chardev=qmp,mode=control"),
    ]
    assert words[words.index("-blockdev") + 2 :] == [
        *("-device", "virtio-blk-pci,drive=disk,id=disk0,bootindex=1"),
        *("-netdev", "user,id=net0,restrict=off,hostfwd=tcp:127.0.0.1:0-:22"),
        *("-device", "virtio-net-pci,netdev=net0,id=nic0,mac=52:54:00:67:6f:6c,romfile="),
        *("-chardev", "file,id=serial0,path=/runs/1,,2/serial.log,append=on", "-serial", "chardev:serial0"),
        *("-object", "rng-random,id=rng,filename=/dev/urandom"),
        *("-device", "virtio-rng-pci,rng=rng,id=rng0", "-device", "vmgenid,guid=auto,id=generation0"),
        *("-device", "pvpanic", "-action", "panic=pause"),
    ]


def test_disk_graph_is_explicit_and_only_its_top_is_writable():
    nodes = blockdevs(argv(make_spec()))
    assert nodes["disk-0"]["driver"] == "raw"
    assert nodes["disk-0"]["size"] == 1 << 30
    assert nodes["disk-0"]["read-only"] is True
    assert nodes["disk"]["backing"] == "disk-0"
    assert nodes["disk"]["read-only"] is False
    assert (nodes["disk"]["discard"], nodes["disk"]["detect-zeroes"]) == ("unmap", "unmap")
    assert nodes["disk"]["file"]["filename"] == "/ws/a,b.qcow2"
    assert nodes["seed"]["read-only"] is True


def test_generation_2_gets_flash_with_private_variables():
    words = argv(make_spec(generation="V2"), OVMF)
    assert values(words, "-machine") == ["q35,vmport=off,pflash0=uefi-code,pflash1=uefi-vars"]
    nodes = blockdevs(words)
    assert nodes["uefi-code"]["read-only"] is True
    assert nodes["uefi-code"]["file"]["filename"] == "/fw/code.fd"
    assert nodes["uefi-vars"]["file"]["filename"] == "/ws/vm/uefi-vars.fd"
    assert nodes["uefi-vars"]["driver"] == "qcow2"
    assert nodes["uefi-vars"]["read-only"] is False


def test_network_only_ever_listens_on_loopback_and_can_be_cut_off():
    (netdev,) = values(argv(make_spec(network=False)), "-netdev")
    assert netdev == "user,id=net0,restrict=on,hostfwd=tcp:127.0.0.1:0-:22"


def test_second_serial_is_the_second_port():
    words = argv(make_spec(second_serial_log=Path("/ws/ttyS1.log")))
    assert values(words, "-serial") == ["chardev:serial0", "chardev:serial1"]
    assert "file,id=serial1,path=/ws/ttyS1.log,append=on" in values(words, "-chardev")


def test_kvm_uses_the_host_cpu():
    words = argv(make_spec(accelerator=kvm("works")))
    assert values(words, "-accel") == ["kvm"]
    assert values(words, "-cpu") == ["host"]


def test_windows_gets_devices_it_has_drivers_for():
    devices = values(argv(make_spec(os_type="Windows")), "-device")
    assert devices[:2] == [
        "ide-hd,bus=ide.0,drive=disk,id=disk0,bootindex=1",
        "ide-cd,bus=ide.1,drive=seed,id=seed0",
    ]
    assert devices[2].startswith("e1000e,")
    assert not any("virtio" in device for device in devices)


@pytest.mark.parametrize("option", ["-no-reboot", "-daemonize", "-snapshot"])
def test_options_that_would_break_a_build_are_absent(option):
    assert option not in argv(make_spec())


def test_devices_are_chosen_apart_from_the_system():
    old = values(argv(make_spec(devices="compatible")), "-device")
    assert old[:2] == [
        "ide-hd,bus=ide.0,drive=disk,id=disk0,bootindex=1",
        "ide-cd,bus=ide.1,drive=seed,id=seed0",
    ]
    assert old[2] == "e1000e,netdev=net0,id=nic0,mac=52:54:00:67:6f:6c,romfile="
    assert "pvpanic" in old, "what only Linux has a use for depends on the system"
    assert argv(make_spec(devices="virtio")) == argv(make_spec())
    driven = values(argv(make_spec(os_type="Windows", devices="virtio")), "-device")
    assert driven[0] == "virtio-blk-pci,drive=disk,id=disk0,bootindex=1"
    assert driven[2].startswith("virtio-net-pci,")
    assert len(driven) == 3


def test_windows_under_kvm_knows_that_it_is_a_guest():
    (cpu,) = values(argv(make_spec(os_type="Windows", accelerator=kvm("works"))), "-cpu")
    assert cpu.startswith("host,hv-relaxed,hv-vapic,hv-spinlocks=0x1fff,")
    assert values(argv(make_spec(os_type="Windows")), "-cpu") == [TCG_CPU_MODEL]
    assert values(argv(make_spec(accelerator=kvm("works"))), "-cpu") == ["host"]


def test_an_installer_gets_its_kernel_its_cds_and_no_second_start():
    boot = DirectBoot(Path("/ws/kernel"), Path("/ws/initrd"), "inst.text console=ttyS0")
    spec = make_spec(seed=None)
    installer = replace(spec, boot=boot, cds=(Path("/iso/a,b.iso"), Path("/ws/o.iso")), ends_at_reboot=True)
    words = argv(installer)
    plain = argv(spec)
    assert words[: len(plain)] == plain, "an ordinary machine's command line stays as it is"
    rest = words[len(plain) :]
    assert [word for word in rest if "{" not in word] == [
        "-blockdev", *("-device", "ide-cd,drive=cd0,id=cdrom0,bus=ide.0"),
        "-blockdev", *("-device", "ide-cd,drive=cd1,id=cdrom1,bus=ide.1"),
        *("-kernel", "/ws/kernel", "-initrd", "/ws/initrd", "-append", "inst.text console=ttyS0"),
        "-no-reboot",
    ]  # fmt: skip
    nodes = blockdevs(words)
    assert nodes["cd0"]["file"] == {"driver": "file", "filename": "/iso/a,b.iso", "read-only": True}
    assert nodes["cd1"]["read-only"] is True


def data_disks(*luns: int) -> tuple[DataDisk, ...]:
    return tuple(
        DataDisk(lun, 1 << 30, BlockGraph((DiskLayer(Path(f"/ws/{lun}.qcow2"), "qcow2"),))) for lun in luns
    )


def test_data_disks_come_last_and_say_their_lun():
    words = argv(make_spec(data_disks=data_disks(0, 3)))
    assert words[: -2 * 4] == argv(make_spec()), "what was there before has its place on the bus still"
    assert words[-2 * 4 :] == [
        *("-blockdev", words[-7], "-device", "virtio-blk-pci,drive=lun0,id=lun0-device,serial=lun0"),
        *("-blockdev", words[-3], "-device", "virtio-blk-pci,drive=lun3,id=lun3-device,serial=lun3"),
    ]
    node = blockdevs(words)["lun3"]
    assert (node["driver"], node["backing"], node["read-only"]) == ("qcow2", None, False)


def test_data_disks_without_virtio_take_the_free_ports_and_then_another_controller():
    devices = values(argv(make_spec(os_type="Windows", data_disks=data_disks(*range(11)))), "-device")
    buses = [device.partition(",drive=lun")[0] for device in devices if "drive=lun" in device]
    ports = ["ide.2", "ide.3", "ide.4", "ide.5", *(f"ahci1.{unit}" for unit in range(6)), "ahci2.0"]
    assert buses == [f"ide-hd,bus={port}" for port in ports]
    assert [device for device in devices if device.startswith("ich9-ahci")] == [
        "ich9-ahci,id=ahci1",
        "ich9-ahci,id=ahci2",
    ]
    assert devices.index("ich9-ahci,id=ahci1") < next(
        place for place, device in enumerate(devices) if "ahci1.0" in device
    )
