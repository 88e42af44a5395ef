"""What was not forced to the disk, a memory or a finished image, is only used when it is what was written."""

from __future__ import annotations

import os
import zlib
from dataclasses import replace
from pathlib import Path

import pytest

from builder.disk.extents import content_digest
from builder.layers.finished import FinishedStore
from builder.layers.layer import Layer, Memory
from builder.layers.soundness import checksum, image_is_sound, memory_is_sound
from builder.owner import host_boot_id
from layers.made import FACTS, an_id, draft, rewrite_meta


@pytest.fixture
def layer(tmp_path: Path) -> Layer:
    made = draft(tmp_path / "layer", "base")
    memory = made.meta.memory
    assert memory is not None
    known = replace(memory, checksum=checksum(made.memory), host_boot=host_boot_id())
    return Layer(made.folder, replace(made.meta, memory=known))


def of_boot(layer: Layer, boot: str) -> Layer:
    memory = layer.meta.memory
    assert memory is not None
    return Layer(layer.folder, replace(layer.meta, memory=replace(memory, host_boot=boot)))


def test_the_checksum_is_zlibs_for_any_size(tmp_path: Path) -> None:
    for size in (0, 1, 5 * 1024**2):
        file = tmp_path / str(size)
        file.write_bytes(b"x" * size)
        assert checksum(file) == zlib.crc32(b"x" * size)


def test_after_a_restart_of_the_host_only_what_was_written_is_loaded(layer: Layer) -> None:
    assert memory_is_sound(layer)
    assert memory_is_sound(of_boot(layer, "another boot"))
    data = layer.memory.read_bytes()
    layer.memory.write_bytes(bytes(len(data)))
    assert not memory_is_sound(of_boot(layer, "another boot"))


def test_without_its_file_or_a_snapshot_there_is_none(layer: Layer) -> None:
    layer.memory.unlink()
    assert not memory_is_sound(of_boot(layer, "another boot"))
    assert not memory_is_sound(Layer(layer.folder, replace(layer.meta, memory=None)))
    assert Memory("key", 1).host_boot != host_boot_id(), "an unknown boot is none of ours"


def test_after_a_restart_of_the_host_only_the_image_that_was_proved_is_handed_out(tmp_path: Path) -> None:
    store, vhd, name = FinishedStore(tmp_path / "finished"), tmp_path / "os.vhd", an_id("image")
    vhd.write_bytes(b"disk" * 1024)
    facts = {**FACTS, "digest": content_digest(vhd, 4096), "virtual_size": 4096}
    image = store.add(vhd, facts, name, tmp_path / "draft")
    assert image is not None
    assert image.meta.host_boot == host_boot_id()
    rewrite_meta(store.root / name, host_boot="another boot")
    older = store.find(name)
    assert older is not None
    assert image_is_sound(older)
    modified = vhd.stat().st_mtime_ns
    image.vhd.chmod(0o600)
    image.vhd.write_bytes(bytes(4096))  # what a power cut makes of a file that was not forced to the disk
    os.utime(image.vhd, ns=(modified, modified))
    damaged = store.find(name)
    assert damaged is not None, "length and time say nothing of its content"
    assert not image_is_sound(damaged)
    assert image_is_sound(image), "within one boot the kernel vouches for it"
    image.vhd.unlink()
    assert not image_is_sound(damaged)


def test_an_image_that_was_of_use_is_of_this_boot(tmp_path: Path) -> None:
    store, vhd, name = FinishedStore(tmp_path / "finished"), tmp_path / "os.vhd", an_id("image")
    vhd.write_bytes(b"disk")
    store.add(vhd, FACTS, name, tmp_path / "draft")
    rewrite_meta(store.root / name, host_boot="another boot")
    older = store.find(name)
    assert older is not None
    store.used(older)
    again = store.find(name)
    assert again is not None
    assert again.meta == replace(older.meta, host_boot=host_boot_id())
