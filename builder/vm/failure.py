"""The failure bundle: everything a person wants to see after a step failed, in one directory."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from builder.redact import Redactor

if TYPE_CHECKING:
    from builder.vm.machine import Machine
    from builder.vm.ssh import SshGuest

MOST_LOG_BYTES = 4 << 20


def write_bundle(
    directory: Path,
    *,
    machine: Machine | None,
    guest: SshGuest | None,
    step: str,
    tail: Sequence[str],
    error: BaseException | str,
    redactor: Redactor,
) -> Path:
    """Write the bundle to `directory` (or `directory-2`, ... when there is one) and return its path.

    Holds failure.txt, qemu-command.txt, qemu-stderr.txt, serial.log, serial-2.log, screenshot.png.
    All text is scrubbed. A part that cannot be had is left out and named in failure.txt; raises
    OSError only when the directory cannot be made.
    """
    target = _fresh(directory)
    missing: list[str] = []
    if machine is not None:
        _write(target / "qemu-command.txt", machine.command_text() + "\n", redactor)
        for source, name in (
            (machine.spec.stderr_file, "qemu-stderr.txt"),
            (machine.spec.serial_log, "serial.log"),
            (machine.spec.second_serial_log, "serial-2.log"),
        ):
            if source is not None:
                _copy(source, target / name, redactor, missing)
        try:
            machine.screenshot(target / "screenshot.png")
        except Exception as problem:
            # Whatever keeps QEMU from it, the failure that brought us here matters more.
            missing.append(f"screenshot.png: {problem}")
    _write(target / "failure.txt", _report(machine, guest, step, tail, error, missing), redactor)
    return target


def _fresh(directory: Path) -> Path:
    directory.parent.mkdir(parents=True, exist_ok=True)
    number = 1
    while True:
        target = directory if number == 1 else directory.with_name(f"{directory.name}-{number}")
        with contextlib.suppress(FileExistsError):
            target.mkdir(mode=0o700)
            return target
        number += 1


def _report(
    machine: Machine | None,
    guest: SshGuest | None,
    step: str,
    tail: Sequence[str],
    error: BaseException | str,
    missing: Sequence[str],
) -> str:
    lines = [
        f"time:  {datetime.now(UTC).isoformat(timespec='seconds')}",
        f"step:  {step}",
        f"error: {error}",
        *(f"       {detail}" for detail in getattr(error, "details", ())),
    ]
    if machine is not None:
        lines.append(
            f"VM:    {_state(machine)}, {machine.spec.accelerator.name} ({machine.spec.accelerator.why})"
        )
    if guest is not None:
        lines.append(f"SSH:   stage {guest.stage}, {'connected' if guest.connected else 'not connected'}")
        lines += [f"       {attempt}" for attempt in guest.attempts]
    if tail:
        lines += ["", "last lines:", *(f"  {line}" for line in tail)]
    if missing:
        lines += ["", "not in this bundle:", *(f"  {item}" for item in missing)]
    return "\n".join(lines) + "\n"


def _state(machine: Machine) -> str:
    if not machine.alive:
        return "ended"
    try:
        return machine.qmp.status()
    except Exception as problem:
        return f"does not answer ({problem})"


def _copy(source: Path, target: Path, redactor: Redactor, missing: list[str]) -> None:
    try:
        with source.open("rb") as file:
            size = file.seek(0, 2)
            file.seek(max(0, size - MOST_LOG_BYTES))
            data = file.read()
        target.write_bytes(redactor.scrub_bytes(data))
    except OSError as problem:
        missing.append(f"{target.name}: {problem.strerror or problem}")


def _write(target: Path, text: str, redactor: Redactor) -> None:
    target.write_text(redactor.scrub(text))
