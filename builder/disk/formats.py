"""Which format a disk file has, decided by ourselves and strictly, so that nobody has to guess.

A program that probes believes the first bytes of a file. Those of a raw disk or a fixed VHD are written
by the guest, which could make them a header that names any file of the host (CVE-2008-2004). So a
format counts only when all of its header makes sense, a VHD's footer goes before what the guest wrote,
nothing that needs another file is taken, and every program is told the format.
"""

from __future__ import annotations

import os
import stat
import struct
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, cast, get_args

from builder.disk.found import Damaged, FormatName, Found, Refused
from builder.disk.graph import DiskLayer
from builder.disk.qcow2 import read_qcow2
from builder.disk.vhd import COOKIE, DIFFERENCING, DYNAMIC, FIXED, FOOTER_SIZE, VhdFooter, parse_footer
from builder.disk.vhdx import read_vhdx
from builder.disk.vmdk import WHOLE, read_vmdk
from builder.errors import NotFoundError, PreflightError

LARGEST = 4095 * 1024**3
"""Azure's largest OS disk, in bytes (aib-template.md: osDiskSizeGB up to 4095)."""
_SECTOR = 512
_VHD_VERSION = 0x00010000
_DYNAMIC_HEADER = 1024
_QEMU_DRIVERS: dict[FormatName, str] = {"vhd": "vpc"}
_OTHER_FILES = (
    (0, b"\x1f\x8b\x08", "compressed with gzip"),
    (0, b"\xfd7zXZ\0", "compressed with xz"),
    (0, b"\x28\xb5\x2f\xfd", "compressed with zstd"),
    (0, b"BZh", "compressed with bzip2"),
    (0, b"PK\x03\x04", "a zip archive"),
    (257, b"ustar", "a tar archive (an .ova is one)"),
    (0, b"<<< ", "a VirtualBox disk (VDI)"),
    (0, b"QED\0", "a QED disk"),
    (32769, b"CD001", "an ISO"),
)


class DiskFormatError(PreflightError):
    """A disk file is not what it should be, or nobody can say what it is."""

    code = "DiskFormat"


@dataclass(frozen=True, slots=True)
class DetectedFormat:
    """A disk file whose format is certain. `size` is what a guest sees, in bytes; `warnings` are for a
    person to read; `parts` are files beside it that hold its data.
    """

    path: Path
    format: FormatName
    subformat: str
    size: int
    warnings: tuple[str, ...] = ()
    parts: tuple[Path, ...] = ()

    @property
    def driver(self) -> str:
        """How QEMU calls the format."""
        return _QEMU_DRIVERS.get(self.format, self.format)

    @property
    def layer(self) -> DiskLayer | None:
        """The file as the bottom of a graph, used where it is; None when it has to be converted first:
        machines over other formats cannot be saved (design.md, Traps, Disks).
        """
        if self.format == "qcow2":
            return DiskLayer(self.path, "qcow2")
        if self.format == "raw":
            return DiskLayer(self.path, "raw")
        if self.format == "vhd" and self.subformat == "fixed":
            return DiskLayer(self.path, "raw", self.size)
        return None

    def block_node(self) -> dict[str, Any]:
        """The file as QEMU is told of it: this driver, this file, and nothing below."""
        file = {"driver": "file", "filename": str(self.path)}
        layer = self.layer
        if layer is not None and layer.size is not None:
            return {"driver": "raw", "size": layer.size, "file": file}
        node: dict[str, Any] = {"driver": self.driver, "file": file}
        if self.format == "vhd":
            node["force_size_calc"] = "current_size"  # never a size rounded to cylinders
        return node if self.format == "raw" else {**node, "backing": None}


def detect(path: Path, declared: str | None = None) -> DetectedFormat:
    """The format of a disk file, by its content; `declared` (raw, qcow2, vhd, vhdx, vmdk) must fit.

    `raw` always fits, since a raw disk may hold anything: then it is opened as raw, with a warning when
    it looks like something else. Raises DiskFormatError, NotFoundError, and PreflightError for a file
    that cannot be read.
    """
    if declared is not None and declared not in get_args(FormatName):
        raise DiskFormatError(
            f"There is no disk format '{declared}'.", hint=f"One of {', '.join(get_args(FormatName))}."
        )
    try:
        _refuse_endless(path)
        with path.open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            looks = _Looks.of(file, path, size)
    except FileNotFoundError:
        raise NotFoundError(f"The disk image {path} does not exist.") from None
    except OSError as error:
        raise PreflightError(f"{path} cannot be read: {error.strerror or error}.") from error
    if declared == "raw":
        found = _as_raw(path, size, looks)
    else:
        known = cast("FormatName", declared)
        found = _as_declared(path, looks, known) if declared else _as_found(path, looks)
    if found.size > LARGEST:
        raise DiskFormatError(
            f"{path} is a disk of {found.size} bytes; {LARGEST} is the most an OS disk may have.",
            hint="Make a smaller one; 4095 GiB is Azure's limit.",
        )
    return found


