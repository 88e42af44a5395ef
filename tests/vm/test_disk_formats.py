"""Files of every format as the real qemu-img makes them: detected, imported, compared byte by byte."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from builder.disk import qemu_img
from builder.disk.formats import DiskFormatError, detect
from builder.disk.graph import BlockGraph
from builder.disk.vhd import read_footer
from builder.process import run

MIB = 1024**2
# No size of whole cylinders: what rounds it would be seen.
SIZE = 33 * MIB + 7 * 512

KINDS = [
    ("qcow2", "", "qcow2", ""),
    ("qcow2", "compat=0.10", "qcow2", ""),
    ("qcow2", "compat=1.1,extended_l2=on,cluster_size=128k", "qcow2", ""),
    ("qcow2", "compression_type=zstd,lazy_refcounts=on", "qcow2", ""),
    ("vpc", "subformat=fixed,force_size=on", "vhd", "fixed"),
    ("vpc", "subformat=fixed", "vhd", "fixed"),
    ("vpc", "subformat=dynamic,force_size=on", "vhd", "dynamic"),
    ("vpc", "subformat=dynamic", "vhd", "dynamic"),
    ("vhdx", "subformat=dynamic", "vhdx", "dynamic"),
    ("vhdx", "subformat=fixed", "vhdx", "fixed"),
    ("vmdk", "subformat=monolithicSparse", "vmdk", "monolithicSparse"),
    ("vmdk", "subformat=streamOptimized", "vmdk", "streamOptimized"),
    ("vmdk", "subformat=monolithicFlat", "vmdk", "monolithicFlat"),
    ("vmdk", "subformat=twoGbMaxExtentSparse", "vmdk", "twoGbMaxExtentSparse"),
    ("vmdk", "subformat=twoGbMaxExtentFlat", "vmdk", "twoGbMaxExtentFlat"),
    ("vmdk", "subformat=monolithicSparse,compat6=on,zeroed_grain=on", "vmdk", "monolithicSparse"),
    ("raw", "", "raw", ""),
]


@pytest.fixture(scope="module")
def disk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("disk") / "a.raw"
    with path.open("wb") as file:
        file.truncate(SIZE)
        file.seek(510)
        file.write(b"\x55\xaa")
        file.seek(9 * MIB + 3)
        file.write(random.Random(3).randbytes(2 * MIB))
        file.seek(SIZE - 4)
        file.write(b"last")
    return path


def made(disk: Path, kind: str, options: str, folder: Path) -> Path:
    path = folder / f"disk.{kind}"
    extra = ["-o", options] if options else []
    run(["qemu-img", "convert", "-f", "raw", "-O", kind, *extra, disk, path], timeout=60)
    return path


@pytest.mark.parametrize(("kind", "options", "name", "subformat"), KINDS)
def test_every_format_is_detected_and_holds_the_disk(
    tmp_path: Path, disk: Path, kind: str, options: str, name: str, subformat: str
) -> None:
    path = made(disk, kind, options, tmp_path)
    found = detect(path)
    assert (found.format, found.subformat) == (name, subformat)
    assert detect(path, name) == found
    assert found.size == qemu_img.info(path, kind).virtual_size
    exact = kind != "vpc" or "force_size" in options
    assert found.size == SIZE if exact else found.size > SIZE

    flat = tmp_path / "flat"
    if found.layer is not None:
        run(["qemu-img", "convert", "-O", "raw", BlockGraph((found.layer,)).json_name(), flat], timeout=60)
    else:
        qcow2 = tmp_path / "imported.qcow2"
        qemu_img.convert_node(found.block_node(), qcow2, "qcow2", timeout=60)
        assert detect(qcow2).size == found.size
        qemu_img.convert(qcow2, "qcow2", flat, "raw", timeout=60)
    content = flat.read_bytes()
    assert content[:SIZE] == disk.read_bytes()
    assert content[SIZE:] == bytes(found.size - SIZE)


def test_a_dynamic_vhd_is_as_large_as_its_footer_says(tmp_path: Path, disk: Path) -> None:
    """QEMU would round such a disk, of a program it does not know, to whole cylinders and lose its end."""
    path = made(disk, "vpc", "subformat=dynamic,force_size=on", tmp_path)
    data = bytearray(path.read_bytes())
    for at in (0, len(data) - 512):
        data[at + 28 : at + 32] = b"virt"
        data[at + 56 : at + 60] = (993).to_bytes(2, "big") + bytes([4, 17])  # the cylinders of its size
        data[at + 64 : at + 68] = bytes(4)
        data[at + 64 : at + 68] = (~sum(data[at : at + 512]) & 0xFFFFFFFF).to_bytes(4, "big")
    path.write_bytes(data)
    assert qemu_img.info(path, "vpc").virtual_size != SIZE
    found = detect(path)
    assert found.size == read_footer(path).current_size == SIZE
    qemu_img.convert_node(found.block_node(), tmp_path / "q", "qcow2", timeout=60)
    assert qemu_img.info(tmp_path / "q", "qcow2").virtual_size == SIZE


def test_nothing_of_the_host_gets_into_an_imported_disk(tmp_path: Path, disk: Path) -> None:
    """What real programs would open when they believed the headers."""
    secret = tmp_path / "secret.raw"
    secret.write_bytes(b"not for guests".ljust(MIB, b"!"))
    overlay = tmp_path / "overlay.qcow2"
    run(["qemu-img", "create", "-q", "-f", "qcow2", "-b", secret, "-F", "raw", overlay], timeout=60)
    outside = tmp_path / "outside.qcow2"
    run(
        ["qemu-img", "create", "-q", "-f", "qcow2", "-o", f"data_file={tmp_path}/data", outside, "1M"],
        timeout=60,
    )  # fmt: skip
    base = made(disk, "vmdk", "", tmp_path)
    snapshot = tmp_path / "snapshot.vmdk"
    run(["qemu-img", "create", "-q", "-f", "vmdk", "-b", base, "-F", "vmdk", snapshot], timeout=60)
    for path in (overlay, outside, snapshot):
        with pytest.raises(DiskFormatError, match="cannot be used"):
            detect(path)
    # The same overlay as the content of a raw disk, and at the start of a fixed VHD.
    content = overlay.read_bytes()
    content += bytes(-len(content) % MIB)
    evil = tmp_path / "evil.raw"
    evil.write_bytes(content)
    raw = detect(evil, "raw")
    vhd = detect(made(evil, "vpc", "subformat=fixed,force_size=on", tmp_path))
    assert raw.warnings and not vhd.warnings
    for number, found in enumerate((raw, vhd)):
        flat = tmp_path / f"flat{number}"
        qemu_img.convert_node(found.block_node(), flat, "raw", timeout=60)
        assert flat.read_bytes() == content
        assert b"not for guests" not in flat.read_bytes()
