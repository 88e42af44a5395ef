"""Gathers the facts that the rules look at from a file: read only, nothing of it is run."""

from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from builder.disk import filesystem, foresight, formats, mounted, vhd
from builder.disk.fat import FatImage
from builder.disk.partitions import PartitionTableError
from builder.errors import NotFoundError, PreflightError
from builder.gate import boot_entry, initramfs
from builder.gate.partitions import esp_of, has_bios_boot
from builder.gate.subject import CUT, Container, Guest, Subject, Table
from templates.errors import GoldsmithError

if TYPE_CHECKING:
    from builder.disk.mounted import MountedImage
    from builder.sources.base import Generation, OsType

_SECTOR = 512
_BOOT_CODE = 440
_MOST_FOLDERS = 32
_WINDOWS = ("ntfs",)
# What a damaged file system can make of a reader, beside its own errors.
UNREADABLE = (
    *(GoldsmithError, OSError, struct.error),
    *(ValueError, LookupError, ArithmeticError, RecursionError, MemoryError),
)


def inspect(
    path: Path,
    *,
    os_type: OsType | None = None,
    generation: Generation | None = None,
    user: str = "",
    data_disks: Mapping[int, Path] | None = None,
) -> tuple[Subject, MountedImage | None]:
    """The facts about an image, and its files. What is not given is told by its partitions, as far as
    it can be.

    Raises NotFoundError and PreflightError for a file that cannot be read.
    """
    container = container_of(path)
    if not container.is_plain:
        what = container.format or "of no format that is known here"
        why = f"the disk cannot be looked into: the file is {what}, not a fixed VHD"
        return Subject(container, why, why, os_type, generation, user), None
    table = _table_of(path)
    subject = Subject(
        container, table, "", os_type or _os_of(table), generation or _generation_of(table), user
    )
    if subject.os_type == "Windows":
        return replace(subject, guest_or_why="nothing here looks into Windows' file system (NTFS)"), None
    if not table.scheme:
        return replace(subject, guest_or_why="there is no partition table that can be read"), None
    try:
        image, unread = mounted.join(path, *filesystem.find_root(path), dict(data_disks or {}))
        guest = _guest_of(image, unread)
    except UNREADABLE as error:
        return replace(subject, guest_or_why=reason(error)), None
    return replace(subject, guest_or_why=guest, os_type="Linux"), image


def container_of(path: Path) -> Container:
    """The file as far as its end and its beginning say. Raises NotFoundError, PreflightError."""
    try:
        size = path.stat().st_size
        with path.open("rb") as file:
            file.seek(max(0, size - vhd.FOOTER_SIZE))
            end = file.read(vhd.FOOTER_SIZE)
            file.seek(0)
            start = file.read(_SECTOR)
    except FileNotFoundError:
        raise NotFoundError(f"The file {path} does not exist.") from None
    except OSError as error:
        raise PreflightError(f"{path} cannot be read: {error.strerror or error}.") from error
    try:
        return Container(path, size, vhd.parse_footer(end), "vhd")
    except vhd.VhdError:
        pass
    if start.startswith(vhd.COOKIE):
        return Container(path, size, None, "", "it begins as a dynamic VHD and was cut")
    try:
        found = formats.detect(path)
    except GoldsmithError as error:
        if start[510:] == b"\x55\xaa":
            return Container(path, size, None, CUT, "its end was cut off, or something was appended")
        return Container(path, size, None, "", f"{error.message[0].lower()}{error.message[1:].rstrip('.')}")
    except (struct.error, ValueError, LookupError) as error:
        return Container(path, size, None, "", f"its header makes no sense ({error})")
    name = {"raw": "a raw disk"}.get(found.format, f"a {found.format} file")
    return Container(path, size, None, found.format, f"it is {name}")


def _table_of(path: Path) -> Table:
    try:
        with path.open("rb") as file:
            first = file.read(_SECTOR * 9)
        systems = tuple(filesystem.file_systems(path))
    except PartitionTableError as error:
        large = first[4096:4104] == b"EFI PART"
        return Table("", problem="it is one for sectors of 4096 bytes." if large else error.message)
    except UNREADABLE as error:
        return Table("", problem=reason(error))
    types = {first[450 + 16 * number] for number in range(4)}
    table = Table("gpt" if 0xEE in types else "mbr", systems, any(first[:_BOOT_CODE]))
    esp = esp_of(table)
    return replace(table, esp=_esp_files(path, esp)) if esp is not None and esp.kind == "vfat" else table


def _esp_files(path: Path, esp: filesystem.FileSystem) -> frozenset[str] | str:
    """The boot files, paths in upper case as FAT compares them; why they are not known."""
    try:
        view = FatImage(path, esp.partition.start)
        return frozenset(
            f"/EFI/{folder}/{name}".upper()
            for folder in (view.listdir("/EFI") or ())[:_MOST_FOLDERS]
            for name in view.listdir(f"/EFI/{folder}") or ()
        )
    except UNREADABLE as error:
        return f"the EFI system partition cannot be read: {reason(error)}"


def _os_of(table: Table) -> OsType | None:
    """Windows where nothing but NTFS can hold a system; a Linux shows when its root is found."""
    kinds = {one.kind for one in table.systems} - {"", "vfat"}
    return "Windows" if kinds and kinds <= set(_WINDOWS) else None


def _generation_of(table: Table) -> Generation | None:
    """Of a disk that only one firmware starts from; None where both do, or neither."""
    first = table.scheme == "mbr" or has_bios_boot(table)
    second = esp_of(table) is not None
    if first == second:
        return None
    return "V1" if first else "V2"


def _guest_of(image: MountedImage, unread: tuple[str, ...]) -> Guest:
    entry = foresight.ask(image, boot_entry.find)
    found: dict[str, initramfs.Contents | str] = {}
    for path in entry.initrds if entry is not None else ():
        try:
            data = image.read(path)
            found[path] = initramfs.read(data) if data is not None else "there is no such file"
        except initramfs.InitramfsError as error:
            found[path] = str(error)
        except UNREADABLE as error:
            found[path] = reason(error)
        image.forget(path)
    return Guest(image, entry, found, unread)


def reason(error: BaseException) -> str:
    """Why something cannot be told, for people."""
    if isinstance(error, GoldsmithError):
        said = "; ".join((error.message.rstrip("."), *error.details[:4]))
        return f"{said} ({error.hint.rstrip('.')})" if error.hint else said
    return f"what is on it makes no sense ({type(error).__name__}: {error})"
