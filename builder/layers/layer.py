"""One layer: the disk blocks a step changed, and the guest's memory at its end.

`cache/layers/<id>/` holds `disk.qcow2`, `meta.json`, and where there are any `memory` or `memory.zst` and
`uefi-vars.fd`; the warm base (kind `boot`) also `seed.iso` and `access.json`, by which every layer on it is
entered.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from functools import cache
from pathlib import Path

from pydantic import TypeAdapter

from builder.disk.graph import DiskLayer

FORMAT = 1
BOOT = "boot"
GROW = "grow"
DISK, MEMORY, VARS, META = "disk.qcow2", "memory", "uefi-vars.fd", "meta.json"
PACKED_MEMORY = "memory.zst"
MEMORIES = (MEMORY, PACKED_MEMORY)
SEED, ACCESS = "seed.iso", "access.json"


@dataclass(frozen=True, slots=True)
class Memory:
    """A memory snapshot: the machine it fits (`vm/identity.py`), the length of its file in bytes, its CRC-32
    and the boot of the host that wrote it (`soundness.py`), and whether it is packed (`packing.py`).
    """

    key: str
    size: int
    checksum: int = 0
    host_boot: str = ""
    packed: bool = False

    @property
    def file_name(self) -> str:
        """Its file in the layer's folder."""
        return PACKED_MEMORY if self.packed else MEMORY


@dataclass(frozen=True, slots=True)
class LayerMeta:
    """What meta.json says. `id` says how the layer is made, `instance` names this making of it: made
    again, its content differs, so what lies on it names the `parent` instance it was made on.

    `frozen` is when each layer below and this one were made (seconds since 1970, the oldest first): a
    cached `apt-get update` shows the mirror of that moment. `volatile` lists what only the memory
    holds (files in /tmp): without it the layer cannot be used. `sessions` are the processes of the SSH
    connection that the snapshot holds. `inputs` are digests, to say what changed. Sizes in bytes.
    """

    id: str
    instance: str
    parent: str
    kind: str
    name: str
    template: str
    source: str
    inputs: Mapping[str, str]
    frozen: tuple[float, ...]
    virtual_size: int
    disk_size: int
    memory: Memory | None = None
    volatile: tuple[str, ...] = ()
    sessions: tuple[int, ...] = ()
    format: int = FORMAT

    @property
    def created(self) -> float:
        """When it was made, in seconds since 1970."""
        return self.frozen[-1]

    def save(self, folder: Path) -> None:
        """Write meta.json, in one step: a reader sees the old or the new one."""
        part = folder / f".{META}.part"
        part.write_text(json.dumps(asdict(self), indent=1) + "\n")
        part.replace(folder / META)

    @classmethod
    def load(cls, folder: Path) -> LayerMeta | None:
        """What `save` wrote; None for anything else, and for another format."""
        try:
            meta = _adapter().validate_json((folder / META).read_bytes(), strict=True)
        except (OSError, ValueError):
            return None
        return meta if meta.format == FORMAT and meta.frozen else None


@cache
def _adapter() -> TypeAdapter[LayerMeta]:
    return TypeAdapter(LayerMeta)  # types too: whoever reads the store must not stumble over one foreign file


@dataclass(frozen=True, slots=True)
class Layer:
    """A layer in the store (or in a workspace, until it is stored)."""

    folder: Path
    meta: LayerMeta = field(hash=False)

    @classmethod
    def load(cls, folder: Path) -> Layer | None:
        """The layer in `folder` when it is whole; without its memory when only that is not."""
        meta = LayerMeta.load(folder)
        if meta is None or _size(folder / DISK) != meta.disk_size:
            return None
        if meta.memory is not None and _size(folder / meta.memory.file_name) != meta.memory.size:
            meta = replace(meta, memory=None)
        if meta.kind == BOOT and not ((folder / SEED).is_file() and (folder / ACCESS).is_file()):
            return None
        return cls(folder, meta)

    @property
    def disk(self) -> DiskLayer:
        """Its part of the block graph."""
        return DiskLayer(self.folder / DISK, "qcow2")

    @property
    def memory(self) -> Path:
        """The file of the memory snapshot, when `meta.memory` is there."""
        return self.folder / (self.meta.memory.file_name if self.meta.memory is not None else MEMORY)

    @property
    def last_use(self) -> float:
        """When it was made or was of use last, in seconds since 1970."""
        try:
            return (self.folder / META).stat().st_mtime
        except OSError:  # it went meanwhile
            return self.meta.created

    @property
    def uefi_vars(self) -> Path | None:
        """The UEFI variables of that moment (generation 2)."""
        path = self.folder / VARS
        return path if path.exists() else None

    def why_not(self, machine_key: str) -> str:
        """Why it cannot be gone on from on that machine; "" when it can, from memory or by a boot."""
        if self.restorable(machine_key) or not self.meta.volatile:
            return ""
        return f"{self.no_memory(machine_key)}, and only the memory holds {', '.join(self.meta.volatile)}"

    def restorable(self, machine_key: str) -> bool:
        """Whether its memory fits that machine."""
        return self.meta.memory is not None and self.meta.memory.key == machine_key

    def no_memory(self, machine_key: str) -> str:
        """Why it is not restored from memory, in words; "" when it is."""
        if self.meta.memory is None:
            return "there is no memory snapshot of it"
        return "" if self.restorable(machine_key) else "its memory snapshot is another machine's"


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return -1
