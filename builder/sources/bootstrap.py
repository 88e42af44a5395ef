"""A Debian or Ubuntu disk from packages: mmdebstrap to a tar, the tar to a tree, the tree to a disk.

Works as root and as a normal user. A normal user cannot own root's files, so the tree is made,
unpacked, read by mke2fs and removed inside user namespaces of the user's subordinate ids.
"""

from __future__ import annotations

import io
import shlex
import tarfile
from collections.abc import Callable, Sequence
from pathlib import Path

from builder.deadline import Deadline
from builder.disk.assemble import BootFiles, DiskLayout, assemble
from builder.errors import BuildError, EnvironmentProblem
from builder.events import EventBus, Wait
from builder.process import ProcessError, require, run
from builder.sources import base_files
from builder.sources.distribution import Distribution
from builder.sources.mirrors import Mirrors, apt_proxies
from builder.sources.scratch import contained, inside_namespace, remove_tree

# Raised whenever the same recipe gives another disk.
EPOCH = 1
_BOOTSTRAP_SECONDS = 1800.0
_DISK_SECONDS = 600.0
_PHASES = (
    "I: running apt-get",
    "I: downloading",
    "I: extracting",
    "I: installing",
    "I: cleaning",
    "I: creating",
)


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
    distribution: Distribution,
    suite: str,
    tar: Path,
    mirrors: Mirrors,
    *,
    before: Path,
    after: Path,
    packages: Sequence[str],
) -> list[str]:
    """The mmdebstrap command; without mirrors it takes its own default for that suite."""
    components = distribution.components
    some = [] if mirrors.lines or components == ("main",) else [f"--components={','.join(components)}"]
    return [
        require("mmdebstrap", "mmdebstrap"),
        "--mode=root",  # of the namespace it runs in
        "--variant=minbase",
        "--architectures=amd64",
        "--format=tar",
        f"--keyring={distribution.keyring}",
        *some,
        f"--include={','.join((*distribution.packages(suite), *packages))}",
        f"--essential-hook=tar-in {shlex.quote(str(before))} /",
        f"--customize-hook=tar-in {shlex.quote(str(after))} /",
        '--customize-hook=chroot "$1" /root/finish.sh',
        suite,
        str(tar),
        *mirrors.lines,
    ]


class Bootstrap:
    """One bootstrap of `suite` into `folder`, which must exist."""

    def __init__(
        self,
        distribution: Distribution,
        suite: str,
        mirrors: Mirrors,
        layout: DiskLayout,
        folder: Path,
        *,
        packages: Sequence[str] = (),
    ) -> None:
        self._distribution = distribution
        self._suite = suite
        self._mirrors = mirrors
        self._layout = layout
        self._folder = folder
        self._packages = tuple(packages)

    def build(self, image: Path, *, deadline: Deadline, bus: EventBus) -> None:
        """Write the disk to `image`, a path inside the folder. Raises BuildError, EnvironmentProblem."""
        inside = inside_namespace()
        tar, tree = self._folder / "tree.tar", self._folder / "tree"
        try:
            self._mmdebstrap(tar, deadline, bus)
            with Wait(bus, "Writing the disk"):
                _unpack(tar, tree, inside, deadline)
                tar.unlink()
                timeout = deadline.remaining(_DISK_SECONDS)
                assemble(tree, image, self._layout, _boot_files(tree), timeout=timeout, prefix=inside)
        finally:
            tar.unlink(missing_ok=True)
            remove_tree(tree)

    def _mmdebstrap(self, tar: Path, deadline: Deadline, bus: EventBus) -> None:
        distribution = self._distribution
        if not distribution.keyring.exists():
            raise EnvironmentProblem(
                f"{distribution.keyring} is missing; it proves that packages come from {distribution.name}.",
                hint=distribution.keyring_hint,
            )
        uuid = self._layout.uuid("root")
        before, after = self._folder / "before.tar", self._folder / "after.tar"
        before.write_bytes(overlay_tar(base_files.files_before(distribution, uuid)))
        after.write_bytes(overlay_tar(base_files.files_after(distribution, self._suite, uuid)))
        argv = mmdebstrap_argv(
            distribution,
            self._suite,
            tar,
            self._mirrors,
            before=before,
            after=after,
            packages=self._packages,
        )
        # Inside our folder, which whoever finds it after a crash removes as a whole.
        scratch = self._folder / "scratch"
        scratch.mkdir()
        try:
            with Wait(bus, f"Bootstrapping {distribution.name} {self._suite}"):
                timeout = deadline.remaining(_BOOTSTRAP_SECONDS)
                env = {**apt_proxies(), "TMPDIR": str(scratch)}
                run([*contained(), *argv], timeout=timeout, env=env, on_line=_progress(bus))
        except ProcessError as error:
            if deadline.expired:
                raise deadline.error() from error
            raise BuildError(
                f"{distribution.name} {self._suite} could not be bootstrapped.",
                details=(error.message, *error.details),
                hint="Check that the package mirror answers; "
                f"GOLDSMITH_{distribution.mirror_setting.upper()} names another one.",
            ) from error
        finally:
            remove_tree(scratch)
            before.unlink()
            after.unlink()


def _unpack(tar: Path, tree: Path, inside: list[str], deadline: Deadline) -> None:
    tree.mkdir(mode=0o755)
    # Device nodes cannot be made in a namespace and are not needed: the kernel mounts devtmpfs.
    unpack = ["tar", "--extract", "--file", str(tar), "--directory", str(tree), "--numeric-owner"]
    options = ["--same-permissions", "--xattrs", "--xattrs-include=*", "--exclude=./dev/*"]
    run([*inside, *unpack, *options], timeout=deadline.remaining(_DISK_SECONDS))


def _boot_files(tree: Path) -> BootFiles:
    grub = tree / "boot/grub"
    bios = grub / "i386-pc"
    return BootFiles(
        boot=(bios / "boot.img").read_bytes(),
        core=(bios / "core.img").read_bytes(),
        efi=grub / "x86_64-efi/core.efi",
    )


def _progress(bus: EventBus) -> Callable[[str], None]:
    """mmdebstrap marks its phases with "I: "; they say more than a bar could."""

    def tell(line: str) -> None:
        if line.startswith(_PHASES):
            bus.note(f"mmdebstrap: {line.removeprefix('I: ').rstrip('.')}")

    return tell
