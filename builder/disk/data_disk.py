"""Data disks: what an image has beside its OS disk. Azure numbers them by `lun`, from 0."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from builder.disk.graph import BlockGraph

MOST = 16
"""As many are attached to a build VM at most: each is a PCI device of its own, and the root bus has room for
about twenty. An Azure VM takes 4 to 64 by its size."""


@dataclass(frozen=True, slots=True)
class DataDiskSize:
    """A data disk that will be there. `size` in bytes."""

    lun: int
    size: int


@dataclass(frozen=True, slots=True)
class DataDisk:
    """A data disk to attach. `size` in bytes as the guest sees it."""

    lun: int
    size: int
    graph: BlockGraph

    @property
    def node(self) -> str:
        """Its block node and device."""
        return node_of(self.lun)


def node_of(lun: int) -> str:
    """How QEMU and, as the disk's serial number, the guest call it: /dev/disk/by-id/virtio-lun0."""
    return f"lun{lun}"


def beside(os_disk: Path, lun: int) -> Path:
    """Where a data disk lies whose image has its OS disk at `os_disk`.

    >>> beside(Path("/out/web.vhd"), 0)
    PosixPath('/out/web-lun0.vhd')
    """
    return os_disk.with_name(f"{os_disk.stem}-{node_of(lun)}{os_disk.suffix}")


def numbered(from_source: Sequence[DataDiskSize], added: Sequence[int]) -> tuple[DataDiskSize, ...]:
    """The disks of the source and, after the highest of their luns, those the template adds (in bytes)."""
    first = max((disk.lun for disk in from_source), default=-1) + 1
    return (*from_source, *(DataDiskSize(first + place, size) for place, size in enumerate(added)))
