"""Which accelerator a guest really runs under on this machine.

That `/dev/kvm` exists, opens, or makes QEMU start proves nothing (lab-notes, "Accelerator"): the
probe guest has to get through, and the first real boot can still overrule it (`condemn`).
"""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from builder import process
from builder.errors import EnvironmentProblem
from builder.events import EventBus, Wait
from builder.memo import recall, remember
from builder.owner import host_boot_id
from builder.settings import Home, Settings
from builder.vm.probe import BOOT_SECTOR, run_probe

PROBE_SECONDS = 10.0
QEMU_PROGRAM = "qemu-system-x86_64"
QEMU_PACKAGE = "qemu-system-x86"

# RHEL 9 and its kin need x86-64-v2: qemu64 with exactly that. Measured, boot to a ready guest: 58 s of
# CPU for qemu64, 59 for max, 68 for Nehalem, whose Intel vendor makes kernels isolate page tables.
TCG_CPU_MODEL = "qemu64,+cx16,+lahf-lm,+popcnt,+ssse3,+sse4.1,+sse4.2"
KVM_CPU_MODEL = "host"

_DEVICE = Path("/dev/kvm")


@dataclass(frozen=True, slots=True)
class Accelerator:
    """How guests run. `argv` are QEMU's words for it; `why` is a reason a person can read.

    `proven` says that a real guest reached SSH under it on this host before.
    """

    name: str
    argv: tuple[str, ...]
    cpu_model: str
    why: str
    proven: bool = False


def tcg(why: str) -> Accelerator:
    """Software emulation: works everywhere, 10-20 times slower."""
    return Accelerator("tcg", ("-accel", "tcg,thread=multi,tb-size=1024"), TCG_CPU_MODEL, why, proven=True)


def kvm(why: str, *, proven: bool = False) -> Accelerator:
    """Hardware virtualisation."""
    return Accelerator("kvm", ("-accel", "kvm"), KVM_CPU_MODEL, why, proven)


def choose(settings: Settings, home: Home, bus: EventBus | None = None) -> Accelerator:
    """KVM when a guest gets through under it, else TCG, said out loud.

    The verdict is remembered for this host boot, QEMU and CPU. Takes at most about 10 s, usually
    0.1 s. Raises EnvironmentProblem when QEMU is missing or when `kvm` was demanded and does not work.
    """
    qemu = process.require(QEMU_PROGRAM, QEMU_PACKAGE)
    if settings.accelerator == "tcg":
        return tcg("asked for by the setting 'accelerator'")
    verdict = _Verdict.load(home, _key(qemu))
    if verdict is None:
        with Wait(bus, "Trying whether KVM works") if bus is not None else contextlib.nullcontext():
            problem = _problem_with_kvm(qemu)
        verdict = _Verdict(_key(qemu), problem)
        verdict.save(home)
    if not verdict.problem:
        return kvm("a guest runs under it", proven=verdict.proven)
    if settings.accelerator == "kvm":
        raise EnvironmentProblem(
            f"The setting 'accelerator' demands KVM, which does not work here: {verdict.problem}.",
            hint="Set accelerator to 'auto' or 'tcg', or run on a machine with hardware virtualisation.",
        )
    if bus is not None:
        bus.warn(
            f"No working KVM: {verdict.problem}; using TCG (software emulation), expect 10-20 times slower.",
            code="NoKvm",
        )
    return tcg(f"no working KVM: {verdict.problem}")


def remembered(settings: Settings, home: Home) -> Accelerator | None:
    """What `choose` would say without trying anything; None when that is not known yet."""
    qemu = process.require(QEMU_PROGRAM, QEMU_PACKAGE)
    if settings.accelerator == "tcg":
        return tcg("asked for by the setting 'accelerator'")
    verdict = _Verdict.load(home, _key(qemu))
    if verdict is None:
        return None
    if not verdict.problem:
        return kvm("a guest runs under it", proven=verdict.proven)
    return tcg(f"no working KVM: {verdict.problem}")


def confirm(accelerator: Accelerator, home: Home) -> None:
    """Remember that a real guest reached SSH under `accelerator`."""
    if accelerator.name == "kvm" and not accelerator.proven:
        _Verdict(_key(process.require(QEMU_PROGRAM, QEMU_PACKAGE)), "", proven=True).save(home)


def condemn(home: Home, why: str, bus: EventBus | None = None) -> Accelerator:
    """Remember that KVM failed a real guest (`why`) and return TCG to boot with instead."""
    _Verdict(_key(process.require(QEMU_PROGRAM, QEMU_PACKAGE)), why).save(home)
    if bus is not None:
        bus.warn(
            f"KVM failed: {why}; using TCG (software emulation), expect 10-20 times slower.", code="NoKvm"
        )
    return tcg(f"no working KVM: {why}")


@dataclass(frozen=True, slots=True)
class _Verdict:
    key: str
    problem: str
    proven: bool = False

    @classmethod
    def load(cls, home: Home, key: str) -> _Verdict | None:
        """What is remembered for `key`; anything unreadable counts as nothing."""
        data = recall(_file(home))
        if data.get("key") != key or not isinstance(data.get("problem"), str):
            return None
        return cls(key, data["problem"], bool(data.get("proven")))

    def save(self, home: Home) -> None:
        """Best effort: a read-only home only means that the probe runs again."""
        target = _file(home)
        with contextlib.suppress(OSError):
            target.parent.mkdir(parents=True, exist_ok=True)
        remember(target, {"key": self.key, "problem": self.problem, "proven": self.proven})


def _file(home: Home) -> Path:
    return home.root / "cache" / "accelerator.json"


def _problem_with_kvm(qemu: str) -> str:
    if not _DEVICE.exists():
        return f"there is no {_DEVICE} (no hardware virtualisation, or the kvm module is not loaded)"
    if not os.access(_DEVICE, os.R_OK | os.W_OK):
        return f"{_DEVICE} may not be opened by this user (add it to the group kvm)"
    return run_probe(qemu, "kvm", KVM_CPU_MODEL, timeout=PROBE_SECONDS)


def _key(qemu: str) -> str:
    """Changes with the host's boot, QEMU, the CPU, our rights on /dev/kvm and the probe itself."""
    usable = f"{_DEVICE.exists()}{os.access(_DEVICE, os.R_OK | os.W_OK)}"
    probe = hashlib.sha256(BOOT_SECTOR).hexdigest()
    return _digest([host_boot_id(), qemu_identity(qemu), _cpu_name(), usable, probe])


def _digest(parts: Sequence[str]) -> str:
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()


def qemu_identity(qemu: str) -> str:
    """QEMU's version without the 50 ms of asking it: the program's inode, size and time."""
    status = Path(qemu).resolve().stat()
    return f"{status.st_ino}:{status.st_size}:{status.st_mtime_ns}"


def _cpu_name() -> str:
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return ""
