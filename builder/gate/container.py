"""Rules about the file: a fixed VHD of a size that Azure takes."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from typing import TYPE_CHECKING

from builder.disk.vhd import FIXED, FOOTER_SIZE, MIB, NO_DATA_OFFSET, VERSION
from builder.gate.rule import GENERATION, LINUX, UPLOAD, Fault, Rule, Seen, Unknown

if TYPE_CHECKING:
    from builder.gate.subject import Container, Subject

GIB = 1024**3
LINUX_LIMIT = 1023 * GIB
"""What the page for Linux calls the most a VHD may have."""
GENERATION_1_LIMIT = 2048 * GIB
GENERATION_2_LIMIT = 4095 * GIB
_TO_FIXED = "-O vpc -o subformat=fixed,force_size=on"
_QEMU_NAMES = {"vhd": "vpc", "vhdx": "vhdx", "qcow2": "qcow2", "vmdk": "vmdk", "raw": "raw"}


def conversion(container: Container) -> str:
    """How the file becomes a fixed VHD, in commands; "" when its format is not known."""
    driver = _QEMU_NAMES.get(container.format, "")
    if not driver:
        return ""
    name, new = _words(container.path.name), _words(container.path.with_suffix(".fixed.vhd").name)
    convert = f"qemu-img convert -f {driver} {_TO_FIXED} {name} {new}"
    whole = f"truncate -s %1M {name}; " if driver == "raw" and container.file_size % MIB else ""
    return whole + convert


def _words(name: str) -> str:
    """A file's name, as a shell takes it for one and no option: the commands are there to be pasted."""
    return shlex.quote(f"./{name}" if name.startswith("-") else name)


def _footer(subject: Subject) -> Iterator[Fault | Seen]:
    container = subject.container
    footer = container.footer
    if footer is None:
        fix = conversion(container)
        yield Fault(
            f"The file has no VHD footer: {container.problem}.",
            f"Convert it: {fix}" if fix else "Get the file anew: it was cut, or something was appended.",
            f"{container.file_size} bytes, the last {FOOTER_SIZE} do not begin with 'conectix'",
        )
        return
    if footer.checksum != footer.computed_checksum:
        yield Fault(
            "The footer is damaged: its checksum is wrong.",
            "Get the file anew, or make it anew from the raw disk.",
            f"{footer.checksum:#010x} is stored, {footer.computed_checksum:#010x} would be right",
        )
    if footer.version != VERSION:
        yield Fault(
            f"The footer has the unknown version {footer.version:#010x}.", "", f"expected {VERSION:#010x}"
        )
    yield Seen(f"made by '{footer.creator_application.strip()}', {footer.current_size} bytes")


def _fixed(subject: Subject) -> Iterator[Fault | Seen]:
    container = subject.container
    footer = container.footer
    if footer is None:
        raise Unknown("there is no VHD footer that would say so")
    if footer.disk_type != FIXED or footer.data_offset != NO_DATA_OFFSET:
        yield Fault(
            f"It is a {footer.type_name} VHD; Azure takes fixed ones only.",
            f"Convert it: {conversion(container)}",
            f"disk type {footer.disk_type}, data offset {footer.data_offset:#x}",
        )
    yield Seen("fixed")


def _whole_mib(subject: Subject) -> Iterator[Fault | Seen]:
    size = subject.container.virtual_size
    if not size or size % MIB:
        name = _words(subject.container.path.name)
        yield Fault(
            f"The VHD {subject.container.path.name} has an unsupported virtual size of {size} bytes. "
            "The size must be a whole number (in MBs).",
            f"qemu-img convert -f vpc -O raw {name} disk.raw; truncate -s %1M disk.raw; "
            f"qemu-img convert -f raw {_TO_FIXED} disk.raw new.vhd",
            f"{size} = {size // MIB} MiB and {size % MIB} bytes",
        )
    yield Seen(f"{size // MIB} MiB")


def _file_size(subject: Subject) -> Iterator[Fault | Seen]:
    container = subject.container
    footer = container.footer
    if footer is not None and footer.disk_type != FIXED:
        raise Unknown(f"it is a {footer.type_name} VHD, whose file may have any size")
    wanted = container.virtual_size + FOOTER_SIZE
    if container.file_size != wanted:
        yield Fault(
            "The file is not as large as its footer promises.",
            "The file was cut or something was appended; copy it again.",
            f"{container.file_size} bytes, expected {wanted}: the disk and {FOOTER_SIZE} for the footer",
        )
    yield Seen("disk and footer, nothing else")


def _size_limit(subject: Subject) -> Iterator[Fault | Seen]:
    size = subject.container.virtual_size
    shown = f"{size / GIB:,.0f} GiB"
    if size > GENERATION_2_LIMIT:
        yield Fault("No OS disk may have more than 4,095 GiB.", "Make a smaller disk.", shown)
    elif size > GENERATION_1_LIMIT:
        if subject.generation == "V1":
            message = "An OS disk of generation 1 may have 2 TiB at most."
            yield Fault(message, "Make a smaller disk, or an image of generation 2.", shown)
        elif subject.generation is None:
            raise Unknown(f"{shown} are too much for generation 1 only, and the generation is not known")
    if size > LINUX_LIMIT and subject.os_type != "Windows":
        yield Fault(
            "The page for Linux allows a VHD 1,023 GB at most.",
            "Make a smaller disk: Azure grows it when a VM asks for more.",
            shown,
            "warning",
        )
    yield Seen(shown)


RULES = (
    Rule("vhd-footer", "A VHD with a sound footer", UPLOAD, "error", _footer),
    Rule("fixed-type", "Fixed, neither dynamic nor VHDX", LINUX, "error", _fixed),
    Rule("whole-mib", "The virtual size is a whole number of MiB", LINUX, "error", _whole_mib),
    Rule("file-size", "The file is the disk and 512 bytes of footer", UPLOAD, "error", _file_size),
    Rule("size-limit", "Not larger than its generation allows", GENERATION, "error", _size_limit),
)
