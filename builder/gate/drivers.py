"""Rules about the kernel's drivers: those of Hyper-V in the initramfs, and those that provisioning needs."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

from builder.gate.initramfs import Contents
from builder.gate.rule import LINUX, Fault, Rule, Seen, Unknown, linux_only

if TYPE_CHECKING:
    from builder.gate.subject import Guest, Subject

EARLY = ("hv_vmbus", "hv_storvsc")
"""Without them in the initramfs the root disk is never found."""
LATER = ("hv_netvsc",)
"""The page puts it into the initramfs, too; from the root file system it comes a moment later."""
_MODULE = re.compile(r"([^/:\s]+)\.ko(?:\.(?:gz|xz|zst))?(?=:|$)", re.MULTILINE)
_SWITCHED_OFF = re.compile(
    r"^[ \t]*(?:install[ \t]+(udf|vfat)[ \t]+\S*\b(?:true|false|nologin)\b|blacklist[ \t]+(udf|vfat)\b)",
    re.MULTILINE,
)
_MODPROBE = ("/etc/modprobe.d", "/usr/lib/modprobe.d", "/lib/modprobe.d", "/run/modprobe.d")
_REBUILD = (
    "In a customizer: add hv_vmbus hv_storvsc hv_netvsc to /etc/initramfs-tools/modules and run "
    "update-initramfs -u (Debian, Ubuntu), or dracut -f --add-drivers 'hv_vmbus hv_netvsc hv_storvsc' "
    "(Red Hat, SUSE)."
)


def _hyperv(subject: Subject) -> Iterator[Fault | Seen]:
    guest = subject.guest
    entry = guest.boot
    if entry is None:
        raise Unknown(no_kernel(guest))
    builtin = _named(guest, "modules.builtin")
    found: set[str] = set(builtin)
    versions: set[str] = set()
    for path in entry.initrds:
        contents = guest.initramfs.get(path, "it was not looked for")
        if isinstance(contents, Contents):
            found |= contents.modules
            versions |= contents.versions
            continue
        yield Fault(
            f"The initramfs {path} cannot be read: {contents}.", _REBUILD, f"as {entry.where or '/boot'} says"
        )
        return
    where = ", ".join(path.rsplit("/", 1)[-1] for path in entry.initrds) or "no initramfs"
    kernel = ", ".join(sorted(versions)) or entry.version or entry.kernel
    missing = [name for name in EARLY if name not in found]
    if missing:
        yield Fault(
            f"{' and '.join(missing)} are not in the initramfs of the kernel that starts by default, nor "
            "built into it: under Hyper-V it never finds its root disk.",
            _REBUILD,
            f"kernel {kernel}, {where}",
        )
    later = [name for name in LATER if name not in found]
    if later:
        there = set(later) <= _named(guest, "modules.dep")
        yield Fault(
            f"{' and '.join(later)} is not in the initramfs"
            + (
                "; it is loaded from the root file system, later."
                if there
                else ", nor anywhere else: no network."
            ),
            _REBUILD,
            f"kernel {kernel}, {where}",
            "warning" if there else "error",
        )
    yield Seen(f"{', '.join((*EARLY, *LATER))} in {where} of kernel {kernel}")


def _udf_vfat(subject: Subject) -> Iterator[Fault | Seen]:
    guest = subject.guest
    off = {
        next(filter(None, found.groups())): f"{folder}/{name}"
        for folder in _MODPROBE
        for name in guest.files.listdir(folder) or ()
        if name.endswith(".conf")
        for found in _SWITCHED_OFF.finditer(guest.text(f"{folder}/{name}"))
    }
    for name, path in sorted(off.items()):
        yield _lacking(guest, name, f"switched off in {path}", f"Remove the line from {path}.")
    known = _named(guest, "modules.builtin") | _named(guest, "modules.dep")
    if not known:
        raise Unknown("there is no list of the kernel's modules (modules.dep) in the image")
    for name in ("udf", "vfat"):
        if name not in known and name not in off:
            fix = "Install the kernel's full set of modules (linux-modules-extra, kernel-modules)."
            yield _lacking(guest, name, "not among the kernel's modules", fix)
    yield Seen("both are there, none is switched off")


def _lacking(guest: Guest, name: str, why: str, fix: str) -> Fault:
    if name == "vfat":
        return Fault(
            "The kernel cannot mount FAT: provisioning fails, and boot with it.", fix, f"vfat: {why}"
        )
    by_cloud_init = "cloud-init" in guest.names("/usr/bin", "/bin")
    return Fault(
        "The kernel cannot mount UDF: "
        + ("no password and no custom data reach a new VM." if by_cloud_init else "provisioning fails."),
        fix,
        f"udf: {why}",
        "warning" if by_cloud_init else "error",
    )


def _named(guest: Guest, file: str) -> set[str]:
    """The modules in a list of the default kernel's, `_` for `-`."""
    versions = {one for contents in guest.initramfs.values() if isinstance(contents, Contents)
                for one in contents.versions}  # fmt: skip
    if not versions and guest.boot is not None and guest.boot.version:
        versions = {guest.boot.version}
    if not versions:
        versions = set(guest.files.listdir("/lib/modules") or ())
    texts = (guest.text(f"/lib/modules/{version}/{file}") for version in sorted(versions))
    return {name.replace("-", "_") for text in texts for name in _MODULE.findall(_firsts(text))}


def _firsts(text: str) -> str:
    """Each line up to its colon: what follows in modules.dep are needs of the first."""
    return "\n".join(line.partition(":")[0] for line in text.splitlines())


def no_kernel(guest: Guest) -> str:
    """Why nobody knows which kernel starts."""
    unread = f"; what cannot be looked into: {', '.join(guest.unread)}" if guest.unread else ""
    return f"no boot loader's entry and no kernel was found in /boot{unread}"


RULES = (
    Rule("hyperv-drivers", "Hyper-V's drivers are in the initramfs", LINUX, "error", _hyperv, linux_only),
    Rule("udf-vfat", "The kernel mounts UDF and FAT", LINUX, "error", _udf_vfat, linux_only),
)
