"""A disk file of any format becomes a source: used where it is, or unpacked and converted once."""

from __future__ import annotations

from pathlib import Path

from builder.disk import qemu_img
from builder.disk.extents import link_or_copy
from builder.disk.formats import DetectedFormat, DiskFormatError, detect
from builder.disk.graph import BlockGraph
from builder.errors import PreflightError
from builder.events import Wait
from builder.process import ProcessError
from builder.services import Services
from builder.sources.base import SourceDisk
from builder.sources.bases import MadeDisk

_CONVERT_SECONDS = 1800.0


def open_in_place(path: Path, declared: str | None, services: Services) -> SourceDisk | None:
    """The disk in a raw, qcow2 or fixed VHD file; None for what `import_disk` has to convert or unpack.

    Raises DiskFormatError for a file that is not what was declared, or unsafe to open.
    """
    from builder.download.unpack import compression_of

    if compression_of(path, path.name):
        return None
    found = _detected(path, declared, services)
    return SourceDisk(BlockGraph((found.layer,)), found.size) if found.layer is not None else None


def parts_of(path: Path) -> tuple[Path, ...]:
    """The files beside a VMDK that hold its data. What is wrong with it is said when it is opened."""
    try:
        return detect(path).parts
    except PreflightError:
        return ()


def import_disk(file: Path, name: str, declared: str | None, folder: Path, services: Services) -> MadeDisk:
    """Bring the disk in `file`, published as `name`, into `folder`, as raw, fixed VHD or qcow2.

    Raises DiskFormatError, DownloadError (a compressed file is damaged), EnvironmentProblem (no room),
    ProcessError, BuildTimeoutError.
    """
    from builder.download.unpack import compression_of, unpack

    kind = compression_of(file, name)
    if kind is None:
        return _take(file, declared, folder, services)
    unpacked = folder / f"unpacked-{Path(name).stem}"
    unpack(file, kind, unpacked, deadline=services.deadline, bus=services.bus)
    try:
        return _take(unpacked, declared, folder, services)
    finally:
        unpacked.unlink()


def _take(file: Path, declared: str | None, folder: Path, services: Services) -> MadeDisk:
    found = _detected(file, declared, services)
    if found.layer is not None:
        disk = folder / f"disk.{found.format}"
        link_or_copy(file, disk)
        return MadeDisk(disk, found.layer.format, found.size)
    disk = folder / "disk.qcow2"
    with Wait(services.bus, f"Converting {file.name} from {found.subformat} {found.format}"):
        timeout = services.deadline.remaining(_CONVERT_SECONDS)
        try:
            qemu_img.convert_node(found.block_node(), disk, "qcow2", timeout=timeout)
        except ProcessError as error:
            raise DiskFormatError(
                f"The {found.format} disk {file.name} cannot be converted.",
                details=error.details,
                hint="It may be damaged, or was not closed by the program that wrote it.",
            ) from error
    size = qemu_img.info(disk, "qcow2").virtual_size
    if size != found.size:  # a header that says one thing to us and another to QEMU
        raise DiskFormatError(
            f"{file.name} contradicts itself: its header says {found.size} bytes, qemu-img reads {size}.",
            hint="Get the file anew, or convert it with the program that made it.",
        )
    return MadeDisk(disk, "qcow2", found.size)


def _detected(path: Path, declared: str | None, services: Services) -> DetectedFormat:
    found = detect(path, declared)
    for warning in found.warnings:
        services.bus.warn(warning, code="DiskFormat")
    return found
