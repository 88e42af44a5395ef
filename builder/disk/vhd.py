"""The footer of a VHD: our own reader of what Azure will read.

Layout: "Virtual Hard Disk Image Format Specification" 1.0, section "Hard Disk Footer Format". All
numbers are big-endian. Rules of a VHD for Azure: reference aib-behaviour, section 9.
"""

from __future__ import annotations

import os
import struct
import uuid
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from builder.errors import BuildError

FOOTER_SIZE = 512
COOKIE = b"conectix"
MIB = 1024**2
_LAYOUT = struct.Struct(">8sIIQI4sI4sQQHBBII16s")
_CHECKSUM_AT = 64
_EPOCH = datetime(2000, 1, 1, tzinfo=UTC)
NO_DATA_OFFSET = 0xFFFFFFFFFFFFFFFF
VERSION = 0x00010000
FIXED, DYNAMIC, DIFFERENCING = 2, 3, 4
_TYPE_NAMES = {FIXED: "fixed", DYNAMIC: "dynamic", DIFFERENCING: "differencing"}


class VhdError(BuildError):
    """A file is not the fixed VHD that Azure takes."""

    code = "InvalidVhd"


@dataclass(frozen=True, slots=True)
class VhdFooter:
    """The fields of a footer. Sizes in bytes; `geometry` is cylinders, heads, sectors."""

    features: int
    version: int
    data_offset: int
    timestamp: datetime
    creator_application: str
    creator_version: int
    creator_host_os: str
    original_size: int
    current_size: int
    geometry: tuple[int, int, int]
    disk_type: int
    checksum: int
    unique_id: uuid.UUID
    saved_state: bool
    computed_checksum: int

    @property
    def type_name(self) -> str:
        """The disk type as a word."""
        return _TYPE_NAMES.get(self.disk_type, f"unknown ({self.disk_type})")


@dataclass(frozen=True, slots=True)
class VhdInfo:
    """A VHD that passed `check_fixed_vhd`. `virtual_size` is what a guest sees, in bytes."""

    path: Path
    virtual_size: int
    file_size: int
    size_on_disk: int
    footer: VhdFooter


def checksum(footer: bytes) -> int:
    """One's complement of the sum of all bytes, the checksum field itself taken as zero."""
    total = sum(footer[:FOOTER_SIZE]) - sum(footer[_CHECKSUM_AT : _CHECKSUM_AT + 4])
    return ~total & 0xFFFFFFFF


def parse_footer(data: bytes, name: str = "VHD") -> VhdFooter:
    """Read the 512 bytes of a footer. Raises VhdError when they are none."""
    if len(data) < FOOTER_SIZE or data[:8] != COOKIE:
        raise VhdError(
            f"{name} is not a VHD: it has no footer in its last 512 bytes.",
            hint="Convert it: qemu-img convert -O vpc -o subformat=fixed,force_size=on SOURCE DISK.vhd",
        )
    (
        _cookie, features, version, data_offset, stamp, application, app_version, host_os, original, current,
        cylinders, heads, sectors, disk_type, stored, unique,
    ) = _LAYOUT.unpack_from(data)  # fmt: skip
    return VhdFooter(
        features=features,
        version=version,
        data_offset=data_offset,
        timestamp=_EPOCH + timedelta(seconds=stamp),
        creator_application=application.decode("ascii", "replace"),
        creator_version=app_version,
        creator_host_os=host_os.decode("ascii", "replace"),
        original_size=original,
        current_size=current,
        geometry=(cylinders, heads, sectors),
        disk_type=disk_type,
        checksum=stored,
        unique_id=uuid.UUID(bytes=unique),
        saved_state=bool(data[_LAYOUT.size]),
        computed_checksum=checksum(data),
    )


def read_footer(path: Path) -> VhdFooter:
    """Read the footer at the end of `path`. Raises VhdError when there is none."""
    try:
        with path.open("rb") as file:
            end = file.seek(0, os.SEEK_END)
            file.seek(max(0, end - FOOTER_SIZE))
            return parse_footer(file.read(FOOTER_SIZE), str(path))
    except OSError as error:
        raise VhdError(f"{path} cannot be read: {error.strerror or error}.") from error


def check_fixed_vhd(path: Path) -> VhdInfo:
    """Check that `path` is a VHD that Azure takes: fixed, a whole number of MiB, consistent.

    Raises VhdError naming the first rule it breaks.
    """
    footer = read_footer(path)
    stat = path.stat()
    if footer.checksum != footer.computed_checksum:
        raise VhdError(
            f"The footer of {path} is damaged: its checksum is {footer.checksum:#010x}, "
            f"it should be {footer.computed_checksum:#010x}."
        )
    if footer.disk_type != FIXED or footer.data_offset != NO_DATA_OFFSET:
        raise VhdError(
            f"{path} is a {footer.type_name} VHD; Azure takes fixed ones only.",
            hint="Convert it: qemu-img convert -f vpc -O vpc -o subformat=fixed,force_size=on OLD NEW",
        )
    if footer.version != VERSION:
        raise VhdError(
            f"{path} has the unknown VHD version {footer.version:#010x} (expected {VERSION:#010x})."
        )
    if footer.current_size % MIB or not footer.current_size:
        raise VhdError(
            f"The VHD {path} has an unsupported virtual size of {footer.current_size} bytes. "
            "The size must be a whole number (in MBs).",
            hint="Grow the raw disk to a whole MiB and convert it again.",
        )
    if stat.st_size != footer.current_size + FOOTER_SIZE:
        raise VhdError(
            f"{path} has {stat.st_size} bytes, but its footer promises {footer.current_size} "
            f"and {FOOTER_SIZE} for itself.",
            hint="The file was cut or something was appended; copy it again.",
        )
    return VhdInfo(path, footer.current_size, stat.st_size, stat.st_blocks * 512, footer)
