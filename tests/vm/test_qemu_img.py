"""The real qemu-img on small disks; no VM boots."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest

from builder.disk import extents, qemu_img
from builder.disk.graph import BlockGraph, DiskLayer
from builder.disk.vhd import VhdError, check_fixed_vhd
from builder.errors import BuildError
from builder.process import ProcessError, run

MIB = 1024**2
GIB = 1024**3


def raw(path: Path, size: int, *pieces: tuple[int, bytes]) -> Path:
    with path.open("wb") as file:
        file.truncate(size)
        for at, data in pieces:
            file.seek(at)
            file.write(data)
    return path


def write_into(overlay: Path, below: dict[str, object] | None, at: int, size: int, pattern: int) -> None:
    """Write through the explicit graph, as a guest would."""
    options = {"driver": "qcow2", "file": {"driver": "file", "filename": str(overlay)}, "backing": below}
    run(
        ["qemu-io", "-c", f"write -P {pattern} {at} {size}", "json:" + json.dumps(options)],
        timeout=60,
    )


@pytest.fixture
def noise() -> bytes:
    return random.Random(1).randbytes(3 * MIB)


def test_a_chain_flattens_to_a_sparse_fixed_vhd(tmp_path: Path, noise: bytes) -> None:
    base = raw(tmp_path / "base.raw", 64 * MIB, (5 * MIB, noise))
    overlay = tmp_path / "over lay?.qcow2"
    size = 4 * GIB + 12345 * 512
    qemu_img.create_overlay(overlay, size)
    below = {"driver": "raw", "file": {"driver": "file", "filename": str(base)}}
    write_into(overlay, below, 6 * MIB, 65536, 0xAB)
    write_into(overlay, below, 3 * GIB, 65536, 0xCD)
    graph = BlockGraph((DiskLayer(base, "raw"),)).over(overlay)

    vhd = tmp_path / "out.vhd"
    whole = qemu_img.flatten_to_vhd(graph, vhd, size=size, timeout=60)

    assert whole == qemu_img.round_up_to_mib(size) > size
    info = check_fixed_vhd(vhd)
    assert info.virtual_size == whole
    assert info.size_on_disk < 5 * MIB
    expected = bytearray(noise)
    expected[MIB : MIB + 65536] = b"\xab" * 65536
    with vhd.open("rb") as file:
        file.seek(5 * MIB)
        assert file.read(3 * MIB) == bytes(expected)
        file.seek(3 * GIB)
        assert file.read(65537) == b"\xcd" * 65536 + b"\0"
    described = qemu_img.info(vhd, "vpc")
    assert (described.format, described.virtual_size) == ("vpc", whole)
    assert not qemu_img.check(vhd, "vpc").supported
    assert qemu_img.check(overlay, "qcow2").clean


def test_a_second_opinion_on_a_vhd(tmp_path: Path, noise: bytes) -> None:
    source = raw(tmp_path / "a.raw", 8 * MIB, (MIB, noise))
    vhd = tmp_path / "a.vhd"
    qemu_img.flatten_to_vhd(BlockGraph((DiskLayer(source, "raw"),)), vhd, size=8 * MIB, timeout=60)
    qemu_img.verify_with_qemu_img(vhd)
    with pytest.raises(VhdError, match="is not a VHD"):
        qemu_img.verify_with_qemu_img(source)
    rounded = tmp_path / "rounded.vhd"
    run(["qemu-img", "create", "-q", "-f", "vpc", "-o", "subformat=dynamic", rounded, "8M"], timeout=60)
    footer = bytearray(rounded.read_bytes()[-512:])
    footer[48:56] = (9 * MIB).to_bytes(8, "big")
    with rounded.open("r+b") as file:
        file.seek(-512, 2)
        file.write(footer)
    with pytest.raises(BuildError):
        qemu_img.verify_with_qemu_img(rounded)


def test_a_lone_overlay_flattens_whatever_its_header_says(tmp_path: Path) -> None:
    secret = raw(tmp_path / "secret.raw", MIB, (0, b"not for the guest"))
    overlay = tmp_path / "o.qcow2"
    run(["qemu-img", "create", "-q", "-f", "qcow2", "-b", secret, "-F", "raw", overlay], timeout=60)
    vhd = tmp_path / "o.vhd"
    qemu_img.flatten_to_vhd(BlockGraph((DiskLayer(overlay, "qcow2"),)), vhd, size=MIB, timeout=60)
    assert vhd.read_bytes()[:MIB] == bytes(MIB)


def test_a_vhd_as_a_base_hides_its_footer(tmp_path: Path, noise: bytes) -> None:
    first, second = tmp_path / "1.vhd", tmp_path / "2.vhd"
    source = raw(tmp_path / "a.raw", 8 * MIB, (MIB, noise))
    qemu_img.flatten_to_vhd(BlockGraph((DiskLayer(source, "raw"),)), first, size=8 * MIB, timeout=60)
    overlay = tmp_path / "grown.qcow2"
    qemu_img.create_overlay(overlay, 16 * MIB)
    graph = BlockGraph((DiskLayer(first, "raw", 8 * MIB),)).over(overlay)
    qemu_img.flatten_to_vhd(graph, second, size=16 * MIB, timeout=60)
    content = second.read_bytes()[: 16 * MIB]
    assert content[: 8 * MIB] == source.read_bytes()
    assert content[8 * MIB :] == bytes(8 * MIB)


def test_the_same_disk_has_the_same_digest_on_every_way(tmp_path: Path, noise: bytes) -> None:
    source = raw(tmp_path / "a.raw", 32 * MIB, (7 * MIB, noise))
    dense = tmp_path / "dense.raw"
    dense.write_bytes(source.read_bytes())
    digests = set()
    for number, path in enumerate((source, dense)):
        vhd = tmp_path / f"{number}.vhd"
        qemu_img.flatten_to_vhd(BlockGraph((DiskLayer(path, "raw"),)), vhd, size=32 * MIB, timeout=60)
        digests.add(extents.content_digest(vhd, 32 * MIB))
        digests.add(extents.content_digest(path))
    assert len(digests) == 1


@pytest.mark.parametrize("kind", ["vhdx", "vmdk", "vdi", "qcow2", "vpc"])
def test_foreign_formats_are_imported(tmp_path: Path, noise: bytes, kind: str) -> None:
    source = raw(tmp_path / "a.raw", 16 * MIB, (MIB, noise))
    foreign, back = tmp_path / f"a.{kind}", tmp_path / "back.qcow2"
    options = ["-o", "subformat=dynamic,force_size=on"] if kind == "vpc" else []
    run(["qemu-img", "convert", "-f", "raw", "-O", kind, *options, source, foreign], timeout=60)
    qemu_img.convert(foreign, kind, back, "qcow2", timeout=60)
    assert qemu_img.info(back, "qcow2").virtual_size == 16 * MIB
    flat = tmp_path / "flat.raw"
    qemu_img.convert(back, "qcow2", flat, "raw", timeout=60)
    assert flat.read_bytes() == source.read_bytes()


def test_a_file_of_another_format_is_an_error_with_the_command(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"not a qcow2" * 100)
    with pytest.raises(ProcessError) as caught:
        qemu_img.convert(tmp_path / "x", "qcow2", tmp_path / "y", "raw", timeout=60)
    assert caught.value.details[0].startswith("$ qemu-img convert -f qcow2 -O raw -- ")
    assert any("not in qcow2 format" in line for line in caught.value.details)
