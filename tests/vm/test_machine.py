"""The real base under both firmwares: boot, log in, work, power off.

`base_disk` (conftest) is the bootstrapped Debian as a SourceDisk; every machine writes to an overlay.
"""

from __future__ import annotations

import contextlib
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from builder.events import EventBus, Note, WaitFinished
from builder.redact import Redactor
from builder.settings import Home, Settings
from builder.sources.base import Generation, SourceDisk
from builder.vm import accelerator
from builder.vm.access import BuildAccess
from builder.vm.errors import HostKeyMismatchError
from builder.vm.machine import Machine, wait_for_ssh
from builder.vm.seed import write_seed
from builder.vm.spec import MachineSpec
from builder.vm.ssh import SshGuest
from provisioners.guest import GuestError, GuestTimeoutError, LinkLostError

BOOT_LIMIT = 600


@dataclass
class Booted:
    machine: Machine
    guest: SshGuest
    access: BuildAccess
    events: list[object]


@pytest.fixture(
    scope="module", params=["V1", pytest.param("V2", marks=pytest.mark.long)], ids=["bios", "uefi"]
)
def generation(request: pytest.FixtureRequest) -> Generation:
    return request.param


@pytest.fixture(scope="module")
def booted(
    generation: Generation, base_disk: SourceDisk, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Booted]:
    directory = tmp_path_factory.mktemp(f"machine-{generation}")
    events: list[object] = []
    bus = EventBus(Redactor())
    bus.add_sink(lambda envelope: events.append(envelope.event))
    overlay = directory / "overlay.qcow2"
    size = base_disk.size + (1 << 30)
    subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", str(overlay), str(size)], check=True)
    access = BuildAccess.generate()
    spec = MachineSpec(
        cpus=2,
        memory_mib=1024,
        generation=generation,
        disk=base_disk.graph.over(overlay),
        directory=directory / "vm",
        serial_log=directory / "serial.log",
        second_serial_log=directory / "ttyS1.log",
        accelerator=accelerator.choose(Settings(), Home(directory), bus),
        seed=write_seed(directory / "seed.iso", access),
    )
    with Machine(spec) as machine:
        guest = wait_for_ssh(machine, access, timeout=BOOT_LIMIT, bus=bus)
        yield Booted(machine, guest, access, events)


def output(guest: SshGuest, script: str) -> str:
    result = guest.run(["sh", "-c", script], timeout=60)
    assert result.exit_code == 0, result.tail
    return result.stdout


def test_boot_is_told_and_cloud_init_is_done_without_problems(booted):
    waits = [event.what for event in booted.events if isinstance(event, WaitFinished)]
    assert waits[-2:] == ["Booting the VM", "Waiting for cloud-init"]
    notes = [event for event in booted.events if isinstance(event, Note)]
    assert [note.message for note in notes if note.code == "CloudInit"] == []
    assert "status: done" in output(booted.guest, "cloud-init status --wait")


def test_firmware_is_the_one_asked_for(booted, generation):
    has_efi = output(booted.guest, "test -d /sys/firmware/efi && echo yes || echo no").strip()
    assert has_efi == {"V1": "no", "V2": "yes"}[generation]


def test_build_user_with_passwordless_sudo(booted):
    assert output(booted.guest, "id -un; sudo -n id -un").split() == ["packer", "root"]


def test_only_our_host_key_and_untouched_package_sources(booted):
    keys = output(booted.guest, "ls /etc/ssh/ssh_host_*").split()
    assert keys == ["/etc/ssh/ssh_host_ed25519_key", "/etc/ssh/ssh_host_ed25519_key.pub"]
    assert "cloud-init" not in output(booted.guest, "cat /etc/apt/sources.list 2>/dev/null || true")


def test_root_file_system_grew_into_the_larger_disk(booted, base_disk):
    size = int(output(booted.guest, "df -B1 --output=size / | tail -1"))
    assert size > base_disk.size


def test_streams_exit_code_and_input(booted):
    lines: list[tuple[str, str]] = []
    result = booted.guest.run(
        ["sh", "-c", "cat; echo problem >&2; exit 3"],
        timeout=60,
        stdin=b"one\ntwo",
        on_output=lambda stream, line: lines.append((stream, line)),
    )
    assert result.exit_code == 3
    assert result.stdout == "one\ntwo\n"
    assert sorted(lines) == [("stderr", "problem"), ("stdout", "one"), ("stdout", "two")]


def test_output_arrives_while_the_command_runs(booted):
    times: list[float] = []
    booted.guest.run(
        ["sh", "-c", "echo a; sleep 2; echo b"],
        timeout=60,
        on_output=lambda _stream, _line: times.append(time.monotonic()),
    )
    assert times[1] - times[0] > 1


def test_timeout_leaves_the_connection_usable(booted):
    with pytest.raises(GuestTimeoutError):
        booted.guest.run(["sleep", "60"], timeout=2)
    assert output(booted.guest, "echo on").strip() == "on"


def test_files_there_and_back(booted, tmp_path):
    data = bytes(range(256)) * 4096
    local = tmp_path / "file"
    local.write_bytes(data)
    booted.guest.put(local, "/tmp/it's a file", timeout=60, mode=0o640)
    assert booted.guest.get("/tmp/it's a file", timeout=60) == data
    assert output(booted.guest, "stat -c %a /tmp/it*").strip() == "640"
    with pytest.raises(GuestError, match="Permission denied"):
        booted.guest.put(b"x", "/etc/not-mine", timeout=60)


def test_another_host_key_is_refused(booted):
    other = replace(booted.access, host_key=BuildAccess.generate().host_key)
    stranger = SshGuest(booted.machine.endpoint, other)
    with pytest.raises(HostKeyMismatchError) as caught:
        stranger.connect(timeout=60)
    assert stranger.stage == "kex"
    assert booted.access.host_key.public.split()[1] in "".join(caught.value.details)


def test_screen_and_consoles(booted, tmp_path):
    assert booted.machine.screenshot(tmp_path / "s.png").read_bytes().startswith(b"\x89PNG")
    assert "Linux version" in booted.machine.spec.serial_log.read_text(errors="replace")
    output(booted.guest, "echo over ttyS1 | sudo tee /dev/ttyS1")
    second = booted.machine.spec.second_serial_log
    assert second is not None
    assert "over ttyS1" in second.read_text()


def test_restart_is_noticed_and_proved_by_the_boot_id(booted, generation):
    if generation == "V2":
        return  # one restart is enough: the firmware makes no difference to SSH
    before = booted.guest.boot_id(timeout=60)
    with pytest.raises(LinkLostError):
        booted.guest.run(["sh", "-c", "sudo systemctl reboot; sleep 300"], timeout=200)
    deadline = time.monotonic() + BOOT_LIMIT
    booted.guest.reconnect(timeout=BOOT_LIMIT)
    while booted.guest.boot_id(timeout=60) == before:  # sshd may answer once more on its way down
        assert time.monotonic() < deadline
        time.sleep(2)
        booted.guest.reconnect(timeout=BOOT_LIMIT)
    assert booted.machine.resets() >= 1


def test_powers_itself_off_and_leaves_the_base_alone(booted, base_disk):
    bottom: Path = base_disk.graph.layers[0].path
    assert bottom.stat().st_mtime < booted.machine.spec.serial_log.stat().st_ctime
    with contextlib.suppress(LinkLostError):  # it may be faster than its answer
        booted.guest.run(["sudo", "systemctl", "--no-block", "poweroff"], timeout=60)
    booted.guest.disconnect()
    booted.machine.wait_stopped(120)
    assert not booted.machine.alive
