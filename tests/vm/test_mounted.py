"""A disk with /var and an EFI partition beside its root, made and read by real tools; no VM boots."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from builder.disk.filesystem import find_root
from builder.disk.mounted import MountedImage, join
from builder.process import require, run
from provisioners import generalized

MIB = 1024**2
ESP, ROOT, VAR, OTHER = 1, 35, 68, 101


@pytest.fixture(scope="module")
def disk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("mounted disk")
    path = folder / "disk.raw"
    with path.open("wb") as file:
        file.truncate(112 * MIB)
    sectors = 2048
    table = f"""label: gpt
        start={ESP * sectors}, size={33 * sectors}, type=uefi
        start={ROOT * sectors}, size={32 * sectors}
        start={VAR * sectors}, size={32 * sectors}, name=var
        start={OTHER * sectors}, size={8 * sectors}
        """
    run([require("sfdisk", "fdisk"), "-q", path], stdin=table.encode(), timeout=60)
    root, var = folder / "root", folder / "var"
    for place in ("etc", "var/lib/dbus", "boot/efi", "home"):
        (root / place).mkdir(parents=True)
    fstab = "UUID=aaaa / ext4 rw 0 1\nPARTLABEL=var /var ext4 rw 0 2\nLABEL=none /srv xfs rw 0 2\n"
    (root / "etc/fstab").write_text(fstab)
    (root / "etc/machine-id").write_text("")
    (root / "var/lib/dbus/machine-id").write_text("hidden by the mount")
    (root / "home/me").symlink_to("/var/homes/me")
    (var / "lib/dbus").mkdir(parents=True)
    (var / "lib/dbus/machine-id").write_text("0123\n")
    (var / "homes/me").mkdir(parents=True)
    (var / "homes/me/.bash_history").write_text("ls")
    for tree, start in ((root, ROOT), (var, VAR)):
        argv = [require("mke2fs", "e2fsprogs"), "-q", "-F", "-t", "ext4", "-d", tree]
        run([*argv, "-E", f"offset={start * MIB}", path, "32768k"], timeout=60)
    env = {"MTOOLS_SKIP_CHECK": "1", "MTOOLSRC": os.devnull}
    where = f"{path}@@{ESP * MIB}"
    (folder / "seed").write_bytes(os.urandom(32))
    run(["mformat", "-i", where, "-F", "-T", str(33 * sectors), "::"], env=env, timeout=60)
    run(["mmd", "-i", where, "::/loader"], env=env, timeout=60)
    run(["mcopy", "-i", where, folder / "seed", "::/loader/random-seed"], env=env, timeout=60)
    return path


@pytest.fixture(scope="module")
def image(disk: Path) -> MountedImage:
    joined, unproved = join(disk, *find_root(disk))
    assert unproved == ("/srv (xfs on LABEL=none)",)
    return joined


def test_each_file_system_is_read(disk: Path, image: MountedImage) -> None:
    assert image.read("/boot/efi/loader/random-seed") == (disk.parent / "seed").read_bytes()
    assert image.listdir("/boot/efi") == ["loader"]
    assert image.listdir("/boot/efi/loader") == ["random-seed"]
    assert image.listdir("/boot/efi/none") is None
    assert image.read("/boot/efi/none") is None
    assert image.read("/var/lib/dbus/machine-id") == b"0123\n"
    assert image.read("/home/me/.bash_history") == b"ls"


def test_the_proof_finds_what_lies_beside_the_root(image: MountedImage) -> None:
    assert generalized.findings(image, "packer") == [
        "empty machine-id: /var/lib/dbus/machine-id is not empty",
        "no shell history: /home/me/.bash_history exists",
        "no random seed: /boot/efi/loader/random-seed exists",
    ]
