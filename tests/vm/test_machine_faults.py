"""Machines that go wrong, each made of a 512-byte boot sector: seconds, not minutes."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from builder.disk.graph import BlockGraph, DiskLayer
from builder.errors import GoldsmithError
from builder.events import EventBus
from builder.redact import Redactor
from builder.settings import Home, Settings
from builder.vm import accelerator
from builder.vm.access import BuildAccess
from builder.vm.errors import MachineError, MachineTimeoutError
from builder.vm.failure import write_bundle
from builder.vm.machine import Machine, wait_for_ssh
from builder.vm.probe import run_probe
from builder.vm.spec import MachineSpec
from provisioners.guest import GuestTimeoutError

SLEEP = b"\xfa\xf4"  # cli; hlt
PANIC = bytes.fromhex("ba0505b001ee") + SLEEP  # out 0x505, 1: to pvpanic, as Linux says that it panicked
RESET = bytes.fromhex("baf90cb006ee") + SLEEP  # out 0xcf9, 6
QEMU = "qemu-system-x86_64"

Make = Callable[..., MachineSpec]


def printing(text: bytes) -> bytes:
    """Real-mode code that writes `text` to COM1, byte by byte, and sleeps."""
    return b"\xba\xf8\x03" + b"".join(b"\xb0" + bytes([char]) + b"\xee" for char in text) + SLEEP


@pytest.fixture
def make(tmp_path: Path) -> Make:
    def spec(code: bytes, directory: Path = tmp_path) -> MachineSpec:
        directory.mkdir(parents=True, exist_ok=True)
        disk = directory / "disk.raw"
        disk.write_bytes(code.ljust(510, b"\0") + b"\x55\xaa" + b"\0" * (1 << 20))
        return MachineSpec(
            cpus=1,
            memory_mib=64,
            generation="V1",
            disk=BlockGraph((DiskLayer(disk, "raw"),)),
            directory=directory / "vm",
            serial_log=directory / "serial.log",
            accelerator=accelerator.tcg("test"),
        )

    return spec


@pytest.fixture
def bus() -> EventBus:
    return EventBus(Redactor())


@pytest.fixture
def access() -> BuildAccess:
    return BuildAccess.generate()


def test_probe_gets_through_under_tcg():
    assert run_probe(QEMU, "tcg,thread=multi", accelerator.TCG_CPU_MODEL, timeout=20) == ""


def test_probe_says_why_an_accelerator_cannot_be_had():
    assert "nonsense" in run_probe(QEMU, "nonsense", accelerator.TCG_CPU_MODEL, timeout=20)


def test_verdict_comes_in_bounded_time_and_is_remembered(tmp_path, bus):
    start = time.monotonic()
    first = accelerator.choose(Settings(), Home(tmp_path), bus)
    assert time.monotonic() - start < accelerator.PROBE_SECONDS + 5
    start = time.monotonic()
    assert accelerator.choose(Settings(), Home(tmp_path), bus) == first
    assert time.monotonic() - start < 0.5


def test_a_workspace_path_longer_than_a_unix_socket_allows(tmp_path, make):
    with Machine(make(SLEEP, tmp_path / ("x" * 120) / "y")) as machine:
        assert machine.qmp.status() == "running"
        assert machine.ssh_port > 1024


def test_two_machines_get_two_ports(tmp_path, make):
    with Machine(make(SLEEP, tmp_path / "a")) as one, Machine(make(SLEEP, tmp_path / "b")) as two:
        assert one.ssh_port != two.ssh_port


def test_the_forwarded_port_is_on_loopback_only(make):
    with Machine(make(SLEEP)) as machine:
        listening = subprocess.run(["ss", "-Htlnp"], capture_output=True, text=True, check=True).stdout
        ours = [line.split()[3] for line in listening.splitlines() if f"pid={machine.pid}," in line]
        assert ours == [f"127.0.0.1:{machine.ssh_port}"]


def test_qemu_that_cannot_start_says_why_and_how_to_see_it(make):
    spec = make(SLEEP)
    spec.disk.top.path.unlink()
    with pytest.raises(MachineError) as caught, Machine(spec):
        pass
    text = "\n".join(caught.value.details)
    assert "No such file" in text
    assert f"$ /usr/bin/{QEMU}" in text


def test_missing_qemu_names_the_package(make, monkeypatch):
    monkeypatch.setenv("PATH", "/nonexistent")
    with pytest.raises(GoldsmithError) as caught, Machine(make(SLEEP)):
        pass
    assert "apt-get install qemu-system-x86" in str(caught.value.hint)


def test_a_guest_that_never_answers_ends_in_a_timeout_with_a_bundle(tmp_path, make, access, bus):
    redactor = Redactor()
    redactor.add("canary-secret")
    with Machine(make(printing(b"booting canary-secret\n"))) as machine:
        with pytest.raises(GuestTimeoutError) as caught:
            wait_for_ssh(machine, access, timeout=6, bus=bus)
        bundle = write_bundle(
            tmp_path / "failure",
            machine=machine,
            guest=machine.guest,
            step="boot",
            tail=["last canary-secret line"],
            error=caught.value,
            redactor=redactor,
        )
        again = write_bundle(
            tmp_path / "failure",
            machine=machine,
            guest=None,
            step="x",
            tail=[],
            error="",
            redactor=redactor,
        )
    assert again == tmp_path / "failure-2"
    report = (bundle / "failure.txt").read_text()
    assert "did not answer over SSH within 6 s" in report
    assert "stage tcp" in report
    assert (bundle / "serial.log").read_text() == "booting ****\n"
    assert (bundle / "screenshot.png").read_bytes().startswith(b"\x89PNG")
    assert QEMU in (bundle / "qemu-command.txt").read_text()
    assert all(b"canary-secret" not in file.read_bytes() for file in bundle.iterdir())


def test_death_of_qemu_is_noticed_at_once(make, access, bus):
    with Machine(make(SLEEP)) as machine:
        threading.Timer(1.5, lambda: os.kill(machine.pid, signal.SIGKILL)).start()
        start = time.monotonic()
        with pytest.raises(MachineError, match="killed by signal 9"):
            wait_for_ssh(machine, access, timeout=120, bus=bus)
        assert time.monotonic() - start < 6


def test_kernel_panic_is_noticed_at_once(make, access, bus):
    with Machine(make(printing(b"Kernel panic - not syncing: VFS\n"))) as machine:
        start = time.monotonic()
        with pytest.raises(MachineError, match="panicked") as caught:
            wait_for_ssh(machine, access, timeout=120, bus=bus)
        assert time.monotonic() - start < 15
        assert "Kernel panic - not syncing: VFS" in caught.value.details


@pytest.mark.parametrize("end", [SLEEP, PANIC], ids=["hangs", "stands-still"])
def test_a_stale_breakpoint_of_the_emulation_is_reset_three_times(make, access, bus, end):
    text = b"Oops: int3: 0000 [#1] PREEMPT SMP\nKernel panic - not syncing: Fatal exception\n"
    said = []
    bus.add_sink(lambda envelope: said.append(getattr(envelope.event, "code", "")))
    with Machine(make(printing(text).removesuffix(SLEEP) + end)) as machine:
        with pytest.raises(MachineError, match="locks up on every boot"):
            wait_for_ssh(machine, access, timeout=120, bus=bus)
        assert machine.spec.serial_log.read_bytes().count(b"int3") == 4
    assert said.count("LockedUp") == 3


def test_a_guest_that_restarts_over_and_over_is_given_up(make, access, bus):
    with Machine(make(RESET)) as machine, pytest.raises(MachineError, match="over and over"):
        wait_for_ssh(machine, access, timeout=120, bus=bus)


def test_a_guest_that_ignores_the_power_button_is_ended_all_the_same(make):
    with Machine(make(SLEEP)) as machine:
        assert machine.powerdown(1) is False
        assert not machine.alive


def test_waiting_for_power_off_has_a_limit(make):
    with Machine(make(SLEEP)) as machine, pytest.raises(MachineTimeoutError):
        machine.wait_stopped(1)


def test_generation_2_has_its_own_variables(make):
    spec = replace(make(SLEEP), generation="V2", memory_mib=256)
    with Machine(spec) as machine:
        assert machine.qmp.status() == "running"
    assert spec.vars_file.stat().st_size > 0


def test_nothing_is_left_when_the_block_ends(make):
    before = threading.active_count()
    descriptors = len(list(Path("/proc/self/fd").iterdir()))
    with Machine(make(SLEEP)) as machine:
        pid = machine.pid
    assert not Path(f"/proc/{pid}").exists()
    assert threading.active_count() == before
    assert len(list(Path("/proc/self/fd").iterdir())) == descriptors
