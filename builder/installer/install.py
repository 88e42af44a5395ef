"""One unattended installation: boot the installer, follow its console, wait for its power-off."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from builder.cancellation import checkpoint
from builder.disk import qemu_img
from builder.disk.graph import BlockGraph, DiskLayer
from builder.disk.partitions import PartitionTableError, partitions
from builder.errors import BuildTimeoutError
from builder.events import Wait
from builder.installer.failure import InstallationError, InstallationTimeoutError
from builder.installer.installation import Installation, Installed
from builder.installer.progress import Progress
from builder.phases import phase
from builder.vm import accelerator as accelerators
from builder.vm.errors import AcceleratorError
from builder.vm.machine import Machine
from builder.vm.spec import DirectBoot, MachineSpec
from templates.errors import GoldsmithError

if TYPE_CHECKING:
    from builder.services import Services
    from builder.vm.accelerator import Accelerator

STUCK_SECONDS = 900.0
"""Without a byte on the console or an operation of a disk for so long, an installer stands."""
GRACE_SECONDS = 10.0
"""After a sign of trouble, for its last words; our own answers show the installer's logs then."""
DOUBT_SECONDS = 60.0
"""After a sign that some survive."""
_POLL_SECONDS = 0.5
_LOOK_SECONDS = 5.0
_STAGE = "Source"


def install(installation: Installation, disk: Path, folder: Path, services: Services) -> Installed:
    """Install onto a new raw file `disk`, and return what the installer said of it when it is off.

    Its other files go to `folder`, its console to `installation.log` of the run. When KVM turns out not
    to run it, it starts over under TCG, which is said. Raises InstallationError with a failure bundle,
    InstallationTimeoutError, BuildTimeoutError, MachineError, EnvironmentProblem.
    """
    accelerator = accelerators.choose(services.settings, services.home)
    try:
        installed = _attempt(installation, disk, folder, services, accelerator)
    except AcceleratorError as error:
        if accelerator.name == "tcg":
            raise
        accelerator = accelerators.condemn(services.home, error.message, services.bus)
        installed = _attempt(installation, disk, folder, services, accelerator)
    accelerators.confirm(accelerator, services.home)
    _check_disk(installation, disk)
    return installed


def _attempt(
    installation: Installation, disk: Path, folder: Path, services: Services, accelerator: Accelerator
) -> Installed:
    disk.unlink(missing_ok=True)
    qemu_img.create_raw(disk, installation.disk_size)
    log = _log(folder, services)
    spec = MachineSpec(
        cpus=installation.cpus,
        memory_mib=installation.memory_mib,
        generation=installation.generation,
        disk=BlockGraph((DiskLayer(disk, "raw"),)),
        directory=folder / "vm",
        serial_log=log,
        accelerator=accelerator,
        name="goldsmith-installation",
        boot=DirectBoot(installation.kernel, installation.initrd, installation.command_line),
        cds=tuple(path for path in (installation.medium, installation.answers) if path is not None),
        ends_at_reboot=True,
    )
    try:
        with Machine(spec) as machine, phase(services.bus, "Install", where="guest", stage=_STAGE):
            follower = _Follower(installation, machine, services)
            with _bundled(follower, folder, services):
                return follower.follow()
    finally:
        _scrub(log, services)


