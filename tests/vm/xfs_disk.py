"""A Debian disk laid out as RHEL's installer does it: /boot and / are XFS, made by a guest's own kernel.

The bootstrapped Debian (with xfsprogs) gets two more partitions, boots, copies itself into them, and fills a
folder with every form that XFS keeps files and directories in. Nothing is mounted on this machine.
"""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from builder.deadline import Deadline
from builder.disk.extents import BLOCK, data_extents
from builder.disk.graph import BlockGraph, DiskLayer
from builder.disk.grub import install_bios
from builder.events import EventBus
from builder.extensions import make_source
from builder.process import require, run
from builder.redact import Redactor
from builder.services import Services
from builder.settings import Home, Settings
from builder.sources import base_files
from builder.sources.base import SourceDisk
from builder.vm import accelerator
from builder.vm.access import BuildAccess
from builder.vm.machine import Machine, wait_for_ssh
from builder.vm.seed import write_seed
from builder.vm.spec import MachineSpec
from builder.vm.ssh import SshGuest
from templates.model import PlatformImageSource

MIB = 1024**2
BASE_SIZE, BOOT_SIZE, ROOT_SIZE = 4096, 400, 3072
BOOT, ROOT = BASE_SIZE, BASE_SIZE + BOOT_SIZE
SIZE = ROOT + ROOT_SIZE + 1
ROOT_UUID, BOOT_UUID = "3a9f0c52-5a0e-4f39-9c1f-0d6f3f1b8a01", "3a9f0c52-5a0e-4f39-9c1f-0d6f3f1b8a02"
KINDS = "/srv/kinds"
TOOLS = {
    "publisher": "Test",
    "offer": "debian-12",
    "sku": "xfs-tools",
    "versions": {"1.0.0": {"kind": "bootstrap", "suite": "bookworm", "packages": ["xfsprogs"]}},
}

FILL = f"""
import hashlib, json, os, stat
top = "{KINDS}"
os.makedirs(top)
os.chdir(top)
for folder, count in (("none", 0), ("short", 5), ("block", 60), ("leaf", 700), ("node", 5000)):
    os.mkdir(folder)
    for number in range(count):
        with open(f"{{folder}}/name-{{number:05}}-" + "x" * (number % 60), "w") as file:
            file.write("" if number % 50 else str(number))
for number in range(0, 5000, 3):  # holes among the names
    os.unlink(f"node/name-{{number:05}}-" + "x" * (number % 60))
os.mkdir("a b"); open(b"a b/odd \\xff\\nname\\"", "w").write("odd")
os.symlink("short", "link"); os.symlink("d/" * 500, "far")
os.symlink("loop", "loop"); os.symlink("/etc/hostname", "up")
with open("frag", "wb", 0) as one, open("other", "wb", 0) as other:
    for number in range(640):
        one.write(os.urandom(16384)); os.fsync(one)
        other.write(b"o" * 4096); os.fsync(other)
with open("sparse", "wb") as file:
    for number in range(40):
        file.seek(number * 100_000); file.write(b"z%d" % number)
    file.truncate(5_000_000)
with open("reserved", "wb") as file:
    os.posix_fallocate(file.fileno(), 0, 3_000_000); file.write(b"begun")
os.mkfifo("fifo"); os.chmod("reserved", 0o640); os.chown("reserved", 12, 34)
found = {{}}
for folder, _, _ in os.walk(os.fsencode(top)):
    for name in os.listdir(folder):
        path = os.path.join(folder, name)
        status = os.lstat(path)
        if stat.S_ISLNK(status.st_mode): content = os.fsdecode(os.readlink(path))
        elif stat.S_ISREG(status.st_mode): content = hashlib.sha256(open(path, "rb").read()).hexdigest()
        else: content = ""
        facts = status.st_mode, status.st_uid, status.st_gid, status.st_ino, content
        found[path.decode(errors="backslashreplace")] = facts
json.dump(found, open("/tmp/kinds.json", "w"))
"""