def _refuse_endless(path: Path) -> None:
    """Opening a pipe waits for somebody who writes to it, for ever. Raises DiskFormatError, OSError."""
    mode = path.stat().st_mode
    if stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode) or stat.S_ISCHR(mode):
        raise DiskFormatError(
            f"{path} is no disk: a pipe, a socket or a device without blocks.",
            hint="Write it to a file first.",
        )


def check_whole(path: Path, parts: tuple[Path, ...]) -> None:
    """Raise DiskFormatError for a disk with `parts` beside it: the checksum of `path` proves none of them."""
    if parts:
        raise DiskFormatError(
            f"{path} has its data in other files ({parts[0].name}), and its checksum proves none of them.",
            hint=WHOLE,
        )


@dataclass(frozen=True, slots=True)
class _Looks:
    """What a file looks like: of which formats it surely is, what it begins like, what it is refused as."""

    found: tuple[Found, ...]
    problems: tuple[tuple[FormatName, Damaged | Refused], ...]
    other: str

    @classmethod
    def of(cls, file: BinaryIO, path: Path, size: int) -> _Looks:
        found: list[Found] = []
        problems: list[tuple[FormatName, Damaged | Refused]] = []
        readers: tuple[tuple[FormatName, Callable[[], Found | None]], ...] = (
            ("vhd", lambda: _read_vhd(file, size)),
            ("qcow2", lambda: read_qcow2(file, size)),
            ("vhdx", lambda: read_vhdx(file, size)),
            ("vmdk", lambda: read_vmdk(file, path)),
            ("raw", lambda: _read_raw(file, size)),
        )
        for name, reader in readers:
            try:
                one = reader()
            except (Damaged, Refused) as problem:
                problems.append((name, problem))
                continue
            except struct.error:
                problems.append((name, Damaged("it ends within its header")))
                continue
            if one is not None:
                found.append(one)
            if one is not None and (one.format, one.subformat) == ("vhd", "fixed"):
                return cls((one,), (), "")  # all that is before the footer is the guest's
        return cls(tuple(found), tuple(problems), _other_file(file))

    @property
    def names(self) -> list[str]:
        """As what it could be taken."""
        return [*(one.format for one in self.found), *(name for name, _ in self.problems)]


def _as_raw(path: Path, size: int, looks: _Looks) -> DetectedFormat:
    if size == 0 or size % _SECTOR:
        raise DiskFormatError(
            f"{path} is not a raw disk: {size} bytes are no whole number of sectors.",
            hint=f"It looks like {_listed(looks)}." if looks.names or looks.other else None,
        )
    others = [name for name in looks.names if name != "raw"]
    warnings: tuple[str, ...] = ()
    if others or looks.other:
        warnings = (
            f"{path} is used as a raw disk, as declared, although it looks like "
            f"{' and '.join(others) or looks.other}.",
        )
    return DetectedFormat(path, "raw", "", size, warnings)


def _certain(path: Path, found: Found) -> DetectedFormat:
    return DetectedFormat(path, found.format, found.subformat, found.size, parts=found.parts)


def _as_declared(path: Path, looks: _Looks, declared: FormatName) -> DetectedFormat:
    for name, problem in looks.problems:
        if name == declared:
            raise _problem(path, name, problem, declared=True)
    for one in looks.found:
        if one.format == declared:
            return _certain(path, one)
    raise DiskFormatError(
        f"{path} is not a {declared} disk, as declared: it looks like {_listed(looks)}.",
        hint="Correct 'format', or leave it out.",
    )


