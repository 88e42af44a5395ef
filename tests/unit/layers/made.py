"""Layers and finished images made by hand: folders with the files a build would leave, tiny ones."""

from __future__ import annotations

import hashlib
import json
import os
import zlib
from pathlib import Path
from typing import Any

from builder.layers.finished import FinishedStore
from builder.layers.layer import ACCESS, BOOT, DISK, MEMORY, SEED, Layer, LayerMeta, Memory
from builder.layers.store import LayerStore
from builder.vm import memory_file

SOURCE = "a" * 64
QCOW2 = b"QFI\xfb\0\0\0\3" + bytes(96)
"""The header of a version 3 file that depends on no other."""


def an_id(name: str) -> str:
    return hashlib.sha256(name.encode()).hexdigest()


def disk_of(instance: str) -> bytes:
    return QCOW2 + f"disk of {instance}".encode()


def memory_of(instance: str) -> bytes:
    return f"memory of {instance}".encode() * 10


def draft(
    folder: Path, name: str, parent: str = "", instance: str = "", *, memory: bool = True, **facts: Any
) -> Layer:
    """A layer in a folder of its own, as a build makes it in its workspace. `parent` is an instance."""
    instance = instance or f"{name}-1"
    folder.mkdir(parents=True, mode=0o700)
    kind = facts.pop("kind", "Shell" if parent else BOOT)
    (folder / DISK).write_bytes(disk_of(instance))
    if memory:
        (folder / MEMORY).write_bytes(memory_of(instance))
    if kind == BOOT:
        (folder / SEED).write_bytes(b"seed of " + instance.encode())
        (folder / ACCESS).write_text("{}")
    meta = LayerMeta(
        id=an_id(name),
        instance=instance,
        parent=parent,
        kind=kind,
        name=facts.pop("label", name),
        template=facts.pop("template", "web"),
        source=facts.pop("source", SOURCE),
        inputs={"inline[0]": "0" * 32},
        frozen=facts.pop("frozen", (1000.0,)),
        virtual_size=1024**3,
        disk_size=len(disk_of(instance)),
        memory=Memory("key", len(memory_of(instance)), zlib.crc32(memory_of(instance))) if memory else None,
        **facts,
    )
    meta.save(folder)
    return Layer(folder, meta)


def put(store: LayerStore, name: str, parent: str = "", instance: str = "", **facts: Any) -> Layer:
    """A layer that is in the store already."""
    made = draft(store.root / an_id(name), name, parent, instance, **facts)
    found = store.find(made.meta.id)
    assert found is not None
    return found


def unpacked(memory: Path) -> bytes:
    """A memory as QEMU wrote it."""
    with memory_file.reading(memory) as descriptor:
        return os.read(descriptor, 1024**2)


def used_at(layer: Layer, seconds: float) -> None:
    os.utime(layer.folder / "meta.json", (seconds, seconds))


FACTS: dict[str, object] = {
    "template": "web",
    "source": SOURCE,
    "os_type": "Linux",
    "generation": "V1",
    "virtual_size": 1024**2,
    "digest": "d" * 64,
    "proof": "proved",
    "frozen": (1000.0, 1001.0),
}


def put_image(store: FinishedStore, name: str, content: bytes = b"vhd", *, facts: Any = None) -> str:
    """A finished image in the store; its id."""
    place = store.root.parent / f"made-{len(list(store.root.parent.iterdir()))}"
    place.mkdir(parents=True)
    vhd = place / "os.vhd"
    vhd.write_bytes(content)
    assert store.add(vhd, facts or FACTS, an_id(name), place / "draft") is not None
    vhd.unlink()
    return an_id(name)


def rewrite_meta(folder: Path, **changes: Any) -> None:
    """Change meta.json as a foreign or newer program might."""
    file = folder / "meta.json"
    data = json.loads(file.read_text())
    data.update(changes)
    file.write_text(json.dumps(data))
