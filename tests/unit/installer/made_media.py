"""Small ISOs with the layout of real installation media; what is in the files is made up."""

from __future__ import annotations

import hashlib
import io
from pathlib import Path

import pycdlib

KERNEL, INITRD = b"kernel " * 500, b"initrd " * 5000
PXE = {"images/pxeboot/vmlinuz": KERNEL, "images/pxeboot/initrd.img": INITRD}


def write(target: Path, label: str, files: dict[str, bytes], *, names: str = "rock_ridge") -> Path:
    """An ISO of `files`; `names` says in which of the name spaces their real names are."""
    spaces = {
        "rock_ridge": {"rock_ridge": "1.09"},
        "joliet": {"joliet": 3},
        "udf": {"udf": "2.60"},
        "plain": {},
    }[names]
    iso = pycdlib.PyCdlib()
    iso.new(interchange_level=3, vol_ident=label, **spaces)
    made: set[str] = set()
    for number, (name, data) in enumerate(files.items()):
        parts = name.split("/")
        short = []
        for depth, folder in enumerate(parts[:-1]):
            short.append(_short(folder))
            full = "/".join(parts[: depth + 1])
            if full not in made:
                made.add(full)
                iso.add_directory("/" + "/".join(short), **_names(names, folder, full))
        base = f"/{'/'.join([*short, _file(parts[-1], number, names)])}"
        iso.add_fp(io.BytesIO(data), len(data), base, **_names(names, parts[-1], name))
    iso.write(str(target))
    iso.close()
    return target


def _short(folder: str) -> str:
    return "".join(char if char.isalnum() else "_" for char in folder.upper())


def _file(name: str, number: int, names: str) -> str:
    if names != "plain":
        return f"F{number}.;1"
    stem, _, ending = name.upper().partition(".")
    return f"{stem}.{ending};1"


def _names(names: str, base: str, full: str) -> dict[str, str]:
    if names == "rock_ridge":
        return {"rr_name": base}
    return {"joliet": {"joliet_path": f"/{full}"}, "udf": {"udf_path": f"/{full}"}, "plain": {}}[names]


def sums() -> str:
    lines = [f"{name} = sha256:{hashlib.sha256(data).hexdigest()}" for name, data in PXE.items()]
    return "\n".join(["[checksums]", *lines, ""])


OLD_TREE = """
[general]
name = {family}-{version}
family = {family}
timestamp = 1525000000.1
variant = Server
version = {version}
packagedir =
arch = {arch}

[stage2]
mainimage = LiveOS/squashfs.img

[images-{arch}]
kernel = images/pxeboot/vmlinuz
initrd = images/pxeboot/initrd.img
boot.iso = images/boot.iso
"""

NEW_TREE = """
[general]
; WARNING.0 = This section provides compatibility with pre-productmd treeinfos.
; WARNING.1 = Read productmd documentation for details about new format.
arch = {arch}
family = {family}
name = {family} {version}
packagedir = AppStream/Packages
platforms = {arch},xen
repository = AppStream
timestamp = 1668611635
variant = AppStream
variants = AppStream,BaseOS
version = {version}

[header]
type = productmd.treeinfo
version = 1.2

[images-{arch}]
efiboot.img = images/efiboot.img
initrd = images/pxeboot/initrd.img
kernel = images/pxeboot/vmlinuz

[release]
name = {family}
short = X
version = {version}

[stage2]
mainimage = images/install.img

[tree]
arch = {arch}
platforms = {arch},xen
variants = AppStream,BaseOS

[variant-AppStream]
id = AppStream
packages = AppStream/Packages
repository = AppStream

[variant-BaseOS]
id = BaseOS
packages = BaseOS/Packages
repository = BaseOS
"""


def dvd(
    target: Path,
    family: str,
    version: str,
    *,
    label: str = "",
    arch: str = "x86_64",
    disc: str = "",
    packages: bool = True,
    names: str = "rock_ridge",
    tree: str | None = None,
) -> Path:
    """A DVD of Red Hat's family as 7 has it, or as later ones do; without packages a boot image."""
    old = version.startswith("7")
    text = tree if tree is not None else (OLD_TREE if old else NEW_TREE)
    text = text.format(family=family, version=version, arch=arch)
    files = {
        ".treeinfo": (sums() + text).encode(),
        ".discinfo": f"1525000000.1\n{disc or f'{family} {version}'}\n{arch}\nALL\n".encode(),
        **PXE,
    }
    if packages:
        places = ["repodata/repomd.xml"] if old else ["BaseOS/repodata/repomd.xml"]
        files |= dict.fromkeys(places, b"<repomd/>")
    return write(target, label or f"RHEL-{version}", files, names=names)


def debian(
    target: Path, *, kind: str = "Official amd64 NETINST with firmware", version: str = "12.5.0"
) -> Path:
    kernel, initrd = b"debian kernel", b"debian initrd"
    lines = [
        f"{hashlib.md5(data).hexdigest()}  ./install.amd/{name}"
        for name, data in (("vmlinuz", kernel), ("initrd.gz", initrd))
    ]
    return write(
        target,
        f"Debian {version} amd64 n",
        {
            ".disk/info": f'Debian GNU/Linux {version} "Bookworm" - {kind} 20240210-11:27\n'.encode(),
            "install.amd/vmlinuz": kernel,
            "install.amd/initrd.gz": initrd,
            "md5sum.txt": ("\n".join(lines) + "\n").encode(),
            "pool/main/b/bash.deb": b"deb",
        },
    )
