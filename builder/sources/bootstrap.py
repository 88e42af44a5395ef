"""A Debian disk from packages: mmdebstrap to a tar, the tar to a tree, the tree to a disk.

Works as root and as a normal user. A normal user cannot own root's files, so the tree is unpacked,
read by mke2fs and removed inside a user namespace made from the user's subordinate ids.
"""

from __future__ import annotations

import io
import os
import shutil
import tarfile
from collections.abc import Sequence
from pathlib import Path

from builder.deadline import Deadline
from builder.disk.assemble import BootFiles, DiskLayout, assemble
from builder.errors import BuildError, EnvironmentProblem
from builder.events import EventBus, Wait
from builder.process import ProcessError, require, run
from builder.sources import debian

# Raised whenever the same recipe gives another disk.
EPOCH = 1
KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")


def overlay_tar(files: dict[str, tuple[str, int]]) -> bytes:
    """A tar of `files` (path -> text, mode), all owned by root."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.GNU_FORMAT) as tar:
        for name, (text, mode) in sorted(files.items()):
            data = text.encode()
            info = tarfile.TarInfo(name)
            info.size, info.mode = len(data), mode
            tar.addfile(info, io.BytesIO(data))
    return buffer.getvalue()


def mmdebstrap_argv(
    suite: str, tar: Path, mirrors: Sequence[str], *, before: Path, after: Path, as_root: bool
) -> list[str]:
    """The mmdebstrap command. `mirrors` are lines of a sources.list, none for its own default."""
    return [
        require("mmdebstrap", "mmdebstrap"),
        f"--mode={'root' if as_root else 'unshare'}",
        "--variant=minbase",
        "--architectures=amd64",
        "--format=tar",
        f"--keyring={KEYRING}",
        f"--include={','.join(debian.PACKAGES)}",
        f"--essential-hook=tar-in {before} /",
        f"--customize-hook=tar-in {after} /",
        '--customize-hook=chroot "$1" /root/finish.sh',
        suite,
        str(tar),
        *mirrors,
    ]


def namespace(*, as_root: bool) -> list[str]:
    """What to put before a command that must act as root over the tree."""
    if as_root:
        return []
    unshare = require("unshare", "util-linux")
    require("newuidmap", "uidmap")
    return [unshare, "--user", "--map-root-user", "--map-auto", "--"]


class Bootstrap:
    """One bootstrap of `suite` into `folder`, which must exist and be empty of our names."""

    def __init__(self, suite: str, mirrors: Sequence[str], layout: DiskLayout, folder: Path) -> None:
        self._suite = suite
        self._mirrors = tuple(mirrors)
        self._layout = layout
        self._folder = folder
        self._tree = folder / "tree"
        self._as_root = os.geteuid() == 0

    def build(self, image: Path, *, deadline: Deadline, bus: EventBus) -> None:
        """Write the disk to `image`, a path inside the folder. Raises BuildError, EnvironmentProblem."""
        tar = self._folder / "tree.tar"
        inside = namespace(as_root=self._as_root)
        try:
            self._mmdebstrap(tar, deadline, bus)
            with Wait(bus, "Writing the disk"):
                self._unpack(tar, inside, deadline)
                tar.unlink()
                grub = self._tree / "boot/grub"
                boot = BootFiles(
                    (grub / "i386-pc/boot.img").read_bytes(),
                    (grub / "i386-pc/core.img").read_bytes(),
                    grub / "x86_64-efi/core.efi",
                )
                assemble(
                    self._tree, image, self._layout, boot, timeout=deadline.remaining(600), prefix=inside
                )
        finally:
            self._remove_tree(inside)

    def _mmdebstrap(self, tar: Path, deadline: Deadline, bus: EventBus) -> None:
        if not KEYRING.exists():
            raise EnvironmentProblem(
                f"{KEYRING} is missing; it proves that packages come from Debian.",
                hint="Install it: sudo apt-get install debian-archive-keyring",
            )
        uuid = self._layout.uuid("root")
        before, after = self._folder / "before.tar", self._folder / "after.tar"
        before.write_bytes(overlay_tar(debian.files_before(uuid)))
        after.write_bytes(overlay_tar(debian.files_after(uuid)))
        argv = mmdebstrap_argv(
            self._suite, tar, self._mirrors, before=before, after=after, as_root=self._as_root
        )
        with Wait(bus, "Bootstrapping Debian"):
            run(argv, timeout=deadline.remaining(1800), on_line=None)

    def _unpack(self, tar: Path, inside: list[str], deadline: Deadline) -> None:
        self._tree.mkdir()
        # Device nodes cannot be made in a namespace and are not needed: the kernel mounts devtmpfs.
        unpack = ["tar", "--extract", "--file", tar, "--directory", self._tree, "--numeric-owner"]
        options = ["--same-permissions", "--xattrs", "--xattrs-include=*", "--exclude=./dev/*"]
        run([*inside, *unpack, *options], timeout=deadline.remaining(600))

    def _remove_tree(self, inside: list[str]) -> None:
        if self._tree.exists():
            run([*inside, "rm", "-rf", "--one-file-system", self._tree], timeout=120, ok=(0, 1))
