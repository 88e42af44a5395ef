"""The result boots by BIOS and by UEFI, with a new user from a new seed, and is clean inside."""

from __future__ import annotations

from pathlib import Path

import pytest
from harness import Quickstart

from builder.disk import qemu_img, vhd
from builder.disk.graph import BlockGraph, DiskLayer
from builder.events import EventBus
from builder.redact import Redactor
from builder.settings import Home, Settings
from builder.vm import accelerator
from builder.vm.access import BuildAccess
from builder.vm.machine import Machine, wait_for_ssh
from builder.vm.seed import write_seed
from builder.vm.spec import MachineSpec

pytestmark = pytest.mark.timeout(1800)


@pytest.mark.parametrize(("generation", "sign"), [("V1", "no"), ("V2", "yes")])
def test_the_vhd_boots(
    quickstart: Quickstart, home: Path, tmp_path: Path, generation: str, sign: str
) -> None:
    size = vhd.check_fixed_vhd(quickstart.vhd).virtual_size
    overlay = tmp_path / "os.qcow2"
    qemu_img.create_overlay(overlay, size + 1024**3)
    access = BuildAccess.generate("somebody")
    spec = MachineSpec(
        cpus=2,
        memory_mib=1024,
        generation=generation,  # type: ignore[arg-type]
        disk=BlockGraph((DiskLayer(quickstart.vhd, "raw", size),)).over(overlay),
        directory=tmp_path,
        serial_log=tmp_path / "serial.log",
        accelerator=accelerator.choose(Settings(), Home(home)),
        seed=write_seed(tmp_path / "seed.iso", access),
    )
    bus = EventBus(Redactor())
    with Machine(spec) as machine:
        guest = wait_for_ssh(machine, access, timeout=900, bus=bus)

        def ask(script: str) -> str:
            result = guest.run(["sh", "-c", script], timeout=120)
            assert result.exit_code == 0, result
            return result.stdout.strip()

        assert ask("id -un") == "somebody"
        assert ask("test -d /sys/firmware/efi && echo yes || echo no") == sign
        assert ask("getent passwd packer || echo gone") == "gone"
        assert len(ask("cat /etc/machine-id")) == 32
        assert "net.ifnames=0" in ask("cat /proc/cmdline")
        assert "ttyS0" in ask("cat /proc/cmdline")
        assert ask("cat /var/www/html/index.html").startswith("<")
        drivers = ask("sudo lsinitramfs /boot/initrd.img-$(uname -r)")
        for driver in ("hv_vmbus", "hv_storvsc", "hv_netvsc"):
            assert driver in drivers
        # The disk grew by a GiB, and the file system with it.
        assert int(ask("df --output=size -B1 / | tail -1")) > size - 300 * 1024**2
        assert machine.powerdown(120)
