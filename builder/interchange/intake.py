"""A disk file of any format as the sparse fixed VHD that everything here lies on.

The format is decided by builder/disk/formats.py and never probed by QEMU. What needs another file (a backing
file, a parent) and what is encrypted is refused there, with what to do.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING

from builder.disk import conversion, extents, qemu_img, vhd
from builder.disk.formats import DiskFormatError, detect
from builder.disk.graph import BlockGraph
from builder.distributors.files import explained, require_space
from builder.events import Wait
from builder.process import ProcessError

if TYPE_CHECKING:
    from collections.abc import Callable

    from builder.disk.formats import DetectedFormat
    from builder.interchange.scratch import Scratch
    from builder.services import Services


LARGEST = 2040 * 1024**3
"""What a VHD holds, in bytes; qemu-img makes no larger one."""


@dataclass(frozen=True, slots=True)
class TakenDisk:
    """A disk as a fixed VHD in the scratch folder, and the format it `came_as`. Bytes: `size` as the guest
    sees it, `source_size` what the file's header says, which is less where that was no whole number of MiB.
    """

    vhd: Path
    size: int
    source_size: int
    came_as: str
    digest_of: Callable[[], str]


def take_in(
    file: Path, name: str, scratch: Scratch, services: Services, *, declared: str | None = None
) -> TakenDisk:
    """Bring the disk in `file` in, as `name` in `scratch`, unpacked where it is compressed (.gz, .xz, .zst).

    Raises DiskFormatError, NotFoundError, DownloadError (damaged compression), EnvironmentProblem (no room),
    VhdError, BuildError.
    """
    from builder.download.unpack import compression_of, unpack

    kind = compression_of(file, file.name) if file.is_file() else None
    if kind is None:
        return _convert(file, file.name, scratch.file(name), services, declared)
    unpacked = scratch.file(f"unpacked-{file.stem}"[:200])
    unpack(file, kind, unpacked, deadline=services.deadline, bus=services.bus)
    try:
        return _convert(unpacked, file.name, scratch.file(name), services, declared)
    finally:
        unpacked.unlink()


def _convert(file: Path, shown: str, made: Path, services: Services, declared: str | None) -> TakenDisk:
    found = _detected(file, declared)
    for warning in found.warnings:
        services.bus.warn(warning, code="DiskFormat")
    if found.size > LARGEST:
        raise DiskFormatError(
            f"{shown} is a disk of {found.size} bytes; a VHD holds {LARGEST} at most.",
            hint="Make its partitions and the disk smaller before.",
        )
    with explained(file):
        needed = sum(extents.allocated_size(part) for part in (file, *found.parts))
    require_space(made.parent, needed)
    came_as = " ".join(word for word in (found.subformat, found.format) if word)
    what = f"Converting {shown} from {came_as}"
    with Wait(services.bus, what) as wait:
        try:
            size = conversion.fill_vhd(
                _source(found),
                made,
                size=found.size,
                timeout=services.deadline.remaining(),
                progress=lambda percent: wait.progress(percent * found.size // 100, found.size, "bytes"),
            )
        except ProcessError as error:
            raise DiskFormatError(
                f"The {found.format} disk {shown} cannot be converted.",
                details=error.details,
                hint="It may be damaged, or was not closed by the program that wrote it.",
            ) from error
    with Wait(services.bus, f"Checking {shown}"):
        vhd.check_fixed_vhd(made)
        qemu_img.verify_with_qemu_img(made)
        # Others wait for it beside their own work: taken once, when it is first asked for.
        digest = cache(partial(extents.content_digest, made, size))
    return TakenDisk(made, size, found.size, came_as, digest)


def _source(found: DetectedFormat) -> str:
    if found.layer is not None:
        return BlockGraph((found.layer,)).json_name()
    return "json:" + json.dumps(found.block_node())


def _detected(file: Path, declared: str | None) -> DetectedFormat:
    try:
        return detect(file, declared)
    except DiskFormatError as error:
        hint = error.hint or ""
        for written, option in _OPTIONS.items():  # there is no JSON here to say it in
            hint = hint.replace(written, option)
        raise DiskFormatError(error.message, details=error.details, hint=hint or None) from error


_OPTIONS = {
    "'format': 'raw'": "--format raw",
    "with 'format'": "with --format",
    "Correct 'format'": "Correct --format",
    "is 'raw'": "is raw",
}
