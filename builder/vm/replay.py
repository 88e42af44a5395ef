"""Replaying a log that only a kernel can: the image's own mounts the file system once, in a small machine.

Kernel and initramfs are read from the image, where the driver for its file systems must be anyway; a program
of ours is laid over the initramfs and runs instead of its init, so nothing of the image's system starts.
"""

from __future__ import annotations

import json
import re
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from builder import process
from builder.disk.graph import BlockGraph, DiskLayer
from builder.vm.accelerator import QEMU_PACKAGE, QEMU_PROGRAM
from builder.vm.errors import MachineError

if TYPE_CHECKING:
    from builder.vm.accelerator import Accelerator
    from provisioners.generalized import ImageFiles

SECONDS = 300.0
_MEMORY_MIB = 1024
_DONE = "GOLDSMITH-REPLAYED"
_PROGRAM = "goldsmith-replay"
_INIT = f"""#!/bin/sh
PATH=/usr/sbin:/usr/bin:/sbin:/bin
mkdir -p /proc /sys /dev /goldsmith
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs devtmpfs /dev
exec >/dev/ttyS0 2>&1
for driver in virtio_pci virtio_blk xfs; do modprobe $driver; done
for number in @NUMBERS@; do
  tries=0
  while ! [ -b /dev/vda$number ] && [ $tries -lt 100 ]; do
    tries=$((tries + 1))
    sleep 0.1
  done
  mount -t xfs /dev/vda$number /goldsmith && umount /goldsmith && echo "{_DONE} $number"
done
echo o >/proc/sysrq-trigger
sleep 60
"""


class ReplayError(MachineError):
    """A log could not be replayed."""

    code = "ReplayFailed"


def replay(
    image: Path,
    size: int,
    files: ImageFiles,
    numbers: Sequence[int],
    accelerator: Accelerator,
    *,
    timeout: float,
) -> None:
    """Mount and unmount the XFS in the partitions `numbers` of `image`, the first `size` bytes of a raw disk.

    `files` is the image as it can be read now. Raises ReplayError when one was not mounted, or there is no
    kernel to do it, EnvironmentProblem without QEMU.
    """
    names = files.listdir("/boot") or []
    pair = next(iter(kernels(names)), None)
    if pair is None:
        raise _no_kernel(f"/boot has no kernel with an initramfs: {', '.join(names) or 'it is empty'}.")
    kernel, initramfs = (files.read(f"/boot/{name}") for name in pair)
    if not kernel or not initramfs:
        raise _no_kernel(f"/boot/{pair[0]} or /boot/{pair[1]} cannot be read from the image.")
    init = _INIT.replace("@NUMBERS@", " ".join(map(str, numbers))).encode()
    with tempfile.TemporaryDirectory(dir=image.parent, prefix=".replay-") as name:
        folder = Path(name)
        (folder / "kernel").write_bytes(kernel)
        # The kernel unpacks one archive after the other; one that is not compressed begins at a word.
        (folder / "initramfs").write_bytes(initramfs + bytes(-len(initramfs) % 4) + cpio(_PROGRAM, init))
        serial = folder / "serial"
        argv = replay_argv(process.require(QEMU_PROGRAM, QEMU_PACKAGE), folder, image, size, accelerator)
        process.run(argv, timeout=min(timeout, SECONDS))
        said = serial.read_text(errors="replace").splitlines() if serial.exists() else []
    missing = {f"{_DONE} {number}" for number in numbers} - {line.strip() for line in said}
    if missing:
        raise ReplayError(
            f"The image's own kernel ({pair[0]}) could not mount its XFS.", details=tuple(said[-15:])
        )


def _no_kernel(why: str) -> ReplayError:
    """XFS leaves new metadata in its log until there is need or time, so even a /boot that was filled
    minutes ago may be nowhere else.
    """
    return ReplayError(
        "The guest went off without unmounting its XFS, and no kernel can be read that would replay its log.",
        details=(why, "What was written to /boot last may be only in that log."),
        hint="Leave the power-off to Goldsmith: take it out of the customizer or the deprovision script. "
        "Or put /boot in place before it: 'fsfreeze -f /boot; fsfreeze -u /boot'.",
    )


def kernels(names: Iterable[str]) -> list[tuple[str, str]]:
    """Kernels with their initramfs among the names in /boot, the newest first; pure. Debian's and RHEL's."""
    there = set(names)
    found = []
    for name in there:
        version = name.removeprefix("vmlinuz-")
        if version == name or "rescue" in version:
            continue
        for initramfs in (f"initrd.img-{version}", f"initramfs-{version}.img"):
            if initramfs in there:
                found.append((name, initramfs))
    return sorted(found, key=lambda pair: _order(pair[0]), reverse=True)


def cpio(name: str, content: bytes) -> bytes:
    """An archive with one executable, as the kernel unpacks it (buffer-format.rst: "newc")."""
    return _record(name, content, 0o100755, 1) + _record("TRAILER!!!", b"", 0, 2)


def replay_argv(qemu: str, folder: Path, image: Path, size: int, accelerator: Accelerator) -> list[str]:
    """The QEMU command line; pure. The machine ends by itself, whatever its kernel does."""
    serial = str(folder / "serial").replace(",", ",,")
    nodes = BlockGraph((DiskLayer(image, "raw", size),)).blockdev("disk")
    return [
        *(qemu, "-no-user-config", "-nodefaults", "-display", "none", "-no-reboot", "-monitor", "none"),
        *("-machine", "q35", *accelerator.argv, "-cpu", accelerator.cpu_model, "-m", str(_MEMORY_MIB)),
        *("-kernel", str(folder / "kernel"), "-initrd", str(folder / "initramfs")),
        *("-append", f"rdinit=/{_PROGRAM} console=ttyS0 panic=-1"),
        *(word for node in nodes for word in ("-blockdev", json.dumps(node))),
        *("-device", "virtio-blk-pci,drive=disk"),
        *("-chardev", f"file,id=serial,path={serial}", "-serial", "chardev:serial"),
    ]


def _record(name: str, content: bytes, mode: int, inode: int) -> bytes:
    title = name.encode() + b"\0"
    numbers = (inode, mode, 0, 0, 1, 0, len(content), 0, 0, 0, 0, len(title), 0)
    head = b"070701" + b"".join(b"%08x" % number for number in numbers) + title
    return b"".join(piece + bytes(-len(piece) % 4) for piece in (head, content))


def _order(name: str) -> list[tuple[int, str]]:
    """Versions by their numbers, so that 5.14 follows 5.9."""
    return [(int(part), "") if part.isdigit() else (-1, part) for part in re.findall(r"\d+|\D+", name)]
