"""Generalize: deprovision in the guest, flatten the disk once, prove on the result that it is clean."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from functools import cache, partial
from typing import TYPE_CHECKING

from builder.disk import extents, qemu_img, vhd
from builder.disk.data_disk import DataDisk
from builder.disk.graph import BlockGraph, DiskLayer
from builder.distributors.base import Early, FinishedDataDisk, FinishedImage
from builder.errors import BuildError
from builder.events import Wait
from builder.phases import phase
from builder.stages import proof
from provisioners import deprovision
from provisioners.guest import GuestError, GuestTimeoutError

if TYPE_CHECKING:
    from pathlib import Path

    from builder.stages.context import BuildContext, StepReport
    from builder.stages.session import Session

STEPS = 3
IMAGE = "os.vhd"
"""The finished image in the workspace."""
QUICK_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Generalized:
    """The finished image, and the proof's one line."""

    image: FinishedImage
    proof: str


def place_default_script(session: Session) -> None:
    """Lay AIB's default deprovision script where customizers may replace it (aib-behaviour section 5)."""
    path, text = deprovision.default_script(session.guest.os_type)
    session.guest.put(text.encode(), path, timeout=QUICK_SECONDS, mode=0o755)


@contextmanager
def script_kept(session: Session) -> Iterator[None]:
    """Carry the deprovision script over a restart: /tmp, where AIB has it, is emptied by one."""
    path, _ = deprovision.default_script(session.guest.os_type)
    script = _read(session, path)
    yield
    if script is not None and _read(session, path) is None:
        session.guest.put(script, path, timeout=QUICK_SECONDS, mode=0o755)


def _read(session: Session, path: str) -> bytes | None:
    try:
        return session.guest.get(path, timeout=QUICK_SECONDS)
    except GuestTimeoutError:
        raise
    except GuestError:
        return None


def run(context: BuildContext, session: Session, graph: BlockGraph, size: int) -> Generalized:
    """Deprovision, flatten, prove. Raises BuildError; the machine is off afterwards."""
    with context.step("Generalize", 1, STEPS, "Deprovision", context.source.os_type) as step:
        _deprovision(context, session, step)
    path = context.workspace.file(IMAGE)
    with context.step("Generalize", 2, STEPS, "Flatten", "VHD") as step, _phase(context, "Flatten"):
        with Wait(context.bus, "Flattening the disk"):
            qemu_img.flatten_to_vhd(graph, path, size=size, timeout=context.deadline.remaining())
            data_disks = _flatten_data_disks(context, session)
        step.detail = f"{extents.allocated_size(path) / 1024**2:.0f} MiB on disk"
    with context.step("Generalize", 3, STEPS, "Prove", "offline") as step, _phase(context, "Prove"):
        info = vhd.check_fixed_vhd(path)
        proof.settle(context, path)
        for disk in data_disks:
            proof.settle_data_disk(context, disk.vhd, disk.lun)
        for distributor in context.distributors:
            if isinstance(distributor, Early):
                distributor.begin(path)
        # All only read: the others have a core to themselves while the proof waits for its programs.
        pool = ThreadPoolExecutor(max_workers=2, thread_name_prefix="image")
        try:
            digest = pool.submit(extents.content_digest, path, info.virtual_size)
            second_opinion = pool.submit(qemu_img.verify_with_qemu_img, path)
            data_files = {disk.lun: disk.vhd for disk in data_disks}
            step.detail = proof.prove(context, path, session.access.user, data_files)
            second_opinion.result()
        finally:
            pool.shutdown(wait=False)  # the digest is asked for when it is needed, beside the targets
        vhd.check_fixed_vhd(path)  # once more, as it is handed out
    image = finished(context, path, info.virtual_size, digest.result)
    return Generalized(replace(image, data_disks=_checked(data_disks)), step.detail)