COPY = f"""
set -e
mount -t xfs /dev/vda5 /mnt
mkdir /mnt/boot
mount -t xfs /dev/vda4 /mnt/boot
cp -ax /. /mnt/
rm -rf /mnt/lost+found /mnt/tmp/*
rm -rf /mnt/tmp/.[!.]* /mnt/var/lib/cloud/* /mnt/var/log/*.log /mnt/etc/ssh/ssh_host_*
chroot /mnt userdel -r packer 2>/dev/null || :
rm -f /mnt/etc/sudoers.d/90-cloud-init-users /mnt/etc/network/interfaces.d/50-cloud-init /mnt/etc/resolv.conf
: >/mnt/etc/machine-id
printf 'UUID={ROOT_UUID} / xfs defaults 0 0\\nUUID={BOOT_UUID} /boot xfs defaults 0 0\\n' >/mnt/etc/fstab
lsinitramfs /boot/initrd.img-$(uname -r) | grep -q xfs.ko
cat >/mnt/boot/grub/grub.cfg <<END
serial --unit=0 --speed=115200
terminal_input console serial
terminal_output console serial
set timeout=0
menuentry "Debian on XFS" {{
    search --no-floppy --fs-uuid --set=root {BOOT_UUID}
    linux /vmlinuz-$(uname -r) root=UUID={ROOT_UUID} ro {base_files.KERNEL_LINE}
    initrd /initrd.img-$(uname -r)
}}
END
cat >/tmp/early.cfg <<'END'
search --no-floppy --fs-uuid --set=root {BOOT_UUID}
set prefix=($root)/grub
configfile $prefix/grub.cfg
END
modules="part_gpt xfs fat search search_fs_uuid configfile normal linux echo all_video gzio serial terminal"
grub-mkimage -O i386-pc -c /tmp/early.cfg -p /grub -o /tmp/core.img biosdisk $modules
grub-mkimage -O x86_64-efi -c /tmp/early.cfg -p /grub -o /tmp/core.efi $modules
cp /usr/lib/grub/i386-pc/boot.img /tmp/boot.img
mount --bind /dev /mnt/dev
chroot /mnt python3 /tmp/fill.py
"""

# XFS leaves metadata in its log for as long as it likes; unmounting puts all of it in place.
REMOUNT = """
set -e
umount /mnt/boot
umount /mnt
mount -t xfs /dev/vda5 /mnt
mount -t xfs /dev/vda4 /mnt/boot
"""


@dataclass(frozen=True)
class XfsDisk:
    """A bootable raw disk, and what its guest says lies below `KINDS`."""

    path: Path
    cut: Path
    """As a power cut would have left it: what was written last is in the logs only."""
    kinds: dict[str, list[Any]]


def source_with_tools(home: Path) -> SourceDisk:
    """Debian 12 with xfsprogs, bootstrapped by the code under test."""
    (home / "catalogue.json").write_text(json.dumps({"format": 1, "images": [TOOLS]}))
    redactor = Redactor()
    services = Services(
        home=Home(home),
        settings=Settings(),
        bus=EventBus(redactor),
        redactor=redactor,
        deadline=Deadline(2400),
        base_dir=home,
        output_dir=home,
    )
    model = PlatformImageSource(type="PlatformImage", publisher="Test", offer="debian-12", sku="xfs-tools")
    return make_source(model, services).prepare()


