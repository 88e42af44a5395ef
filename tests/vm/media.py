"""Installation media of our own making, for an ISO source to install from.

`red_hat_medium`: the layout of a RHEL DVD, with a stand-in for Anaconda (medium/installer.py) on a Debian
kernel and a Debian tree as its packages. Everything on it comes from one mmdebstrap.
"""

from __future__ import annotations

import hashlib
import io
import os
import shlex
import shutil
import subprocess
import tarfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from stat import S_IFDIR, S_IFLNK
from typing import IO

import pycdlib
import pykickstart

from builder.installer.cpio import archive
from builder.settings import Settings
from builder.sources import base_files
from builder.sources.bootstrap import mmdebstrap_argv, overlay_tar
from builder.sources.distribution import DEBIAN
from builder.sources.mirrors import apt_proxies, find_mirrors
from builder.sources.scratch import contained

PARTS = Path(__file__).with_name("medium")
SUITE = "bookworm"
DEBIAN_VERSION = "12"
LABEL = "RHEL-8-4-0-BaseOS-x86_64"
STAND_INS = ("rpm", "dnf", "dracut", "grubby", "grub2-mkconfig")
ON_MEDIUM = (
    *("cloud-init", "WALinuxAgent", "cloud-utils-growpart", "gdisk", "chrony", "sudo", "parted"),
    *("openssh-server", "NetworkManager", "xfsprogs", "vim-enhanced"),
)
"""hyperv-daemons is not: the installation has to say so."""
# Debian's cloud kernel drives no CD of a QEMU machine; the installer's own kernel is the full one.
_KERNEL = "medium-kernel"
_FETCH_KERNEL = f"""set -e
mkdir /{_KERNEL}
cd /{_KERNEL}
kernel=$(apt-cache depends --important linux-image-amd64 | sed -n 's/.*Depends: //p' | head -n 1)
apt-get -qq download "$kernel"
dpkg-deb -x ./*.deb .
rm ./*.deb
depmod -b . $(ls lib/modules)
"""
_MODULES = (
    *("drivers/ata/", "drivers/scsi/", "drivers/cdrom/", "drivers/block/virtio_blk", "drivers/virtio/"),
    *("drivers/net/virtio_net", "drivers/net/net_failover", "net/core/failover", "drivers/acpi/"),
    *("fs/isofs/", "fs/xfs/", "fs/fat/", "fs/nls/", "fs/efivarfs/", "lib/", "crypto/", "arch/x86/crypto/"),
)
_TOOLS = ("usr/bin/", "usr/sbin/", "usr/lib/x86_64-linux-gnu/", "usr/lib/python3", "usr/lib64/", "etc/ld.so")
_NO_TOOLS = (
    "usr/lib/x86_64-linux-gnu/perl",
    "usr/lib/x86_64-linux-gnu/gconv",
    "usr/lib/python3/dist-packages/cloud",
)
_FOLDERS = ("dev", "proc", "sys", "run", "tmp", "mnt", "root")
Initrd = dict[str, tuple[bytes, int]]


@dataclass(frozen=True)
class Medium:
    """An ISO, and what a template has to say of it."""

    path: Path
    sha256: str
    made_in: float = 0.0

    @classmethod
    def of(cls, path: Path) -> Medium:
        with path.open("rb") as file:
            return cls(path, hashlib.file_digest(file, "sha256").hexdigest())


def red_hat_medium(folder: Path) -> Medium:
    """Make it in `folder`, which keeps nothing else; one that is there already is taken."""
    path = folder / "rhel-8.4-x86_64-dvd.iso"
    if path.exists():
        return Medium.of(path)
    start = time.monotonic()
    folder.mkdir(exist_ok=True)
    tree = folder / "tree.tar"
    _debian_tree(tree)
    system, initrd, kernel = folder / "system.tar", folder / "initrd.img", folder / "vmlinuz"
    _split(tree, system, initrd, kernel)
    tree.unlink()
    whole = folder / "whole.iso"
    _write_iso(whole, system, initrd, kernel)
    for part in (system, initrd, kernel):
        part.unlink()
    whole.rename(path)
    medium = Medium.of(path)
    return Medium(medium.path, medium.sha256, time.monotonic() - start)


