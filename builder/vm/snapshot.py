"""Freezing a running guest's disk and memory at one moment, and going on from such a moment.

Found by experiment (QEMU 7.2): after `stop`, `blockdev-snapshot`, `migrate` and `cont` the guest goes on
in the same process and its SSH connection survives. Memory N belongs to disk N of the same stop.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from builder.vm import memory_file
from builder.vm.errors import MachineError
from builder.vm.qmp import QmpError

if TYPE_CHECKING:
    from builder.vm.machine import Machine

MEMORY_SECONDS = 300.0
"""How long writing or reading a guest's memory may take."""
_POLL_SECONDS = 0.01
_NAME = "memory"
# QEMU paces a migration (1 Gbit/s) for the sake of a network; here it goes to a file.
_UNPACED = 1 << 40


def freeze(
    machine: Machine, overlay: Path, *, memory: Path | None, uefi_vars: Path | None, timeout: float
) -> bool:
    """Freeze the guest's disk and, into the file `memory`, its memory; it goes on into the empty qcow2
    `overlay`, which takes every write from then on. `machine.spec.disk` names it afterwards.

    Returns whether the memory was written: a full disk costs the snapshot, not the build. `uefi_vars` is
    where the UEFI variables of that moment go (generation 2). Raises MachineError.
    """
    qmp = machine.qmp
    qmp.command("stop")
    try:
        _put_on_top(machine, overlay)
        if uefi_vars is not None:
            shutil.copyfile(machine.spec.vars_file, uefi_vars)
        written = memory is not None and _write_memory(machine, memory, timeout)
    finally:
        # Also when something failed: the caller decides whether the build goes on.
        qmp.command("cont")
    return written


def restore(machine: Machine, memory: Path, *, timeout: float) -> None:
    """Load `memory`, packed or not, into a machine that was started with `incoming`, and let the guest run.

    Raises MachineError when it does not fit this machine or is damaged: boot the disk instead.
    """
    qmp = machine.qmp
    with memory_file.reading(memory) as descriptor:
        qmp.send_fd(_NAME, descriptor)
        qmp.command("migrate-incoming", uri=f"fd:{_NAME}")
        _await(machine, timeout)
    qmp.command("cont")


def _put_on_top(machine: Machine, overlay: Path) -> None:
    disk = machine.spec.disk
    above = disk.over(overlay)
    node = f"layer{len(above.layers)}"
    # Attached by blockdev-snapshot itself: nothing that a header says is ever followed.
    machine.qmp.command("blockdev-add", **{**above.blockdev(node)[-1], "backing": None})
    machine.qmp.command("blockdev-snapshot", node=machine.top_node, overlay=node)
    machine.spec = replace(machine.spec, disk=above)
    machine.top_node = node


def _write_memory(machine: Machine, memory: Path, timeout: float) -> bool:
    descriptor = os.open(memory, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        machine.qmp.command("migrate-set-parameters", max_bandwidth=_UNPACED)
        machine.qmp.send_fd(_NAME, descriptor)
        machine.qmp.command("migrate", uri=f"fd:{_NAME}")
        _await(machine, timeout)
    except QmpError:
        memory.unlink(missing_ok=True)
        raise
    except MachineError:
        # QEMU goes on as if nothing had been asked for; what it wrote is worth nothing.
        memory.unlink(missing_ok=True)
        return False
    finally:
        os.close(descriptor)
    return True


def _await(machine: Machine, timeout: float) -> None:
    end = time.monotonic() + timeout
    while True:
        try:
            state = machine.qmp.command("query-migrate")
        except QmpError:
            if machine.wait_ended(1.0):  # QEMU ends when what comes in makes no sense
                raise MachineError(
                    "QEMU refused the memory snapshot.", details=machine.stderr_tail()
                ) from None
            raise
        status = state.get("status")
        if status == "completed":
            return
        if status in ("failed", "cancelled"):
            raise MachineError(f"The memory snapshot failed: {state.get('error-desc', status)}.")
        if time.monotonic() > end:
            with contextlib.suppress(QmpError):
                machine.qmp.command("migrate_cancel")
            raise MachineError(f"The memory snapshot was not done within {timeout:.0f} s.")
        time.sleep(_POLL_SECONDS)
