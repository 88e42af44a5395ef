"""Putting files where targets want them: space, permissions, and errors a person understands."""

from __future__ import annotations

import errno
import re
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from builder.disk.data_disk import beside
from builder.disk.extents import allocated_size, link_or_copy, sync_file
from builder.disk.vhd import check_fixed_vhd
from builder.errors import EnvironmentProblem, PreflightError

if TYPE_CHECKING:
    from builder.distributors.base import FinishedDataDisk
    from builder.registry.records import DataDiskRecord

GIB = 1024**3
READ_ONLY = 0o444
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.()\-]{0,89}")


def folder_name(name: str) -> str:
    """An ARM name as a folder's name, in one case. Raises PreflightError for what cannot be one."""
    if not _NAME.fullmatch(name) or name.endswith("."):
        raise PreflightError(
            f"The name '{name}' is invalid: letters, digits, underscores, periods, dashes and parentheses, "
            "at most 90, starting with a letter, digit or underscore and not ending with a period."
        )
    return name.casefold()


def link_into_home(vhd: Path, place: Path) -> None:
    """Give the finished VHD a read-only name inside the home, on disk when it returns.

    All such names are the same file (design.md, Artifact). A broken VHD gets none: raises VhdError.
    """
    check_fixed_vhd(vhd)
    with explained(place):
        place.parent.mkdir(parents=True, exist_ok=True)
        link_or_copy(vhd, place)
        place.chmod(READ_ONLY)
        sync_file(place)


def link_data_disks(disks: Sequence[FinishedDataDisk], place: Path) -> tuple[DataDiskRecord, ...]:
    """Give the data disks of the image at `place` their names beside it, as `link_into_home` does."""
    from builder.registry.records import DataDiskRecord

    made = []
    for disk in disks:
        path = beside(place, disk.lun)
        link_into_home(disk.vhd, path)
        made.append(DataDiskRecord(disk.lun, path, disk.virtual_size, allocated_size(path), disk.digest))
    return tuple(made)


def require_space(folder: Path, needed: int) -> None:
    """Raises EnvironmentProblem when the file system of `folder` has fewer than `needed` bytes free."""
    usage = shutil.disk_usage(existing_parent(folder))
    if not usage.total:  # /proc and its like: no space could be freed there
        raise EnvironmentProblem(
            f"{folder} cannot be written: its file system holds no files.", hint="Choose another place."
        )
    free = usage.free
    if free < needed:
        raise EnvironmentProblem(
            f"Not enough space in {folder}: {free / GIB:.1f} GiB are free, "
            f"{needed / GIB:.1f} GiB are needed.",
            hint="Free some space ('build gc' helps), or choose another place.",
        )


def space_for(vhd: Path, folder: Path) -> None:
    """Raises EnvironmentProblem when a sparse copy of `vhd` would not fit."""
    require_space(folder, allocated_size(vhd))


def existing_parent(path: Path) -> Path:
    """The nearest folder above `path`, or `path` itself, that is there."""
    return next((p for p in (path, *path.parents) if p.exists()), Path("/"))


@contextmanager
def explained(path: Path) -> Iterator[None]:
    """Turn the operating system's refusals while writing `path` into EnvironmentProblem."""
    try:
        yield
    except OSError as error:
        hints = {
            errno.ENOSPC: "Free some space, or choose another place.",
            errno.EDQUOT: "Your quota is used up: free some space, or choose another place.",
            errno.EFBIG: "The file system takes no files of that size; choose another place.",
        }
        raise EnvironmentProblem(
            f"{path} cannot be written: {error.strerror or error}.", hint=hints.get(error.errno or 0)
        ) from error
