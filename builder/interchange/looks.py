"""What a disk is, looked at: the firmware it starts from, its operating system, whether it is generalized."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from builder.errors import UsageError
from builder.gate.inspect import inspect
from builder.gate.partitions import esp_of, has_bios_boot
from builder.gate.subject import Guest
from builder.vm.access import BUILD_USER
from provisioners import generalized

if TYPE_CHECKING:
    from pathlib import Path

    from builder.gate.subject import Subject, Table
    from builder.sources.base import Generation, OsType

_OF_LINUX = {"ext4", "xfs", "btrfs", "LVM", "LUKS", "swap"}


@dataclass(frozen=True, slots=True)
class Looks:
    """`os_why` and `generation_why` say how each was told. `findings` is what a generalized image does not
    have, `unlooked` why nothing could be looked for; `remarks` is what else is worth knowing.
    """

    os_type: OsType
    os_why: str
    generation: Generation
    generation_why: str
    findings: tuple[str, ...] = ()
    unlooked: str = ""
    remarks: tuple[str, ...] = ()


def look_at(
    vhd: Path,
    *,
    os_type: OsType | None = None,
    generation: Generation | None = None,
    data_disks: Mapping[int, Path] | None = None,
) -> Looks:
    """Look at a fixed VHD. What is given counts; where the disk says otherwise that is a remark. Raises
    UsageError for what nobody can tell.
    """
    subject, _ = inspect(vhd, user=BUILD_USER, data_disks=data_disks)
    seen_generation, generation_why = _generation(subject)
    seen_os, os_why = _os(subject)
    remarks = []
    if generation is not None and seen_generation not in (None, generation) and not _both(subject):
        remarks.append(f"As generation {generation}, as said, it may not start: {generation_why}.")
    if os_type is not None and seen_os not in (None, os_type):
        remarks.append(f"It is taken as {os_type}, as said, but looks like {seen_os}: {os_why}.")
    if generation is None and seen_generation is None:
        raise UsageError(
            f"Nobody can tell the generation of this disk: {generation_why}.",
            hint="Say it: --generation V1 (BIOS) or --generation V2 (UEFI).",
        )
    if os_type is None and seen_os is None:
        raise UsageError(
            f"Nobody can tell the operating system on this disk: {os_why}.",
            hint="Say it: --os-type Linux or --os-type Windows.",
        )
    final_os, final_generation = os_type or seen_os, generation or seen_generation
    assert final_os is not None and final_generation is not None  # noqa: S101 - refused above
    findings, unlooked, more = _generalized(subject)
    return Looks(
        os_type=final_os,
        os_why=os_why if os_type is None else "as said",
        generation=final_generation,
        generation_why=generation_why if generation is None else "as said",
        findings=findings,
        unlooked=unlooked,
        remarks=(*remarks, *more),
    )


def _table(subject: Subject) -> Table | None:
    table = subject.table_or_why
    return table if not isinstance(table, str) and table.scheme else None


def _both(subject: Subject) -> bool:
    table = _table(subject)
    return table is not None and esp_of(table) is not None and has_bios_boot(table)


def _generation(subject: Subject) -> tuple[Generation | None, str]:
    table = _table(subject)
    if table is None:
        return None, "it has no partition table that can be read"
    if _both(subject):
        return "V2", "it has an EFI system partition (and a BIOS boot partition, too)"
    if esp_of(table) is not None:
        return "V2", "it has an EFI system partition"
    if table.scheme == "mbr":
        return "V1", "its partition table is an MBR without an EFI system partition"
    if has_bios_boot(table):
        return "V1", "it has a BIOS boot partition and no EFI system partition"
    return None, "its GPT has neither an EFI system partition nor a BIOS boot partition"


def _os(subject: Subject) -> tuple[OsType | None, str]:
    if isinstance(subject.guest_or_why, Guest):
        return "Linux", "its root file system has /etc"
    if subject.os_type == "Windows":
        return "Windows", "its partitions hold NTFS"
    table = _table(subject)
    kinds = sorted({one.kind for one in table.systems} & _OF_LINUX) if table is not None else []
    if kinds:
        return "Linux", f"its partitions hold {', '.join(kinds)}"
    return None, _why_not(subject)


def _generalized(subject: Subject) -> tuple[tuple[str, ...], str, tuple[str, ...]]:
    """What keeps it from being generalized; why nobody looked; who may enter it."""
    guest = subject.guest_or_why
    if not isinstance(guest, Guest):
        return (), _why_not(subject), ()
    found = tuple(generalized.findings(guest.files, subject.user))
    return found, "", tuple(generalized.remarks(guest.files, subject.user))


def _why_not(subject: Subject) -> str:
    """Why nothing is known of what is on it; where the disk lies meanwhile helps nobody."""
    why = subject.guest_or_why
    text = why if isinstance(why, str) and why else "it holds no Linux that can be looked into"
    return text.replace(str(subject.container.path), "it")
