"""A Linux image by the book, made of texts, for the rules to look at; tests break one thing of it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from disk.vhd_file import MIB, footer

from builder.disk.filesystem import FileSystem
from builder.disk.partitions import Partition
from builder.disk.vhd import parse_footer
from builder.gate import boot_entry
from builder.gate.gate import Result, judge
from builder.gate.initramfs import Contents
from builder.gate.subject import Container, Guest, Subject, Table

GIB = 1024**3
ESP = "C12A7328-F81F-11D2-BA4B-00A0C93EC93B"
BIOS = "21686148-6449-6E6F-744E-656564454649"
LINUX = "0FC63DAF-8483-4772-8E79-3D69D8477DE4"
KERNEL = "6.1.0-1-cloud-amd64"
WORDS = "root=UUID=1 ro console=tty0 console=ttyS0,115200 earlyprintk=ttyS0,115200 net.ifnames=0"
GRUB = f"""\
set default="0"
menuentry 'Debian' {{
    linux /boot/vmlinuz-{KERNEL} {WORDS}
    initrd /boot/initrd.img-{KERNEL}
}}
"""
MODULES = frozenset({"hv_vmbus", "hv_storvsc", "hv_netvsc"})
TREE: dict[str, str] = {
    "/boot/grub/grub.cfg": GRUB,
    f"/boot/vmlinuz-{KERNEL}": "kernel",
    f"/boot/initrd.img-{KERNEL}": "initramfs",
    f"/lib/modules/{KERNEL}/modules.builtin": "kernel/fs/ext4/ext4.ko\n",
    f"/lib/modules/{KERNEL}/modules.dep": (
        "kernel/fs/udf/udf.ko.xz: kernel/lib/crc-itu-t.ko.xz\nkernel/fs/fat/vfat.ko: kernel/fs/fat/fat.ko\n"
        "kernel/drivers/net/hyperv/hv_netvsc.ko:\n"
    ),
    "/etc/fstab": "UUID=1 / ext4 rw 0 1\n# /swapfile none swap sw 0 0\n",
    "/etc/passwd": "root:x:0:0:root:/root:/bin/bash\n",
    "/usr/bin/cloud-init": "#!",
    "/usr/sbin/waagent": "#!",
    "/usr/sbin/sshd": "ELF",
    "/etc/systemd/system/multi-user.target.wants/ssh.service": "",
    "/etc/systemd/system/multi-user.target.wants/walinuxagent.service": "",
    "/etc/systemd/system/cloud-init.target.wants/cloud-init.service": "",
    "/etc/waagent.conf": "# agent\nProvisioning.Agent=cloud-init\nResourceDisk.Format=n\n",
    "/etc/cloud/cloud.cfg": "users:\n - default\n",
    "/etc/cloud/cloud.cfg.d/91-azure_datasource.cfg": "datasource_list: [ Azure ]\n",
}


class Tree:
    """Files by path."""

    def __init__(self, files: dict[str, str]) -> None:
        self.files = files

    def read(self, path: str) -> bytes | None:
        content = self.files.get(path)
        return None if content is None else content.encode()

    def listdir(self, path: str) -> list[str] | None:
        above = path.rstrip("/") + "/"
        names = {name[len(above) :].split("/")[0] for name in self.files if name.startswith(above)}
        return sorted(names) or None


def tree(changes: dict[str, str | None] | None = None) -> Tree:
    """TREE with other contents; None removes a file."""
    files: dict[str, Any] = {**TREE, **(changes or {})}
    return Tree({path: text for path, text in files.items() if text is not None})


def guest(changes: dict[str, str | None] | None = None, **more: Any) -> Guest:
    files = tree(changes)
    entry = boot_entry.find(files)
    contents = Contents(MODULES, frozenset({KERNEL}), "zstd")
    found = dict.fromkeys(entry.initrds if entry else (), contents)
    return replace(Guest(files, entry, found), **more)


def system(number: int, kind: str, type_guid: str = LINUX, size: int = 64 * MIB) -> FileSystem:
    return FileSystem(Partition(number, number * 64 * MIB, size, type_guid, ""), kind)


BOTH = (system(1, "", BIOS), system(2, "vfat", ESP), system(3, "ext4"))
TABLE = Table("gpt", BOTH, boot_code=True, esp=frozenset({"/EFI/BOOT/BOOTX64.EFI"}))


def container(size: int = 4 * GIB, **changes: Any) -> Container:
    return Container(Path("os.vhd"), size + 512, parse_footer(footer(size, **changes)), "vhd")


def subject(**changes: Any) -> Subject:
    return replace(Subject(container(), TABLE, guest(), "Linux", "V2", "packer"), **changes)


def result_of(rule: str, subject: Subject, *waived: str) -> Result:
    return next(one for one in judge(subject, frozenset(waived)) if one.rule == rule)


def outcome(rule: str, subject: Subject) -> str:
    return result_of(rule, subject).outcome
