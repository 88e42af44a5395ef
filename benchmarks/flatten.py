"""The VHD that our flatten writes against `qemu-img convert` alone, from the same qcow2 chain."""

from __future__ import annotations

import os
import subprocess
import time
from pathlib import Path

from builder.disk import qemu_img
from builder.disk.graph import BlockGraph, DiskLayer

OURS, THEIRS = "goldsmith", "qemu-img"
CASE = "flatten"
LIMIT_SECONDS = 900
MIB = 2**20

# What a package install and a small step leave, roughly: where and how much, in MiB, for each layer.
_WRITES = (((600, 96), (1500, 64), (2600, 32)), ((700, 8), (3000, 24)))


class Chain:
    """The base under two qcow2 layers with some data in each, as after two steps."""

    def __init__(self, base: Path, room: Path) -> None:
        room.mkdir(parents=True)
        self._room = room
        self.size = base.stat().st_size
        self.graph = BlockGraph((DiskLayer(base, "raw"),))
        for number, writes in enumerate(_WRITES, start=1):
            layer = room / f"layer-{number}.qcow2"
            qemu_img.create_overlay(layer, self.size)
            whole = [(at, much) for at, much in writes if (at + much) * MIB <= self.size]
            words = [word for at, much in whole for word in ("-c", f"write -P {number} {at}M {much}M")]
            subprocess.run(
                ["qemu-io", "-f", "qcow2", *words, str(layer)],
                check=True, capture_output=True, timeout=LIMIT_SECONDS,
            )  # fmt: skip
            self.graph = self.graph.over(layer)

    def write(self, tool: str) -> tuple[float, Path]:
        """Seconds and file of one VHD. The disk is idle before, so that neither pays for the other."""
        vhd = self._room / f"{tool}.vhd"
        vhd.unlink(missing_ok=True)
        os.sync()
        start = time.monotonic()
        if tool == OURS:
            qemu_img.flatten_to_vhd(self.graph, vhd, size=self.size, timeout=LIMIT_SECONDS)
        else:
            subprocess.run(
                ["qemu-img", "convert", "-O", "vpc", "-o", "subformat=fixed,force_size=on",
                 self.graph.json_name(), str(vhd)],
                check=True, capture_output=True, timeout=LIMIT_SECONDS,
            )  # fmt: skip
        return time.monotonic() - start, vhd

    def same(self) -> bool:
        """Whether both wrote the same disk; the footers differ by their ids."""
        pair = [str(self._room / f"{tool}.vhd") for tool in (OURS, THEIRS)]
        return subprocess.run(["cmp", "-s", "-n", str(self.size), *pair], check=False).returncode == 0
