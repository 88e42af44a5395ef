"""GRUB for BIOS by hand: boot.img into sector 0, core.img into the BIOS boot partition.

This is what grub-bios-setup does to a disk; that program needs a block device, a file has none.
The layout of both images is that of GRUB 2's i386-pc boot.S and diskboot.S.
"""

from __future__ import annotations

import struct
from pathlib import Path

from builder.errors import BuildError

SECTOR = 512
_PARTITION_TABLE = slice(0x1B8, 0x1FE)
_BPB = slice(0x03, 0x5A)
_KERNEL_SECTOR = 0x5C
_DRIVE_CHECK = 0x66
_BOOT_SIGNATURE = b"\x55\xaa"
# diskboot.img, the first sector of core.img, ends with one block list: start (8), length (2), segment (2).
_BLOCKLIST = SECTOR - 12
_BLOCKLIST_SEGMENT = 0x820
_NOP_NOP = b"\x90\x90"


def patch_boot(boot: bytes, mbr: bytes, core_sector: int) -> bytes:
    """Sector 0 of the disk: GRUB's boot code around the disk's own partition table.

    `mbr` is the sector as it is now, `core_sector` where core.img starts. Raises BuildError when
    `boot` is not a boot.img.
    """
    if len(boot) != SECTOR or boot[-2:] != _BOOT_SIGNATURE or len(mbr) != SECTOR:
        raise BuildError(f"GRUB's boot.img is not a boot sector ({len(boot)} bytes).")
    sector = bytearray(boot)
    sector[_BPB] = mbr[_BPB]
    sector[_PARTITION_TABLE] = mbr[_PARTITION_TABLE]
    struct.pack_into("<Q", sector, _KERNEL_SECTOR, core_sector)
    # As grub-bios-setup does for a hard disk: believe the drive number the BIOS gives.
    sector[_DRIVE_CHECK : _DRIVE_CHECK + 2] = _NOP_NOP
    return bytes(sector)


def patch_core(core: bytes, core_sector: int) -> bytes:
    """core.img with the block list of its own rest, which follows it without a gap.

    Raises BuildError when `core` is too small or too large to be one.
    """
    sectors = -(-len(core) // SECTOR)
    if not 1 < sectors <= 0xFFFF:
        raise BuildError(f"GRUB's core.img has an impossible size ({len(core)} bytes).")
    image = bytearray(core.ljust(sectors * SECTOR, b"\0"))
    struct.pack_into("<QHH", image, _BLOCKLIST, core_sector + 1, sectors - 1, _BLOCKLIST_SEGMENT)
    return bytes(image)


def install_bios(disk: Path, *, boot: bytes, core: bytes, core_offset: int, core_room: int) -> None:
    """Make `disk` start under a BIOS. `core_offset` and `core_room` (bytes) are the BIOS boot partition."""
    sector = core_offset // SECTOR
    image = patch_core(core, sector)
    if len(image) > core_room:
        raise BuildError(
            f"GRUB's core.img ({len(image)} bytes) does not fit its partition ({core_room} bytes)."
        )
    with disk.open("r+b") as file:
        mbr = file.read(SECTOR)
        file.seek(0)
        file.write(patch_boot(boot, mbr, sector))
        file.seek(core_offset)
        file.write(image)