def make(base: SourceDisk, home: Path, folder: Path, last_words: str) -> XfsDisk:
    """The disk; as root, `last_words` is what the guest does to it last, its file systems mounted on /mnt."""
    disk = folder / "xfs.raw"
    shutil.copyfile(base.graph.top.path, disk)
    disk.chmod(0o600)
    run([require("fallocate", "util-linux"), "--dig-holes", disk], timeout=120)
    with disk.open("r+b") as file:
        file.truncate(SIZE * MIB)
    _partition(disk, "--append", f"start={BOOT * 2048}, size={BOOT_SIZE * 2048}, name=boot")
    _partition(disk, "--append", f"start={ROOT * 2048}, size={(ROOT_SIZE - 1) * 2048}, name=root")
    format_xfs(disk, BOOT, BOOT_SIZE, "-m", f"uuid={BOOT_UUID}")
    format_xfs(disk, ROOT, ROOT_SIZE - 1, "-m", f"uuid={ROOT_UUID}", "-i", "nrext64=1")
    access = BuildAccess.generate()
    spec = MachineSpec(
        cpus=2,
        memory_mib=1024,
        generation="V1",
        disk=BlockGraph((DiskLayer(disk, "raw"),)),
        directory=folder / "vm",
        serial_log=folder / "serial.log",
        accelerator=accelerator.choose(Settings(), Home(home)),
        seed=write_seed(folder / "seed.iso", access, grow=False),
        second_serial_log=folder / "ttyS1.log",
    )
    with Machine(spec) as machine:
        guest = wait_for_ssh(machine, access, timeout=600, bus=EventBus(Redactor()))
        guest.put(FILL.encode(), "/tmp/fill.py", timeout=60)
        as_root(
            guest, COPY.replace("chroot /mnt python3", "cp /tmp/fill.py /mnt/tmp; chroot /mnt python3"), 900
        )
        as_root(
            guest, "mv /mnt/tmp/kinds.json /tmp; rm /mnt/tmp/*; umount /mnt/dev; chmod 644 /tmp/core.*", 60
        )
        boot, core, efi, kinds = (
            guest.get(f"/tmp/{name}", timeout=120)
            for name in ("boot.img", "core.img", "core.efi", "kinds.json")
        )
        as_root(guest, REMOUNT, 60)
        as_root(guest, "echo cut >/mnt/srv/cut; ln -s /nowhere /mnt/boot/cut; sync", 60)
        machine.qmp.command("stop")  # one moment of the disk, however long copying takes
        run(["cp", "--sparse=always", disk, folder / "cut.raw"], timeout=120)
        machine.qmp.command("cont")
        machine.expect_power_off()
        guest.run(["sudo", "sh", "-c", f"({last_words}) >/dev/null 2>&1 &"], timeout=60)
        assert machine.wait_ended(120), "the guest did not go off"
    for each in (disk, folder / "cut.raw"):
        _boot_from(each, boot, core, efi, folder)
    return XfsDisk(disk, folder / "cut.raw", json.loads(kinds))


def as_root(guest: SshGuest, script: str, timeout: float) -> str:
    result = guest.run(["sudo", "sh", "-c", script], timeout=timeout)
    assert result.exit_code == 0, result
    return result.stdout


def format_xfs(disk: Path, start: int, size: int, *options: str) -> None:
    """An XFS of `size` MiB at `start` MiB of `disk`."""
    apart = disk.with_name("apart.xfs")
    with apart.open("wb") as file:
        file.truncate(size * MIB)
    run([require("mkfs.xfs", "xfsprogs"), "-q", *options, apart], timeout=60)
    with apart.open("rb", buffering=0) as source, disk.open("r+b", buffering=0) as whole:
        for begin, end in data_extents(source.fileno(), size * MIB):
            for position in range(begin, end, BLOCK):
                block = os.pread(source.fileno(), min(BLOCK, end - position), position)
                os.pwrite(whole.fileno(), block, start * MIB + position)
    apart.unlink()


def _partition(disk: Path, option: str, *lines: str) -> None:
    words = [require("sfdisk", "fdisk"), "-q", "--no-reread", "--no-tell-kernel", option, disk]
    run(words, stdin="".join(f"{line}\n" for line in lines).encode(), timeout=60)


def _boot_from(disk: Path, boot: bytes, core: bytes, efi: bytes, folder: Path) -> None:
    """The new boot loader instead of the old one, whose root goes."""
    run(
        [require("sfdisk", "fdisk"), "-q", "--no-reread", "--no-tell-kernel", "--delete", disk, "3"],
        timeout=60,
    )
    words = ["--punch-hole", "--offset", str(66 * MIB), "--length", str((BASE_SIZE - 66) * MIB)]
    run([require("fallocate", "util-linux"), *words, disk], timeout=60)
    install_bios(disk, boot=boot, core=core, core_offset=MIB, core_room=MIB)
    (folder / "core.efi").write_bytes(efi)
    env = {"MTOOLS_SKIP_CHECK": "1", "MTOOLSRC": os.devnull}
    words = ["-o", "-i", f"{disk}@@{2 * MIB}", str(folder / "core.efi"), "::/EFI/BOOT/BOOTX64.EFI"]
    run([require("mcopy", "mtools"), *words], env=env, timeout=60)
