"""A directory tree becomes a bootable disk image: no loop device, no mount, no root.

GPT with a BIOS boot partition, an EFI system partition and the root file system, which comes last
so that growing the disk grows it. One disk starts under BIOS (Gen1) and UEFI (Gen2).
"""

from __future__ import annotations

import os
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from builder.disk.grub import install_bios
from builder.errors import BuildError
from builder.process import require, run

MIB = 1024 * 1024
_BIOS_BOOT = "21686148-6449-6E6F-744E-656564454649"
_EFI_SYSTEM = "C12A7328-F81F-11D2-BA4B-00A0C93EC93B"
_LINUX = "0FC63DAF-8483-4772-8E79-3D69D8477DE4"
_BLOCK = 4096

# Our own, not the host's: newer e2fsprogs switch features on that GRUB 2.06 cannot read.
_MKE2FS_CONF = """\
[defaults]
    base_features = sparse_super,large_file,filetype,resize_inode,dir_index,ext_attr
    default_mntopts = acl,user_xattr
    enable_periodic_fsck = 0
    blocksize = 4096
    inode_size = 256
    inode_ratio = 16384
[fs_types]
    ext4 = {
        features = has_journal,extent,huge_file,flex_bg,metadata_csum,64bit,dir_nlink,extra_isize
    }
"""


@dataclass(frozen=True, slots=True)
class DiskLayout:
    """Sizes and identifiers of a disk. All sizes in MiB; `seed` decides every UUID."""

    seed: str
    size: int = 4096
    bios: int = 1
    esp: int = 64

    @property
    def esp_offset(self) -> int:
        """Where the EFI system partition starts, in MiB."""
        return 1 + self.bios

    @property
    def root_offset(self) -> int:
        """Where the root file system starts, in MiB."""
        return self.esp_offset + self.esp

    @property
    def root_size(self) -> int:
        """The root file system's size, in MiB; the last MiB is left to the backup GPT."""
        return self.size - self.root_offset - 1

    def uuid(self, what: str) -> str:
        """The UUID of one part ("disk", "root", ...): the same for the same seed."""
        return str(uuid.uuid5(uuid.NAMESPACE_URL, f"{self.seed}/{what}"))

    def sfdisk_script(self) -> str:
        """The partition table as sfdisk reads it."""
        parts = (
            ("bios", 1, self.bios, _BIOS_BOOT),
            ("esp", self.esp_offset, self.esp, _EFI_SYSTEM),
            ("root", self.root_offset, self.root_size, _LINUX),
        )
        lines = ["label: gpt", f"label-id: {self.uuid('disk').upper()}", "unit: sectors", "sector-size: 512"]
        lines += [
            f"start={start * 2048}, size={size * 2048}, type={kind}, "
            f"uuid={self.uuid(f'part-{name}').upper()}, name={name}"
            for name, start, size, kind in parts
        ]
        return "\n".join(lines) + "\n"


@dataclass(frozen=True, slots=True)
class BootFiles:
    """What makes a disk start: GRUB's boot.img and core.img (BIOS), and its EFI program."""

    boot: bytes
    core: bytes
    efi: Path


def mke2fs_argv(image: Path, tree: Path, layout: DiskLayout) -> list[str]:
    """The command that writes the root file system into its partition of `image`."""
    fs_uuid = layout.uuid("root")
    extended = ",".join(
        (
            f"offset={layout.root_offset * MIB}",
            f"hash_seed={layout.uuid('hash')}",
            "root_owner=0:0",
            # The file is all zeros and mke2fs knows: nothing to initialise, now or later in a guest.
            "lazy_itable_init=0,lazy_journal_init=1,discard",
        )
    )
    blocks = layout.root_size * MIB // _BLOCK
    words = [require("mke2fs", "e2fsprogs"), "-q", "-F", "-t", "ext4", "-b", str(_BLOCK), "-m", "1"]
    return [*words, "-L", "root", "-U", fs_uuid, "-E", extended, "-d", str(tree), str(image), str(blocks)]


def assemble(
    tree: Path,
    image: Path,
    layout: DiskLayout,
    boot: BootFiles,
    *,
    timeout: float,
    prefix: Sequence[str] = (),
) -> None:
    """Write a bootable raw disk `image` from `tree`.

    `prefix` is put before mke2fs, to read the tree inside a user namespace (bootstrap.py). Raises
    EnvironmentProblem for a missing program, ProcessError and BuildError when a step fails.
    """
    if layout.root_size < 512:
        raise BuildError(f"A disk of {layout.size} MiB is too small.")
    with image.open("wb") as file:
        file.truncate(layout.size * MIB)
    run(
        [require("sfdisk", "fdisk"), "--quiet", "--no-reread", "--no-tell-kernel", image],
        stdin=layout.sfdisk_script().encode(),
        timeout=60,
    )
    _write_esp(image, layout, boot.efi)
    install_bios(image, boot=boot.boot, core=boot.core, core_offset=1 * MIB, core_room=layout.bios * MIB)
    conf = image.with_name(image.name + ".mke2fs.conf")
    conf.write_text(_MKE2FS_CONF)
    try:
        run([*prefix, *mke2fs_argv(image, tree, layout)], env={"MKE2FS_CONFIG": str(conf)}, timeout=timeout)
    finally:
        conf.unlink()
    run([require("fallocate", "util-linux"), "--dig-holes", image], timeout=timeout)


def _write_esp(image: Path, layout: DiskLayout, efi: Path) -> None:
    """FAT with EFI/BOOT/BOOTX64.EFI, the path every UEFI looks for on a disk it does not know."""
    where = f"{image}@@{layout.esp_offset * MIB}"
    serial = layout.uuid("esp")[:8]
    env = {"MTOOLS_SKIP_CHECK": "1", "MTOOLSRC": os.devnull}
    sectors = str(layout.esp * 2048)
    format_esp = [require("mformat", "mtools"), "-i", where, "-F", "-v", "ESP", "-N", serial, "-T", sectors]
    run([*format_esp, "-h", "64", "-s", "32", "::"], env=env, timeout=60)
    _drop_partition_table(image, layout.esp_offset * MIB)
    run([require("mmd", "mtools"), "-i", where, "::/EFI", "::/EFI/BOOT"], env=env, timeout=60)
    run([require("mcopy", "mtools"), "-i", where, efi, "::/EFI/BOOT/BOOTX64.EFI"], env=env, timeout=60)


def _drop_partition_table(image: Path, offset: int) -> None:
    """mformat puts a partition table into the boot sector of what is a partition itself; GRUB warns of it."""
    with image.open("r+b") as file:
        file.seek(offset + 0x1BE)
        file.write(bytes(64))
