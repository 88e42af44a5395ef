"""Rules about the Linux on the disk: its console, its swap, its SSH server, and that it is generalized."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

from builder.gate.drivers import no_kernel
from builder.gate.rule import GENERALIZE, LINUX, Fault, Rule, Seen, Unknown, linux_only
from provisioners import generalized

if TYPE_CHECKING:
    from builder.gate.boot_entry import BootEntry
    from builder.gate.subject import Guest, Subject

_UNITS = ("/etc/systemd/system", "/usr/lib/systemd/system", "/lib/systemd/system")
_SWAP_TYPES = {"0657FD6D-A4AB-43C4-84E5-0933C84B4F4F", "0x82"}
# Where Azure's temporary disk is known to be mounted, and what lies in memory.
_NOT_ON_THE_OS_DISK = re.compile(r"(/dev/disk/(cloud/azure_resource|azure/resource)|/dev/zram|/mnt/)")
_USELESS = ("rhgb", "quiet", "crashkernel=auto")
_WANTED = ("earlyprintk=ttyS0", "net.ifnames=0")
_GRUB = "Set GRUB_CMDLINE_LINUX in /etc/default/grub and run update-grub or grub2-mkconfig."


def _console(subject: Subject) -> Iterator[Fault | Seen]:
    entry, words = _words(subject)
    consoles = [word for word in words if word.startswith("console=")]
    if not any(re.fullmatch(r"console=ttyS0(,.*)?", word) for word in consoles):
        yield Fault(
            "The kernel says nothing on the first serial port: Azure's serial console and boot diagnostics "
            "stay empty.",
            f"Add console=ttyS0 to the kernel's command line. {_GRUB}",
            f"{entry.where}: {' '.join(consoles) or 'no console='}",
        )
    yield Seen(f"{' '.join(consoles)} in {entry.where}")


def _parameters(subject: Subject) -> Iterator[Fault | Seen]:
    entry, words = _words(subject)
    useless = [word for word in words if word in _USELESS]
    if useless:
        yield Fault(
            "The kernel's command line has what is of no use in a cloud: " + " ".join(useless) + ".",
            f"Remove it. {_GRUB}",
            entry.where,
        )
    missing = [one for one in _WANTED if not any(word == one or word.startswith(f"{one},") for word in words)]
    if missing:
        yield Fault(
            "The kernel's command line lacks what the page asks for: " + " ".join(missing) + ".",
            f"Add it. {_GRUB}",
            entry.where,
        )
    yield Seen(" ".join(_WANTED))


def _words(subject: Subject) -> tuple[BootEntry, tuple[str, ...]]:
    entry = subject.guest.boot
    if entry is None:
        raise Unknown(no_kernel(subject.guest))
    if entry.words is None:
        raise Unknown("no boot loader's configuration was found that has the kernel's command line")
    return entry, entry.words


def _swap(subject: Subject) -> Iterator[Fault | Seen]:
    fix = "Remove it; cloud-init or waagent can make swap on the temporary disk."
    if not isinstance(subject.table_or_why, str):
        for one in subject.table.systems:
            if one.kind == "swap" or one.partition.type_guid in _SWAP_TYPES:
                yield Fault("The OS disk has a swap partition.", fix, f"partition {one.partition.number}")
    guest = subject.guest
    for line in guest.text("/etc/fstab").splitlines():
        fields = [] if line.lstrip().startswith("#") else line.split()
        if len(fields) < 3 or fields[2] != "swap" or "noauto" in ",".join(fields[3:4]).split(","):
            continue
        if not _NOT_ON_THE_OS_DISK.match(fields[0]):
            yield Fault("/etc/fstab switches swap on the OS disk on.", fix, " ".join(fields))
    for folder in (_UNITS[0], f"{_UNITS[0]}/swap.target.wants", f"{_UNITS[0]}/multi-user.target.wants"):
        for name in guest.files.listdir(folder) or ():
            if not name.endswith(".swap"):
                continue
            what = re.search(r"^What=(.*)$", guest.text(f"{folder}/{name}"), re.MULTILINE)
            if what and not _NOT_ON_THE_OS_DISK.match(what[1]):
                yield Fault("A unit of systemd switches swap on the OS disk on.", fix, f"{folder}/{name}")
    yield Seen("no swap partition, nothing in /etc/fstab")


def _ssh(subject: Subject) -> Iterator[Fault | Seen]:
    guest = subject.guest
    if "sshd" not in guest.names("/usr/sbin", "/sbin", "/usr/bin"):
        yield Fault("There is no SSH server.", "Install openssh-server.", "no sshd in /usr/sbin")
        return
    links = enabled(guest)
    found = sorted({"ssh.service", "sshd.service", "ssh.socket", "sshd.socket"} & links)
    if not found and not any(
        re.fullmatch(r"S\d+sshd?", name) for name in guest.names("/etc/rc2.d", "/etc/rc3.d")
    ):
        yield Fault(
            "The SSH server does not start at boot.",
            "systemctl enable ssh (sshd on Red Hat and SUSE).",
            "neither in multi-user.target.wants nor in sockets.target.wants",
        )
    yield Seen(f"sshd, {', '.join(found) or 'started by init'}")


def enabled(guest: Guest) -> set[str]:
    """Units that start with the system, as `systemctl enable` leaves them."""
    wants = (
        "multi-user.target.wants",
        "sockets.target.wants",
        "cloud-init.target.wants",
        "default.target.wants",
    )
    return guest.names(*(f"{folder}/{name}" for folder in _UNITS for name in wants))


def _generalized(subject: Subject) -> Iterator[Fault | Seen]:
    if subject.os_type == "Windows":
        raise Unknown("nothing here looks into NTFS, so nobody can tell whether sysprep ran")
    guest = subject.guest
    for found in generalized.findings(guest.files, subject.user):
        check, _, what = found.partition(": ")
        yield Fault(
            f"It is not generalized: {what}.",
            "Deprovision it (waagent -force -deprovision+user; cloud-init clean --logs --seed), or waive the "
            "rule for a specialized image.",
            check,
        )
    if guest.unread:
        raise Unknown(f"what cannot be looked into may hold something: {', '.join(guest.unread)}")
    yield Seen(f"{len(generalized.CHECKS)} checks passed")


RULES = (
    Rule("serial-console", "The kernel speaks on the serial console", LINUX, "error", _console, linux_only),
    Rule(
        "boot-parameters", "No word too many or few for the kernel", LINUX, "warning", _parameters, linux_only
    ),
    Rule("no-os-swap", "No swap on the OS disk", LINUX, "error", _swap, linux_only),
    Rule("ssh-server", "An SSH server that starts at boot", LINUX, "warning", _ssh, linux_only),
    Rule("generalized", "Nothing of the build machine is left", GENERALIZE, "error", _generalized),
)
