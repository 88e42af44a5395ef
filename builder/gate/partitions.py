"""Rules about the partition table: what the firmware of a generation can start from."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from builder.disk.mounted import ESP_TYPES
from builder.gate.rule import GENERATION, LINUX, Fault, Rule, Seen, Unknown, linux_only

if TYPE_CHECKING:
    from builder.disk.filesystem import FileSystem
    from builder.gate.subject import Subject, Table

BIOS_BOOT = "21686148-6449-6E6F-744E-656564454649"
_LVM_TYPES = {"E6D6D379-F507-44C2-A23C-238F2A3DF928", "0x8e"}
FALLBACK = "/EFI/BOOT/BOOTX64.EFI"
"""What UEFI starts from a disk it has no entry for; an image brings none (UEFI specification, 3.5.1.1)."""


def esp_of(table: Table) -> FileSystem | None:
    """The EFI system partition; None when there is none."""
    return next((one for one in table.systems if one.partition.type_guid in ESP_TYPES), None)


def has_bios_boot(table: Table) -> bool:
    """Whether a GPT has the partition that GRUB for BIOS needs."""
    return any(one.partition.type_guid == BIOS_BOOT for one in table.systems)


def _for_generation_1(subject: Subject) -> Fault | None:
    table = subject.table
    if table.scheme == "mbr":
        return None
    if subject.os_type == "Windows":
        return Fault(
            "A GPT: under a BIOS (generation 1) Windows starts from an MBR only.",
            "Make an image of generation 2, or convert the disk.",
            "GPT",
        )
    if not has_bios_boot(table):
        return Fault(
            "A GPT without a BIOS boot partition: a boot loader for generation 1 (BIOS) has no place in it.",
            "Add a partition of the type BIOS boot and install GRUB for BIOS, or make it generation 2.",
            _listed(table),
        )
    return None


def _for_generation_2(subject: Subject) -> Fault | None:
    table = subject.table
    esp = esp_of(table)
    if esp is None:
        return Fault(
            "There is no EFI system partition: generation 2 (UEFI) starts from nothing else.",
            "Install with UEFI, or make it generation 1.",
            _listed(table),
        )
    if esp.kind != "vfat":
        return Fault(
            "The EFI system partition holds no FAT file system: UEFI cannot read it.",
            "Make it FAT.",
            f"partition {esp.partition.number}: {esp.kind or 'no known file system'}",
        )
    if table.scheme == "mbr":
        return Fault(
            "An EFI system partition in an MBR: nobody here knows that Azure starts from it.",
            "Convert the table to GPT.",
            "MBR",
            "warning",
        )
    return None


def _table(subject: Subject) -> Iterator[Fault | Seen]:
    table = subject.table
    if not table.scheme:
        yield Fault(
            f"There is no partition table that can be read: {table.problem}",
            "An OS disk is partitioned, in sectors of 512 bytes.",
        )
        return
    first, second = _for_generation_1(subject), _for_generation_2(subject)
    if subject.generation is not None:
        fault = first if subject.generation == "V1" else second
        if fault is not None:
            yield fault
    elif first and second and second.severity != "warning":
        yield Fault("The disk starts under neither generation.", f"{first.fix} {second.fix}", _listed(table))
    yield from _beyond_the_end(subject)
    fits = [name for name, fault in (("generation 1", first), ("generation 2", second)) if fault is None]
    yield Seen(f"{table.scheme.upper()}, starts under {' and '.join(fits) or 'neither'}")


def _beyond_the_end(subject: Subject) -> Iterator[Fault]:
    footer = subject.container.footer
    size = footer.current_size if footer else subject.container.file_size
    for one in subject.table.systems:
        end = one.partition.start + one.partition.size
        if end > size:
            yield Fault(
                f"Partition {one.partition.number} ends behind the end of the disk.",
                "The disk was cut: make the image anew.",
                f"it ends at byte {end}, the disk at {size}",
            )


def _boot_loader(subject: Subject) -> Iterator[Fault | Seen]:
    table = subject.table
    if not table.scheme:
        raise Unknown("there is no partition table that can be read")
    if subject.generation == "V1" or (subject.generation is None and esp_of(table) is None):
        if not table.boot_code:
            yield Fault(
                "The first sector holds no boot code: a BIOS (generation 1) has nothing to start.",
                "Install the boot loader: grub-install DISK.",
                "bytes 0 to 439 are zero",
            )
        yield Seen("boot code in the first sector")
        return
    if esp_of(table) is None:
        raise Unknown("there is no EFI system partition to look for it in")
    if isinstance(table.esp, str):
        raise Unknown(table.esp)
    if FALLBACK not in table.esp:
        yield Fault(
            f"The EFI system partition has no {FALLBACK}: a new VM (generation 2) knows no other boot file.",
            "grub-install --removable, or copy the boot loader there (shim for Secure Boot).",
            ", ".join(sorted(table.esp)[:5]) or "it is empty",
        )
    yield Seen(f"{FALLBACK} on the EFI system partition")


def _standard(subject: Subject) -> Iterator[Fault | Seen]:
    table = subject.table
    for one in table.systems:
        if one.kind == "LVM" or one.partition.type_guid in _LVM_TYPES:
            yield Fault(
                f"Partition {one.partition.number} holds LVM: its names collide when the disk is attached to "
                "a VM from the same image.",
                "Use standard partitions on the OS disk.",
                _listed(table),
            )
    yield Seen(_listed(table))


def _listed(table: Table) -> str:
    parts = (
        f"{one.partition.number}: {one.kind or one.partition.name or one.partition.type_guid}"
        for one in table.systems
    )
    return f"{table.scheme.upper()}, {', '.join(parts) or 'no partition'}"


RULES = (
    Rule(
        "partition-table", "A table that its generation's firmware starts from", GENERATION, "error", _table
    ),
    Rule("boot-loader", "A boot loader where its firmware looks", GENERATION, "error", _boot_loader),
    Rule("standard-partitions", "No LVM on the OS disk", LINUX, "warning", _standard, linux_only),
)
