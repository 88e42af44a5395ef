"""Packing the memory of layers that are not likely to be gone on from next.

A plain memory is loaded in a fifth of a second; a packed one takes twice to three times as long, but a third
of the room, and what is taken away before the kernel came to write it costs the disk nothing: past the
host's dirty limit nobody writes faster than its disk.
"""

from __future__ import annotations

import os
import time
import uuid
from collections.abc import Collection
from dataclasses import replace
from typing import TYPE_CHECKING

from builder.layers.layer import MEMORY, META, PACKED_MEMORY
from builder.layers.soundness import memory_is_sound
from builder.owner import host_boot_id
from builder.vm import memory_file

if TYPE_CHECKING:
    from builder.layers.layer import Layer
    from builder.layers.store import LayerStore

_STALE_SECONDS = 3600.0


def pack_one(store: LayerStore, spared: Collection[str]) -> Layer | None:
    """Pack the memory that was of use least recently, but for those of the instances `spared`.

    Whoever stores a layer does it once, and spares that one and the one it lies on: an edit of the last step
    goes on from there, also after a build that made only the last layer. Returns the layer as it is now,
    None when there was nothing to do. Raises OSError.
    """
    others = [layer for layer in store.all() if layer.meta.instance not in spared]
    plain = [layer for layer in others if layer.meta.memory and not layer.meta.memory.packed]
    if not plain:
        return None
    layer = min(plain, key=lambda one: one.last_use)
    if not memory_is_sound(layer):
        store.drop_memory(layer)
        return None
    return _pack(store, layer)


def _pack(store: LayerStore, layer: Layer) -> Layer | None:
    """The packed file first, then the description that names it, then the plain file goes: killed in
    between, the layer has one of both.
    """
    assert layer.meta.memory is not None  # noqa: S101 - the caller looked
    for stale in layer.folder.glob(f".{PACKED_MEMORY}.*"):  # of one that was killed
        if time.time() - stale.stat().st_mtime > _STALE_SECONDS:
            stale.unlink(missing_ok=True)
    part = layer.folder / f".{PACKED_MEMORY}.{uuid.uuid4().hex}"
    checksum = memory_file.pack(layer.memory, part)
    known = replace(
        layer.meta.memory,
        size=part.stat().st_size,
        checksum=checksum,
        host_boot=host_boot_id(),
        packed=True,
    )
    if store.find(layer.meta.id) != layer:  # it went, or another making took its place
        part.unlink(missing_ok=True)
        return None
    part.replace(layer.folder / PACKED_MEMORY)
    when = layer.last_use
    replace(layer.meta, memory=known).save(layer.folder)
    os.utime(layer.folder / META, (when, when))
    (layer.folder / MEMORY).unlink(missing_ok=True)
    return store.find(layer.meta.id)
