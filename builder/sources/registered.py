"""Opening what an earlier build distributed: a fixed VHD of the registry as a base disk."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from builder.disk import vhd
from builder.disk.data_disk import DataDisk, DataDiskSize
from builder.disk.graph import BlockGraph, DiskLayer
from builder.errors import NotFoundError
from builder.services import Services
from builder.sources.base import SourceDisk

if TYPE_CHECKING:
    from builder.registry.records import DataDiskRecord

_LISTED = 8


def identity_of(digest: str, arm_id: str, created: str) -> str:
    """What names the content: its digest, or for one without a digest the image as it was made."""
    if digest:
        return digest
    return hashlib.sha256(f"{arm_id.casefold()}\n{created}".encode()).hexdigest()


def check_there(path: Path, what: str) -> None:
    """Raise NotFoundError when the registry knows `what` and its file is gone."""
    if not path.is_file():
        raise NotFoundError(
            f"The file of {what} is gone: {path}",
            hint="Put the file back, or delete the entry and build it again.",
        )


def open_vhd(path: Path, what: str, identity: str, services: Services) -> SourceDisk:
    """The disk in a fixed VHD, without its footer. Raises NotFoundError, VhdError.

    The base keeps its own link in the cache, so that deleting the image breaks no layer on it.
    """
    check_there(path, what)
    size = vhd.check_fixed_vhd(path).virtual_size
    own = _own_link(path, identity, services.home.bases)
    return SourceDisk(BlockGraph((DiskLayer(own, "raw", size=size),)), size)


def with_data_disks(
    disk: SourceDisk, records: Sequence[DataDiskRecord], what: str, services: Services
) -> SourceDisk:
    """`disk` with the data disks of its image, each under its lun. Raises NotFoundError, VhdError."""
    opened = []
    for record in records:
        one = open_vhd(record.path, f"data disk {record.lun} of {what}", record.digest, services)
        opened.append(DataDisk(record.lun, one.size, one.graph))
    return replace(disk, data_disks=tuple(opened))


def sizes_of(records: Sequence[DataDiskRecord]) -> tuple[DataDiskSize, ...]:
    """The data disks of an image, before any of them is opened."""
    return tuple(DataDiskSize(record.lun, record.size) for record in records)


def with_known(error: NotFoundError, what: str, names: list[str]) -> NotFoundError:
    """`error` with the names that do exist."""
    if not names:
        known = f"There is no {what} yet."
    else:
        more = f" and {len(names) - _LISTED} more" if len(names) > _LISTED else ""
        known = f"{what.capitalize()}s here: {', '.join(names[:_LISTED])}{more}"
    return type(error)(error.message, details=(*error.details, known), hint=error.hint)


def _own_link(path: Path, identity: str, bases: Path) -> Path:
    folder = bases / hashlib.sha256(identity.encode()).hexdigest()
    link = folder / "disk.vhd"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if link.exists() and not link.samefile(path):
            # Equal digests: another copy of the same content serves as well, if it is whole.
            return link if link.stat().st_size == path.stat().st_size else path
        if not link.exists():
            link.hardlink_to(path)
    except OSError:
        return path  # Another file system, or one without links.
    return link