def _flatten_data_disks(context: BuildContext, session: Session) -> list[FinishedDataDisk]:
    found = []
    for disk in session.machine.spec.data_disks:
        path = context.workspace.file(f"{disk.node}.vhd")
        limit = context.deadline.remaining()
        size = qemu_img.flatten_to_vhd(disk.graph, path, size=disk.size, timeout=limit)
        digest = cache(partial(extents.content_digest, path, size))
        found.append(FinishedDataDisk(disk.lun, path, size, digest))
    return found


def _checked(data_disks: Sequence[FinishedDataDisk]) -> tuple[FinishedDataDisk, ...]:
    """As they are handed out, their digests taken: nothing writes to them any more."""
    for disk in data_disks:
        vhd.check_fixed_vhd(disk.vhd)
        qemu_img.verify_with_qemu_img(disk.vhd)
        disk.digest_of()
    return tuple(data_disks)


def finished(
    context: BuildContext,
    vhd: Path,
    virtual_size: int,
    digest_of: Callable[[], str],
    *,
    reused: bool = False,
) -> FinishedImage:
    """The image in `vhd`, a file in the workspace, as the distributors take it."""
    return FinishedImage(
        vhd=vhd,
        virtual_size=virtual_size,
        os_type=context.source.os_type,
        generation=context.source.generation,
        digest_of=digest_of,
        reused=reused,
        source=context.source.exact_version,
        template=context.template.name,
        run_id=context.run.run_id,
        source_version=context.source.version_number,
        plan=context.source.plan,
        parent=context.source.parent,
        lineage=context.lineage,
    )


def graph_of(image: FinishedImage) -> BlockGraph:
    """The finished VHD as a disk: raw, cut at the size its footer gives."""
    return BlockGraph((DiskLayer(image.vhd, "raw", image.virtual_size),))


def data_disks_of(image: FinishedImage) -> tuple[DataDisk, ...]:
    """Its data disks, likewise."""
    return tuple(
        DataDisk(
            disk.lun,
            disk.virtual_size,
            BlockGraph((DiskLayer(disk.vhd, "raw", disk.virtual_size),)),
        )
        for disk in image.data_disks
    )


def _deprovision(context: BuildContext, session: Session, step: StepReport) -> None:
    path, _ = deprovision.default_script(session.guest.os_type)
    timeout = context.deadline.remaining(120)
    with phase(context.bus, "Start deprovisioning", where="guest", stage="Generalize"):
        missing = deprovision.start(
            session.guest,
            user=session.access.user,
            timeout=timeout,
            remove_user=not session.access.declared,
        )
    session.guest.disconnect()
    if missing:
        context.bus.warn(f"A customizer removed {path}; AIB's default is used.", code="DeprovisionScript")
    with (
        Wait(context.bus, "Deprovisioning; the VM powers off by itself"),
        phase(context.bus, "Deprovision and stop", where="guest", stage="Generalize"),
    ):
        session.follow_second_serial(
            lambda line: step.on_output("stdout", line), timeout=context.deadline.remaining(deprovision.LIMIT)
        )
    report = deprovision.parse_report(session.second_serial.read_text(errors="replace"))
    step.detail = f"exit {report.deprovision_exit}"
    failed = _what_failed(report)
    if failed:
        raise BuildError(
            failed,
            details=("last lines:", *(f"  {line}" for line in report.log[-15:])),
            hint=f"The script is {path} in the guest, where a customizer may replace it.",
        )


def _phase(context: BuildContext, name: str) -> AbstractContextManager[object]:
    return phase(context.bus, name, where="engine", stage="Generalize")


def _what_failed(report: deprovision.DeprovisionReport) -> str:
    if report.deprovision_exit is None:
        return "The guest went off before the deprovision script reported its end."
    if report.deprovision_exit != 0:
        return f"The deprovision script failed with exit code {report.deprovision_exit}."
    if report.scrub_exit is None:
        return "The guest went off before its final scrub reported its end."
    if report.scrub_exit != 0:
        return f"The final scrub of the guest failed with exit code {report.scrub_exit}."
    return ""
