"""`build images export`: an image as a file for somebody else.

Each file is made under a hidden name beside its place, brought to the disk, and gets its name in one step,
those of an image one after the other when all are whole. A SIGKILL leaves hidden names that `build gc` knows.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from builder.cancellation import deferred
from builder.disk import conversion, extents, qemu_img, vhd
from builder.disk.extents import part_of, sync_directory, sync_file
from builder.disk.graph import BlockGraph, DiskLayer
from builder.distributors.files import explained, require_space
from builder.errors import ConflictError, UsageError
from builder.events import Wait
from builder.interchange.kind import Kind, beside
from builder.interchange.packing import compress
from builder.interchange.scratch import Scratch

if TYPE_CHECKING:
    from builder.distributors.base import FinishedImage
    from builder.services import Services

_MODE = 0o644
_VMDK_DESCRIPTOR = slice(512, 21 * 512)


@dataclass(frozen=True, slots=True)
class ExportedFile:
    """A file that was written. `lun` is None for the OS disk; bytes: `size` of the file, `virtual_size` of
    the disk in it. `digest` is that of the disk's content, `sha256` the file's, when it was asked for.
    """

    path: Path
    lun: int | None
    size: int
    virtual_size: int
    digest: str
    sha256: str = ""


@dataclass(frozen=True, slots=True)
class _Disk:
    """A disk to export, and its names: the unfinished file's, and the one it gets."""

    lun: int | None
    vhd: Path
    size: int
    digest: str
    part: Path
    place: Path


def export(
    image: FinishedImage,
    file: Path,
    kind: Kind,
    services: Services,
    *,
    force: bool = False,
    checksum: bool = False,
) -> tuple[ExportedFile, ...]:
    """Write the disks of `image` to `file` and, for data disks, beside it. All or nothing; `checksum` adds a
    `<file>.sha256` as sha256sum reads it. Raises ConflictError for a file that is there (without `force`),
    UsageError, EnvironmentProblem (no room, no program), BuildError.
    """
    disks = _disks(image, file.absolute())
    sums = disks[0].place.with_name(f"{disks[0].place.name}.sha256")
    places = [disk.place for disk in disks] + ([sums] if checksum else [])
    _check_places(places, image, force=force)
    run_id = services.run_id
    scratch = Scratch(
        services.home, run_id, run_id=run_id, what=f"The export to {file.name}", bus=services.bus
    )
    with scratch:
        made: dict[Path, str] = {}
        for disk in disks:
            _make(disk, kind, scratch, services)
            made[disk.place] = _sha256(disk, services) if checksum else ""
        files = tuple(_exported(disk, made[disk.place]) for disk in disks)
        _give_names(disks, made if checksum else None, sums, force=force)
    return files


def _disks(image: FinishedImage, file: Path) -> list[_Disk]:
    found = [_Disk(None, image.vhd, image.virtual_size, image.digest, part_of(file), file)]
    for disk in image.data_disks:
        place = beside(file, disk.lun)
        found.append(_Disk(disk.lun, disk.vhd, disk.virtual_size, disk.digest, part_of(place), place))
    return found


def _check_places(places: Sequence[Path], image: FinishedImage, *, force: bool) -> None:
    folder = places[0].parent
    if not folder.is_dir():
        raise UsageError(f"{folder} is no folder.", hint="Make it, or name another place.")
    for place in places:
        if place.is_dir():
            raise UsageError(f"{place} is a folder.", hint="Name a file.")
        if place.exists() and not force:
            raise ConflictError(f"{place} is there already.", hint="--force replaces it.")
        for own in (image.vhd, *(disk.vhd for disk in image.data_disks)):
            if place.exists() and place.samefile(own):
                raise UsageError(f"{place} is a disk of the image itself.")


