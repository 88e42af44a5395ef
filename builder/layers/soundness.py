"""Whether a memory snapshot, or a finished image, is still what was written.

They are not forced to the disk: that would be hundreds of megabytes for each step, in competition with the
guest, and for each image, in competition with its targets. Within the boot of the host that wrote them the
kernel vouches for them; after a restart, which may have been a power cut, a checksum or the digest does.
"""

from __future__ import annotations

import zlib
from pathlib import Path
from typing import TYPE_CHECKING

from builder.disk.extents import content_digest
from builder.owner import host_boot_id

if TYPE_CHECKING:
    from builder.layers.finished import FinishedLayer
    from builder.layers.layer import Layer

_CHUNK = 4 * 1024**2


def checksum(file: Path) -> int:
    """CRC-32 of a file: against accidents, not against malice."""
    found = 0
    with file.open("rb", buffering=0) as stream:
        while chunk := stream.read(_CHUNK):
            found = zlib.crc32(chunk, found)
    return found


def memory_is_sound(layer: Layer) -> bool:
    """Whether the memory of a layer may be loaded; reads all of it after a restart of the host."""
    memory = layer.meta.memory
    if memory is None:
        return False
    try:
        return memory.host_boot == host_boot_id() or checksum(layer.memory) == memory.checksum
    except OSError:
        return False


def image_is_sound(image: FinishedLayer) -> bool:
    """Whether a finished image may be handed out; reads all of it after a restart of the host."""
    meta = image.meta
    try:
        return meta.host_boot == host_boot_id() or content_digest(image.vhd, meta.virtual_size) == meta.digest
    except OSError:
        return False
