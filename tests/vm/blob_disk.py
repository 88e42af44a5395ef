"""Sparse VHDs for the tests of uploads, made in a moment."""

from __future__ import annotations

import random
from pathlib import Path

from builder.disk import qemu_img
from builder.disk.graph import BlockGraph, DiskLayer

MIB = 1024**2


def sparse_vhd(path: Path, size: int, data: dict[int, bytes]) -> Path:
    """A fixed VHD of `size` bytes with `data` at its places and holes elsewhere."""
    raw = path.with_suffix(".raw")
    with raw.open("wb") as file:
        file.truncate(size)
        for place, content in data.items():
            file.seek(place)
            file.write(content)
    qemu_img.flatten_to_vhd(BlockGraph((DiskLayer(raw, "raw"),)), path, size=size, timeout=300)
    raw.unlink()
    return path


def noise(size: int, seed: int = 1) -> bytes:
    """Bytes that nothing compresses and no block of which is zeros."""
    return random.Random(seed).randbytes(size)