def _debian_tree(tar: Path) -> None:
    before, after = tar.with_name("before.tar"), tar.with_name("after.tar")
    before.write_bytes(overlay_tar(base_files.files_before(DEBIAN, "0")))
    after.write_bytes(overlay_tar(base_files.files_after(DEBIAN, SUITE, "0") | _red_hat_files()))
    argv = mmdebstrap_argv(
        DEBIAN,
        SUITE,
        tar,
        find_mirrors(DEBIAN, SUITE, Settings()),
        before=before,
        after=after,
        packages=("xfsprogs", "dosfstools", "fdisk"),
    )
    # Before the last hook, which clears apt's lists.
    hook = f'--customize-hook=chroot "$1" sh -c {shlex.quote(_FETCH_KERNEL)}'
    slim = [f"--dpkgopt=path-exclude=/usr/share/{name}/*" for name in ("doc", "man", "locale", "info")]
    argv[argv.index("--format=tar") : argv.index("--format=tar")] = slim
    argv.insert(next(i for i, word in enumerate(argv) if word.startswith("--customize-hook")), hook)
    done = subprocess.run(
        [*contained(), *argv],
        env={**os.environ, **apt_proxies()},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    before.unlink()
    after.unlink()


def _red_hat_files() -> dict[str, tuple[str, int]]:
    """What a Debian lacks to pass for a RHEL in the eyes of our kickstart."""
    text = (PARTS / "stand-in").read_text()
    # Debian's initramfs sleeps all of a rootdelay, where Red Hat's only waits as long as it must.
    grub = "GRUB_CMDLINE_LINUX=$(echo \"$GRUB_CMDLINE_LINUX\" | sed 's/ *rootdelay=[0-9]*//')\n"
    return {f"usr/sbin/{name}": (text, 0o755) for name in STAND_INS} | {
        "etc/default/grub.d/debian.cfg": (grub, 0o644),
        "etc/sysconfig/network-scripts/README": ("As in RHEL.\n", 0o644),
    }


def _split(tree: Path, system: Path, initrd: Path, kernel: Path) -> None:
    """The tree as a tar for the disk, and what of it makes the installer's initramfs."""
    with (
        tarfile.open(tree) as source,
        tarfile.open(system, "w", format=tarfile.PAX_FORMAT) as target,
    ):
        inside: Initrd = dict.fromkeys(_FOLDERS, (b"", S_IFDIR | 493))
        for entry in source:
            name = entry.name.removeprefix("./")
            content = source.extractfile(entry) if entry.isreg() else None
            if name.startswith(_KERNEL):
                _take_kernel(name.removeprefix(_KERNEL).lstrip("/"), entry, content, inside, kernel)
            elif not name.startswith("dev/"):
                if _is_tool(name, entry):
                    _take_tool(name, entry, source, inside)
                entry.pax_headers.pop("hdrcharset", None)  # tar warns of what it does not know
                target.addfile(entry, source.extractfile(entry) if entry.isreg() else None)
        for name, path in _additions():
            inside[name] = path.read_bytes(), 0o755
    initrd.write_bytes(archive(inside))


def _is_tool(name: str, entry: tarfile.TarInfo) -> bool:
    if "/" not in name:
        return entry.issym()  # bin, sbin, lib: links into usr
    return name.startswith(_TOOLS) and not name.startswith(_NO_TOOLS)


def _take_kernel(
    name: str, entry: tarfile.TarInfo, content: IO[bytes] | None, initrd: Initrd, kernel: Path
) -> None:
    if content is None:
        return
    if name.startswith("boot/vmlinuz-"):
        kernel.write_bytes(content.read())
    elif name.startswith("lib/modules/"):
        module = name.split("/", 3)[3]
        if not module.startswith("kernel/") or module.removeprefix("kernel/").startswith(_MODULES):
            initrd[f"usr/{name}"] = content.read(), entry.mode


def _take_tool(name: str, entry: tarfile.TarInfo, source: tarfile.TarFile, initrd: Initrd) -> None:
    if entry.issym():
        initrd[name] = entry.linkname.encode(), S_IFLNK | 0o777
    elif entry.isreg() or entry.islnk():
        content = source.extractfile(entry)  # that of a hard link is its target's
        assert content is not None
        initrd[name] = content.read(), entry.mode


def _additions() -> Iterator[tuple[str, Path]]:
    yield "init", PARTS / "init"
    yield "installer.py", PARTS / "installer.py"
    library = Path(pykickstart.__file__).parent
    for path in sorted(library.rglob("*.py")):
        yield f"usr/lib/python3/dist-packages/pykickstart/{path.relative_to(library)}", path


def _write_iso(path: Path, system: Path, initrd: Path, kernel: Path) -> None:
    sums = {
        name: hashlib.sha256(file.read_bytes()).hexdigest()
        for name, file in (("images/pxeboot/vmlinuz", kernel), ("images/pxeboot/initrd.img", initrd))
    }
    texts = {
        ".treeinfo": "[general]\nfamily = Red Hat Enterprise Linux\nversion = 8.4\narch = x86_64\n"
        "[release]\nname = Red Hat Enterprise Linux\nshort = RHEL\nversion = 8.4\n"
        "[tree]\narch = x86_64\nvariants = BaseOS\n"
        "[images-x86_64]\nkernel = images/pxeboot/vmlinuz\ninitrd = images/pxeboot/initrd.img\n"
        "[variant-BaseOS]\npackages = BaseOS/Packages\nrepository = BaseOS\n"
        "[checksums]\n" + "".join(f"{name} = sha256:{value}\n" for name, value in sums.items()),
        ".discinfo": "1618497600.0\nRed Hat Enterprise Linux 8.4\nx86_64\n",
        "BaseOS/repodata/repomd.xml": "<repomd/>\n",
        "Packages/names": "\n".join(ON_MEDIUM) + "\n",
    }
    files = {
        "images/pxeboot/vmlinuz": kernel,
        "images/pxeboot/initrd.img": initrd,
        "Packages/system.tar": system,
    }
    write_iso(path, LABEL, texts, files)


def write_iso(path: Path, label: str, texts: dict[str, str], files: dict[str, Path]) -> None:
    """An ISO with Rock Ridge names."""
    iso = pycdlib.PyCdlib()
    iso.new(interchange_level=3, vol_ident=label, rock_ridge="1.09")
    folders: dict[str, str] = {"": ""}

    def place(name: str) -> str:
        folder, _, _base = name.rpartition("/")
        if folder not in folders:
            short = f"{place(folder)}/D{len(folders)}"
            folders[folder] = short
            iso.add_directory(short, rr_name=folder.rpartition("/")[2])
        return folders[folder]

    for number, (name, text) in enumerate(texts.items()):
        data = text.encode()
        iso.add_fp(
            io.BytesIO(data), len(data), f"{place(name)}/T{number}.;1", rr_name=name.rpartition("/")[2]
        )
    for number, (name, file) in enumerate(files.items()):
        iso.add_file(str(file), f"{place(name)}/F{number}.;1", rr_name=name.rpartition("/")[2])
    iso.write(str(path))
    iso.close()


def debian_medium(folder: Path) -> Medium:
    """Debian's network installer, from its package, in the layout of Debian's own media. Needs its apt."""
    package = f"debian-installer-{DEBIAN_VERSION}-netboot-amd64"
    path = folder / "debian-netboot.iso"
    if path.exists():
        return Medium.of(path)
    folder.mkdir(exist_ok=True)
    fetched = folder / "fetched"
    fetched.mkdir()
    try:
        subprocess.run(["apt-get", "-qq", "download", package], cwd=fetched, check=True, timeout=300)
        (archive_file,) = fetched.glob("*.deb")
        subprocess.run(["dpkg-deb", "--extract", archive_file, fetched / "x"], check=True, timeout=300)
        images = (
            fetched / f"x/usr/lib/debian-installer/images/{DEBIAN_VERSION}/amd64/text/debian-installer/amd64"
        )
        files = {"install.amd/vmlinuz": images / "linux", "install.amd/initrd.gz": images / "initrd.gz"}
        sums = "".join(
            f"{hashlib.md5(file.read_bytes()).hexdigest()}  ./{name}\n" for name, file in files.items()
        )
        info = f'Debian GNU/Linux {DEBIAN_VERSION} "Test" - Unofficial amd64 NETINST\n'
        write_iso(path, "Debian netboot", {".disk/info": info, "md5sum.txt": sums}, files)
    finally:
        shutil.rmtree(fetched)
    return Medium.of(path)
