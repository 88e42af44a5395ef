"""Is a finished image still what it was?"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from builder.disk.extents import content_digest
from builder.disk.partitions import partitions
from builder.disk.vhd import VhdError, check_fixed_vhd


@dataclass(frozen=True, slots=True)
class VerifyReport:
    """A sound image. Sizes in bytes; `partitions` are lines for people."""

    path: Path
    virtual_size: int
    size_on_disk: int
    digest: str
    partitions: tuple[str, ...]
    data_disks: tuple[VerifyReport, ...] = ()


def verify_vhd(path: Path, digest: str = "") -> VerifyReport:
    """Check the footer, the partition table and, when `digest` is given, the content.

    A disk without a partition table is sound; a damaged table is not. Raises VhdError,
    PartitionTableError.
    """
    if not path.is_file():
        raise VhdError(f"The file {path} is gone.", hint="Build the image again, or delete its entry.")
    info = check_fixed_vhd(path)
    found = content_digest(path, info.virtual_size)
    if digest and found != digest:
        raise VhdError(
            f"The content of {path} has changed since it was built.",
            details=(f"recorded: {digest}", f"found:    {found}"),
            hint="The file was written to, or the disk lost something: build the image again.",
        )
    return VerifyReport(path, info.virtual_size, info.size_on_disk, found, _lines(path))


def _lines(path: Path) -> tuple[str, ...]:
    with path.open("rb") as file:
        boot = file.read(512)
    if boot[510:512] != b"\x55\xaa":
        return ()
    return tuple(f"{p.number} {p.name or p.type_guid} {p.size // 1024**2} MiB" for p in partitions(path))