def _as_found(path: Path, looks: _Looks) -> DetectedFormat:
    if looks.problems:
        raise _problem(path, *looks.problems[0], declared=False)
    if len(looks.found) > 1:
        raise DiskFormatError(
            f"{path} may be {' or '.join(one.format for one in looks.found)}: it has the marks of both.",
            hint="Say which it is with 'format'. A raw disk whose guest wrote such a header is 'raw'.",
        )
    if looks.other:
        raise DiskFormatError(
            f"{path} cannot be used as a disk: it looks like {looks.other}.",
            hint="Unpack or convert it, or say 'format': 'raw' if it is a raw disk all the same.",
        )
    if not looks.found:
        raise DiskFormatError(
            f"Nobody can say which format {path} has: no header that is known, and no partition table.",
            hint="If it is a raw disk, say so with 'format': 'raw'.",
        )
    (one,) = looks.found
    return _certain(path, one)


def _problem(path: Path, name: FormatName, problem: Damaged | Refused, *, declared: bool) -> DiskFormatError:
    if isinstance(problem, Refused):
        return DiskFormatError(f"The {name} disk {path} cannot be used: {problem}.", hint=problem.hint)
    return DiskFormatError(
        f"{path} is not a sound {name} disk: {problem}.",
        hint="Get the file anew."
        if declared
        else "Get the file anew; or if it is a raw disk whose guest wrote that, say 'format': 'raw'.",
    )


def _listed(looks: _Looks) -> str:
    return " or ".join(looks.names) or looks.other or "no disk that is known here"


def _read_raw(file: BinaryIO, size: int) -> Found | None:
    """A partition table or boot sector: MBR, or GPT of disks with 512 or 4096 bytes a sector."""
    if size == 0 or size % _SECTOR:
        return None
    file.seek(0)
    start = file.read(8 * _SECTOR + 8)
    if start[510:512] == b"\x55\xaa" or b"EFI PART" in (start[512:520], start[4096:4104]):
        return Found("raw", "", size)
    return None


def _read_vhd(file: BinaryIO, size: int) -> Found | None:
    """By the footer, at the end of every VHD and copied to the start of one that is not fixed.

    Layout: "Virtual Hard Disk Image Format Specification" 1.0.
    """
    file.seek(0)
    start = file.read(FOOTER_SIZE)
    file.seek(max(0, size - FOOTER_SIZE))
    end = file.read(FOOTER_SIZE)
    if not end.startswith(COOKIE) or len(end) < FOOTER_SIZE:
        if start.startswith(COOKIE):
            raise Damaged("its footer is not at its end: it was cut")
        return None
    footer = parse_footer(end)
    if footer.checksum != footer.computed_checksum or footer.version != _VHD_VERSION:
        raise Damaged("its footer is damaged")
    if footer.disk_type == DIFFERENCING:
        raise Refused(
            "it is a differencing disk: it needs its parent",
            "Merge it in Hyper-V (Convert-VHD) and use the result.",
        )
    if footer.disk_type not in (FIXED, DYNAMIC) or not footer.current_size or footer.current_size % _SECTOR:
        raise Damaged(f"it is of the type {footer.type_name}, with a disk of {footer.current_size} bytes")
    if footer.disk_type == DYNAMIC:
        _check_dynamic(file, footer, start, size)
    elif footer.current_size + FOOTER_SIZE != size:
        raise Damaged(
            f"its footer promises a disk of {footer.current_size} bytes, there are {size - FOOTER_SIZE}"
        )
    return Found("vhd", footer.type_name, footer.current_size)


def _check_dynamic(file: BinaryIO, footer: VhdFooter, start: bytes, size: int) -> None:
    if not start.startswith(COOKIE):
        raise Damaged("the copy of its footer is not at its start")
    if footer.data_offset + _DYNAMIC_HEADER > size:
        raise Damaged("its header lies outside of the file")
    file.seek(footer.data_offset)
    header = file.read(_DYNAMIC_HEADER)
    stored = int.from_bytes(header[36:40], "big")
    if header[:8] != b"cxsparse" or ~(sum(header) - sum(header[36:40])) & 0xFFFFFFFF != stored:
        raise Damaged("its header is damaged")
    table, entries, block = struct.unpack(">Q4xII", header[16:36])
    if block & (block - 1) or block < _SECTOR or table + entries * 4 > size:
        raise Damaged("its table of blocks lies outside of the file")
    if entries * block < footer.current_size:
        raise Damaged("its table of blocks is too small for its disk")


def _other_file(file: BinaryIO) -> str:
    for at, magic, name in _OTHER_FILES:
        file.seek(at)
        if file.read(len(magic)) == magic:
            return name
    return ""