def _make(disk: _Disk, kind: Kind, scratch: Scratch, services: Services) -> None:
    """The unfinished file, whole and on the disk."""
    require_space(disk.place.parent, extents.allocated_size(disk.vhd) if not kind.stream else 0)
    scratch.announce(disk.part)
    vhd.check_fixed_vhd(disk.vhd)
    what = f"Exporting {disk.place.name}"
    if kind.stream is None:
        _write(disk, kind, disk.part, what, scratch, services)
    elif kind.format in ("vhd", "raw"):  # the file is there as it is to be compressed
        size = disk.size + vhd.FOOTER_SIZE if kind.format == "vhd" else disk.size
        _pack(disk.vhd, size, disk, kind, what, services)
    else:
        plain = part_of(disk.place)
        scratch.announce(plain)
        try:
            _write(disk, kind, plain, what, scratch, services)
            _pack(plain, plain.stat().st_size, disk, kind, f"Compressing {disk.place.name}", services)
        finally:
            plain.unlink(missing_ok=True)
    with explained(disk.place):
        disk.part.chmod(_MODE & ~_umask())
        sync_file(disk.part)


def _write(disk: _Disk, kind: Kind, part: Path, what: str, scratch: Scratch, services: Services) -> None:
    with Wait(services.bus, what) as wait:
        if kind.format == "vhd":
            with explained(part):
                extents.clone(disk.vhd, part, announce=scratch.announce)
            return
        driver, options = kind.qemu
        source = BlockGraph((DiskLayer(disk.vhd, "raw", disk.size),)).json_name()
        argv = qemu_img.convert_argv(source, part, driver)
        extra = ["-c"] if kind.inside else []
        extra += ["-o", options] if options else []
        conversion.convert(
            [*argv[:2], *extra, *argv[2:]],
            part,
            services.deadline.remaining(),
            lambda percent: wait.progress(percent * disk.size // 100, disk.size, "bytes"),
        )
    if kind.format == "vmdk":
        _name_inside(part, disk.place.name)


def _pack(source: Path, size: int, disk: _Disk, kind: Kind, what: str, services: Services) -> None:
    assert kind.stream is not None  # noqa: S101 - the caller looked
    with (
        Wait(services.bus, what) as wait,
        explained(disk.place),
        source.open("rb") as opened,
        disk.part.open("xb") as out,
    ):
        compress(
            opened,
            size,
            kind.stream,
            out.fileno(),
            deadline=services.deadline,
            progress=lambda done: wait.progress(done, size, "bytes"),
        )


def _name_inside(part: Path, name: str) -> None:
    """A VMDK's descriptor names the file it is in; it shall be the name that the file gets."""
    with part.open("r+b") as file:
        head = file.read(_VMDK_DESCRIPTOR.stop)
        old = f'"{part.name}"'.encode()
        text = head[_VMDK_DESCRIPTOR]
        if old not in text:
            return
        new = text.replace(old, f'"{name}"'.encode())
        file.seek(_VMDK_DESCRIPTOR.start)
        file.write(new.rstrip(b"\0").ljust(len(text), b"\0")[: len(text)])


def _sha256(disk: _Disk, services: Services) -> str:
    with Wait(services.bus, f"Checksum of {disk.place.name}"), disk.part.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _exported(disk: _Disk, sha256: str) -> ExportedFile:
    return ExportedFile(disk.place, disk.lun, disk.part.stat().st_size, disk.size, disk.digest, sha256)


def _give_names(disks: Sequence[_Disk], sums: Mapping[Path, str] | None, file: Path, *, force: bool) -> None:
    """Every part its name, and the sums last. What got one is taken back when another cannot."""
    named: list[Path] = []
    try:
        with explained(disks[0].place), deferred():
            for disk in disks:
                _rename(disk.part, disk.place, force=force)
                named.append(disk.place)
            if sums is not None:
                with extents.appearing(file, _MODE & ~_umask()) as out:
                    out.write("".join(f"{value}  {place.name}\n" for place, value in sums.items()).encode())
            sync_directory(disks[0].place.parent)
    except BaseException:
        for place in named if not force else ():
            with contextlib.suppress(OSError):
                place.unlink()
        raise


def _rename(part: Path, place: Path, *, force: bool) -> None:
    if force:
        part.replace(place)
        return
    try:
        place.hardlink_to(part)  # unlike a rename it replaces nothing that came meanwhile
    except FileExistsError:
        raise ConflictError(f"{place} is there already.", hint="--force replaces it.") from None
    except OSError:  # a file system without links
        if place.exists():
            raise ConflictError(f"{place} is there already.", hint="--force replaces it.") from None
        part.replace(place)
        return
    part.unlink()


def _umask() -> int:
    current = os.umask(0o022)
    os.umask(current)
    return current
