"""A guest whose kernel locks up on the way to SSH is reset; one that is merely slow is not."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest

from builder.events import EventBus, Note
from builder.redact import Redactor
from builder.vm import ready
from builder.vm.errors import MachineError

LOCK_UP = b"[   %d.1] watchdog: BUG: soft lockup - CPU#0 stuck for %ds! [modprobe:196]\n"


class FakeMachine:
    def __init__(self, log: Path) -> None:
        self.spec = SimpleNamespace(serial_log=log, accelerator=SimpleNamespace(proven=True, name="tcg"))
        self.serial_offset = 0
        self.resets_done = 0
        self.panicked = False

    def check(self) -> None:
        if self.panicked:
            raise MachineError("The guest's kernel panicked.")

    def resets(self) -> int:
        return self.resets_done

    def reset(self) -> None:
        self.resets_done += 1
        self.panicked = False


@pytest.fixture
def log(tmp_path: Path) -> Path:
    path = tmp_path / "serial.log"
    path.write_bytes(b"[    0.0] Linux version 6.1\n")
    return path


@pytest.fixture
def said(monkeypatch: pytest.MonkeyPatch) -> tuple[EventBus, list[object]]:
    monkeypatch.setattr(ready, "_CHECK_SECONDS", -1.0)
    bus = EventBus(Redactor())
    events: list[object] = []
    bus.add_sink(lambda envelope: events.append(envelope.event))
    return bus, events


def add(log: Path, second: int, stuck: int) -> None:
    with log.open("ab") as file:
        file.write(LOCK_UP % (second, stuck))


def test_a_short_stall_is_left_alone(log: Path, said: tuple[EventBus, list[object]]) -> None:
    machine = FakeMachine(log)
    watch = ready.BootWatch(machine, said[0])  # type: ignore[arg-type]
    add(log, 36, 26)
    watch.check()
    assert machine.resets_done == 0


def test_a_lock_up_is_reset_once_and_said(log: Path, said: tuple[EventBus, list[object]]) -> None:
    machine = FakeMachine(log)
    watch = ready.BootWatch(machine, said[0])  # type: ignore[arg-type]
    add(log, 56, 44)
    watch.check()
    watch.check()
    assert machine.resets_done == 1
    assert [e.code for e in said[1] if isinstance(e, Note)] == ["LockedUp"]


def test_a_connected_guest_is_never_reset(log: Path, said: tuple[EventBus, list[object]]) -> None:
    machine = FakeMachine(log)
    watch = ready.BootWatch(machine, said[0])  # type: ignore[arg-type]
    watch.connected()
    add(log, 900, 60)
    watch.check(connected=True)
    assert machine.resets_done == 0


def test_one_that_locks_up_again_and_again_is_given_up(
    log: Path, said: tuple[EventBus, list[object]]
) -> None:
    machine = FakeMachine(log)
    watch = ready.BootWatch(machine, said[0])  # type: ignore[arg-type]
    with pytest.raises(MachineError, match="locks up on every boot"):
        for second in range(ready.MOST_LOCK_UPS + 1):
            add(log, second, 50)
            watch.check()
    assert machine.resets_done == ready.MOST_LOCK_UPS


OOPS = b"""[    6.78] Oops: int3: 0000 [#1] PREEMPT SMP NOPTI
[    6.79] RIP: 0010:sched_clock_cpu+0x9/0x1d0
[    6.80] Kernel panic - not syncing: Fatal exception in interrupt
"""


def test_a_breakpoint_that_qemu_did_not_forget_is_no_panic_of_the_guest(
    log: Path, said: tuple[EventBus, list[object]]
) -> None:
    machine = FakeMachine(log)
    machine.panicked = True
    watch = ready.BootWatch(machine, said[0])  # type: ignore[arg-type]
    with log.open("ab") as file:
        file.write(OOPS)
    watch.check()
    watch.check()
    assert machine.resets_done == 1
    assert [e.code for e in said[1] if isinstance(e, Note)] == ["LockedUp"]


@pytest.mark.parametrize("cause", ["kvm", "not a breakpoint", "connected"])
def test_any_other_panic_ends_the_wait(log: Path, said: tuple[EventBus, list[object]], cause: str) -> None:
    machine = FakeMachine(log)
    machine.spec.accelerator.name = "kvm" if cause == "kvm" else "tcg"
    watch = ready.BootWatch(machine, said[0])  # type: ignore[arg-type]
    with log.open("ab") as file:
        file.write(
            OOPS.replace(b"int3", b"general protection fault") if cause == "not a breakpoint" else OOPS
        )
    with pytest.raises(MachineError, match="panicked while booting"):
        watch.check(connected=cause == "connected")
    assert machine.resets_done == 0


def test_a_kernel_without_a_driver_for_the_disk_ends_the_wait(
    log: Path, said: tuple[EventBus, list[object]]
) -> None:
    watch = ready.BootWatch(FakeMachine(log), said[0])  # type: ignore[arg-type]
    with log.open("ab") as file:
        file.write(b"Gave up waiting for root file system device.  Common problems:\n")
    with pytest.raises(MachineError, match="has its kernel a driver"):
        watch.check()
