"""The file systems of an image as its own /etc/fstab joins them, looked into offline."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath

from builder.disk.ext4 import Ext4Image
from builder.disk.fat import FatImage
from builder.disk.filesystem import VIEWS, FileSystem, file_systems, on_data_disk
from builder.disk.partitions import Partition
from builder.disk.view import FileView
from templates.errors import GoldsmithError

ESP_TYPES = {"C12A7328-F81F-11D2-BA4B-00A0C93EC93B", "0xef"}
_ESP_PLACE = "/boot/efi"
_MAX_LINKS = 40
# Not on the disk, or nothing to find in them.
_ELSEWHERE = {"swap", "tmpfs", "proc", "sysfs", "devpts", "nfs", "nfs4", "cifs", "iso9660", "9p", "overlay"}
_FIRST_DISK = re.compile(r"/dev/(?:(?:s|v|xv|h)da|nvme0n1p|mmcblk0p)(\d+)")
# A data disk by its lun, as the guest has it here and in Azure.
_DATA_DISK = re.compile(
    r"/dev/disk/(?:by-id/(?:virtio-|ata-QEMU_HARDDISK_)|azure/scsi1/)lun(\d+)(?:-part(\d+))?"
)
_BY = {"uuid": "UUID", "label": "LABEL", "partuuid": "PARTUUID", "partlabel": "PARTLABEL"}


class MountedImage:
    """Several file systems as one tree: `mounts` maps mount points, "/" among them, to views.

    Symbolic links are followed across them. Nothing is looked at twice: a look costs a process.
    """

    def __init__(self, mounts: Mapping[str, FileView], *, links_cross: bool = True) -> None:
        self._mounts = dict(mounts)
        # Following every link by ourselves costs a process each; without need the root's view does it.
        self._links_cross = links_cross and len(self._mounts) > 1
        self._links: dict[str, str | None] = {}
        self._files: dict[str, bytes | None] = {}
        self._directories: dict[str, list[str] | None] = {}

    def read(self, path: str) -> bytes | None:
        """The content of a file; None when there is none."""
        if path not in self._files:
            view, inner = self._at(self._real(path))
            self._files[path] = view.read(inner)
        return self._files[path]

    def forget(self, path: str) -> None:
        """Keep the content of a file no longer."""
        self._files.pop(path, None)

    def listdir(self, path: str) -> list[str] | None:
        """The names in a directory, sorted; None when there is none."""
        if path not in self._directories:
            view, inner = self._at(self._real(path))
            self._directories[path] = view.listdir(inner)
        return self._directories[path]

    def foresee(self, files: Iterable[str], directories: Iterable[str]) -> None:
        """Look at many paths before they are asked for: those of the root file system at the cost of one."""
        root = self._mounts.get("/")
        # Across links each part of a path has to be looked at anyway.
        if self._links_cross or not isinstance(root, Ext4Image):
            return
        contents, names = root.look(
            [path for path in files if self._at(path)[0] is root],
            [path for path in directories if self._at(path)[0] is root],
        )
        self._files.update(contents)
        self._directories.update(names)

    def _at(self, path: str) -> tuple[FileView, str]:
        for point in sorted(self._mounts, key=len, reverse=True):
            if point == "/":
                return self._mounts[point], path
            if path == point or path.startswith(f"{point}/"):
                return self._mounts[point], path[len(point) :] or "/"
        raise ValueError("no root is mounted")

    def _real(self, path: str) -> str:
        if not self._links_cross:
            return path
        done, left, links = PurePosixPath("/"), list(PurePosixPath(path).parts[1:]), 0
        while left:
            part = left.pop(0)
            if part == "..":
                done = done.parent
                continue
            target = self._link(str(done / part))
            if target is None:
                done = done / part
                continue
            links += 1
            if links > _MAX_LINKS:
                return path
            parts = PurePosixPath(target).parts
            if target.startswith("/"):
                done, parts = PurePosixPath("/"), parts[1:]
            left = [*parts, *left]
        return str(done)

    def _link(self, path: str) -> str | None:
        if path not in self._links:
            view, inner = self._at(path)
            self._links[path] = view.readlink(inner) if inner != "/" else None
        return self._links[path]


def join(
    path: Path, root: Partition, view: FileView, data_disks: Mapping[int, Path] | None = None
) -> tuple[MountedImage, tuple[str, ...]]:
    """The whole tree of an image whose root is `view`, and what could not be looked into, in words.

    `data_disks` (by lun) belong to it as far as its fstab mounts them. Raises PartitionTableError.
    """
    found = {system.partition.number: system for system in file_systems(path)}
    disks: dict[int | None, Path] = {None: path, **dict((data_disks or {}).items())}
    beside = [one for lun, disk in (data_disks or {}).items() for one in on_data_disk(disk, lun)]
    mounts: dict[str, FileView] = {"/": view}
    unproved: list[str] = []
    seen = {root.number}
    for device, point, kind, options in _fstab(view.read("/etc/fstab") or b""):
        system = _match(device, [*found.values(), *beside])
        if system is None:
            if "mapper" in device or not {"nofail", "noauto"} & options:
                unproved.append(f"{point} ({kind} on {device})")
            continue
        if system.lun is None:
            seen.add(system.partition.number)
        _mount(disks[system.lun], system, point, mounts, unproved)
    for system in found.values():
        if system.partition.number in seen:
            continue
        if system.partition.type_guid in ESP_TYPES and _ESP_PLACE not in mounts:
            _mount(path, system, _ESP_PLACE, mounts, unproved)
        elif system.kind not in ("", "swap"):
            unproved.append(f"partition {system.partition.number} ({system.kind}, not in fstab)")
    crossing = any(not isinstance(item, FatImage) for point, item in mounts.items() if point != "/")
    return MountedImage(mounts, links_cross=crossing), tuple(unproved)


def _mount(
    path: Path, system: FileSystem, point: str, mounts: dict[str, FileView], unproved: list[str]
) -> None:
    try:
        if system.kind in VIEWS:
            mounts[point] = VIEWS[system.kind](path, system.partition.start)
            return
        unproved.append(f"{point} ({system.kind or 'unknown file system'})")
    except GoldsmithError as error:
        unproved.append(f"{point} ({system.kind}: {error.message})")


def _fstab(content: bytes) -> Iterator[tuple[str, str, str, set[str]]]:
    """Device, mount point, type and options of what fstab(5) mounts from a disk, the root left out."""
    for line in content.decode(errors="replace").splitlines():
        fields = [] if line.lstrip().startswith("#") else line.split()
        if len(fields) < 3:
            continue
        device, point, kind = (field.replace("\\040", " ") for field in fields[:3])
        options = set(fields[3].split(",")) if len(fields) > 3 else set()
        somewhere = point.startswith("/") and point != "/"
        if not somewhere or kind in _ELSEWHERE or {"bind", "rbind"} & options:
            continue
        yield device, str(PurePosixPath(point)), kind, options


def _match(device: str, systems: Sequence[FileSystem]) -> FileSystem | None:
    """The partition that fstab's first field names; None when it is on none of these disks."""
    numbered, by_lun = _FIRST_DISK.fullmatch(device), _DATA_DISK.fullmatch(device)
    tag, _, value = device.partition("=")
    if device.startswith("/dev/disk/by-"):
        kind, _, value = device.removeprefix("/dev/disk/by-").partition("/")
        tag = _BY.get(kind, "")
    value = value.strip('"').casefold()
    for system in systems:
        part = system.partition
        names = {
            "UUID": system.uuid,
            "LABEL": system.label,
            "PARTUUID": part.unique,
            "PARTLABEL": part.name,
        }
        if numbered and system.lun is None and int(numbered[1]) == part.number:
            return system
        if by_lun and (int(by_lun[1]), int(by_lun[2] or 0)) == (system.lun, part.number):
            return system
        if value and names.get(tag, "").casefold() == value:
            return system
    return None