class _Follower:
    """Watches one installation to its end."""

    def __init__(self, installation: Installation, machine: Machine, services: Services) -> None:
        self.machine = machine
        self.progress = Progress(installation.family)
        self._installation = installation
        self._services = services
        self._offset = machine.serial_offset
        self._end = time.monotonic() + installation.time_limit
        self._moved = self._looked = time.monotonic()
        self._seen: tuple[int, ...] = ()
        self._troubled_at = 0.0

    def follow(self) -> Installed:
        """Until the guest is off. Raises InstallationError, BuildTimeoutError, MachineError."""
        self.machine.expect_power_off()
        running = True
        while running:
            name = self.progress.phase
            with Wait(self._services.bus, f"Installing {self._installation.name}: {name}") as wait:
                while running and self.progress.phase == name:
                    running = self._step()
                    if self.progress.total:
                        wait.progress(self.progress.done, self.progress.total)
        self.machine.check()
        return self._result()

    def _step(self) -> bool:
        """One look; whether the machine still runs."""
        running = not self.machine.wait_ended(_POLL_SECONDS)
        self._read()
        if not running:
            self.progress.close()
            return False
        checkpoint()
        self._services.deadline.remaining()
        if time.monotonic() > self._end:
            raise self._too_long()
        self.machine.check()
        self._check_stuck()
        self._check_trouble()
        return True

    def _read(self) -> None:
        try:
            with self.machine.spec.serial_log.open("rb") as file:
                file.seek(self._offset)
                data = file.read()
        except OSError:
            return
        self._offset += len(data)
        self.progress.feed(data)

    def _check_trouble(self) -> None:
        trouble, now = self.progress.trouble, time.monotonic()
        if trouble is None and not self.progress.failed:
            return
        self._troubled_at = self._troubled_at or now
        lasting = trouble is None or trouble.lasting or self.progress.failed
        if lasting and now - self._troubled_at > GRACE_SECONDS:
            raise self._failure()
        if now - max(self._troubled_at, self._moved) > DOUBT_SECONDS:
            raise self._failure()

    def _check_stuck(self) -> None:
        now = time.monotonic()
        if now - self._looked < _LOOK_SECONDS:
            return
        self._looked = now
        if self._moves():
            return
        accelerator = self.machine.spec.accelerator
        if not accelerator.proven and not self.progress.tail and now - self._moved > DOUBT_SECONDS:
            raise AcceleratorError(f"the installer's kernel says nothing under {accelerator.name.upper()}")
        if now - self._moved > STUCK_SECONDS:
            raise InstallationError(
                f"The installer of {self._installation.name} stands while {self.progress.phase}: "
                f"nothing on its console or disk for {STUCK_SECONDS / 60:.0f} minutes.",
                details=self._words(),
                hint="It may wait for an answer; the screenshot and the serial log show it.",
            )

    def _moves(self) -> bool:
        """Whether something happened since the last time one asked."""
        seen = self.machine.progress()
        if seen == self._seen:
            return False
        self._seen, self._moved = seen, time.monotonic()
        return True

    def _result(self) -> Installed:
        progress = self.progress
        done = progress.configured or not self._installation.marked
        if progress.failed or (progress.trouble is not None and not done):
            raise self._failure()
        if not done:
            how = "restarted" if self._restarted() else "powered off"
            raise InstallationError(
                f"The installer of {self._installation.name} {how} before it was done, "
                f"while {progress.phase}.",
                details=self._words(),
                hint="See the serial log in the failure bundle.",
            )
        return Installed(tuple(progress.has), tuple(progress.warnings))

    def _restarted(self) -> bool:
        return any(
            "reset" in event["data"].get("reason", "") for event in self.machine.qmp.events("SHUTDOWN")
        )

    def _failure(self) -> InstallationError:
        trouble, failed = self.progress.trouble, self.progress.failed
        name = self._installation.name
        if trouble is not None:
            also = (f"Its scripts say: {failed}",) if failed else ()
            return InstallationError(
                f"The installer of {name} {trouble.message}.",
                details=(*also, *self._words()),
                hint=trouble.hint,
            )
        return InstallationError(
            f"The installation of {name} failed: {failed}.", details=self._words(), hint="See the serial log."
        )

    def _too_long(self) -> InstallationTimeoutError:
        return InstallationTimeoutError(
            f"The installation of {self._installation.name} took longer than "
            f"{self._installation.time_limit / 60:g} minutes (x-goldsmith.timeout).",
            details=(f"It was {self.progress.phase}.", *self._words()),
            hint="Raise x-goldsmith.timeout of the source; without KVM an installer takes 10 to 20 times "
            "as long.",
        )

    def _words(self) -> tuple[str, ...]:
        """What explains it, and what was said last."""
        tail = list(self.progress.tail)
        return (*(line for line in self.progress.remarks if line not in tail), *tail)


@contextmanager
def _bundled(follower: _Follower, folder: Path, services: Services) -> Iterator[None]:
    """A failure leaves everything that can be seen of it, while the machine is still there."""
    try:
        yield
    except AcceleratorError:
        raise
    except GoldsmithError as error:
        if isinstance(error, BuildTimeoutError) and not isinstance(error, InstallationTimeoutError):
            error.details = (f"The installer was {follower.progress.phase}.", *error.details)
        _collect(error, follower, folder, services)
        raise


def _collect(error: GoldsmithError, follower: _Follower, folder: Path, services: Services) -> None:
    from builder.vm.failure import write_bundle

    try:
        error.bundle = str(
            write_bundle(
                _run_folder(folder, services) / "failure",
                machine=follower.machine,
                guest=None,
                step="Installing from the ISO",
                tail=tuple(follower.progress.tail),
                error=error,
                redactor=services.redactor,
            )
        )
    except OSError as problem:
        services.bus.warn(f"The failure bundle could not be written: {problem}", code="NoBundle")


def _run_folder(folder: Path, services: Services) -> Path:
    return services.home.runs / services.run_id if services.run_id else folder


def _log(folder: Path, services: Services) -> Path:
    path = _run_folder(folder, services) / "installation.log"
    path.parent.mkdir(parents=True, exist_ok=True)
    return path


def _scrub(log: Path, services: Services) -> None:
    """QEMU wrote it past the redactor."""
    if log.exists():
        data = log.read_bytes()
        clean = services.redactor.scrub_bytes(data)
        if clean != data:
            log.write_bytes(clean)


def _check_disk(installation: Installation, disk: Path) -> None:
    """A user's own kickstart may have done nothing at all."""
    try:
        found = partitions(disk)
    except PartitionTableError:
        found = []
    if not found:
        raise InstallationError(
            f"The installer of {installation.name} powered off and left an empty disk.",
            hint="Does the kickstart partition the disk (zerombr, clearpart, part)?",
        )
