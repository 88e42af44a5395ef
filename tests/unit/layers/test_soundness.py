"""A memory snapshot that was not forced to the disk is only loaded when it is what was written."""

from __future__ import annotations

import zlib
from dataclasses import replace
from pathlib import Path

import pytest

from builder.layers.layer import Layer, Memory
from builder.layers.soundness import checksum, memory_is_sound
from builder.owner import host_boot_id
from layers.made import draft


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
