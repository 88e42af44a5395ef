"""Crafted headers: what may be believed of a file, and what may not."""

import struct
import uuid
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from builder.disk import vhd
from builder.disk.formats import DiskFormatError, detect
from builder.disk.vhdx import crc32c
from builder.errors import NotFoundError, PreflightError

MIB = 1024**2
CLUSTER = 65536
FORMATS = ["raw", "qcow2", "vhd", "vhdx", "vmdk"]


def qcow2(
    *, version=3, backing=0, bits=16, size=64 * MIB, crypt=0, l1=1, features=0, extensions=b"", at=3 * CLUSTER
) -> bytes:
    head = struct.pack(
        ">4sIQIIQIIQQIIQ",
        b"QFI\xfb", version, backing, 11 if backing else 0, bits, size, crypt, l1, at, CLUSTER, 1, 0, 0,
    )  # fmt: skip
    if version == 3:
        head += struct.pack(">QQQII", features, 0, 0, 4, 104)
    return (head + extensions).ljust(4 * CLUSTER, b"\0")


def footer(size: int, kind: int = vhd.FIXED, data_offset: int = 2**64 - 1) -> bytes:
    data = bytearray(
        struct.pack(
            ">8sIIQI4sI4sQQHBBII16s",
            b"conectix", 2, 0x10000, data_offset, 0, b"win ", 0xA0000, b"Wi2k",
            size, size, 1, 1, 1, kind, 0, uuid.UUID(int=1).bytes,
        ).ljust(512, b"\0")
    )  # fmt: skip
    data[64:68] = vhd.checksum(bytes(data)).to_bytes(4, "big")
    return bytes(data)


def fixed_vhd(content: bytes) -> bytes:
    return content + footer(len(content))


def dynamic_vhd(size=4 * MIB, *, kind=vhd.DYNAMIC, entries=2, block=2 * MIB) -> bytes:
    tail = footer(size, kind, 512)
    header = bytearray(
        struct.pack(">8sQQIII", b"cxsparse", 2**64 - 1, 1536, 0x10000, entries, block).ljust(1024, b"\0")
    )
    header[36:40] = (~sum(header) & 0xFFFFFFFF).to_bytes(4, "big")
    return tail + bytes(header) + b"\xff" * 512 + tail


def vhdx(*, flags=0, size=64 * MIB, damage=0, cut=False) -> bytes:
    data = bytearray(3 * MIB)
    data[:8] = b"vhdxfile"

    def checked(at: int, block: bytes, length: int) -> None:
        block = block.ljust(length, b"\0")
        crc = crc32c(block)
        data[at : at + length] = block[:4] + crc.to_bytes(4, "little") + block[8:]

    for at in (64 * 1024, 128 * 1024):
        checked(at, b"head" + bytes(4) + b"\1", 4096)
    regions = b"regi" + bytes(4) + struct.pack("<II", 2, 0)
    for kind, place in (
        ("2DC27766-F623-4200-9D64-115E9BFD4A08", 2 * MIB),
        ("8B7CA206-4790-4B9A-B8FE-575F050F886E", MIB),
    ):
        regions += struct.pack("<16sQII", uuid.UUID(kind).bytes_le, place, MIB, 1)
    for at in (192 * 1024, 256 * 1024):
        checked(at, regions, 65536)
    items = b"metadata" + struct.pack("<HH20x", 0, 2)
    for kind, place, length in (
        ("CAA16737-FA36-4D43-B3B6-33F0AA44E76B", 65536, 8),
        ("2FA54224-CD1B-4876-B211-5DBED83BF4B8", 65544, 8),
    ):
        items += struct.pack("<16sIII4x", uuid.UUID(kind).bytes_le, place, length, 4)
    data[MIB : MIB + len(items)] = items
    data[MIB + 65536 : MIB + 65536 + 16] = struct.pack("<IIQ", 2 * MIB, flags, size)
    for at in (192 * 1024, 256 * 1024)[:damage]:
        data[at + 100] ^= 1
    return bytes(data[: 2 * MIB] if cut else data)


DESCRIPTOR = b'# Disk DescriptorFile\nversion=1\nCID=1\nparentCID=ffffffff\ncreateType="monolithicSparse"\n'


def vmdk(*, capacity=8192, grain=128, ends=b"\n \r\n", version=1, at=1, descriptor=DESCRIPTOR) -> bytes:
    head = struct.pack("<4sIIQQQQIQQQB4sH", b"KDMV", version, 3, capacity, grain, at, 20, 512, 21, 26, 128, 0,
                       ends, 0)  # fmt: skip
    return head.ljust(512, b"\0") + descriptor.ljust(20 * 512, b"\0") + bytes(64 * 1024)


def bootable(size: int = MIB) -> bytes:
    return (bytes(510) + b"\x55\xaa").ljust(size, b"\0")


@pytest.fixture
def look(tmp_path):
    def write_and_look(data: bytes, declared: str | None = None):
        path = tmp_path / "disk"
        path.write_bytes(data)
        return detect(path, declared)

    return write_and_look


@pytest.mark.parametrize(
    ("data", "name", "subformat", "size"),
    [
        (qcow2(), "qcow2", "", 64 * MIB),
        (qcow2(version=2), "qcow2", "", 64 * MIB),
        (fixed_vhd(bytes(MIB)), "vhd", "fixed", MIB),
        (dynamic_vhd(), "vhd", "dynamic", 4 * MIB),
        (vhdx(), "vhdx", "dynamic", 64 * MIB),
        (vhdx(flags=1), "vhdx", "fixed", 64 * MIB),
        (vhdx(damage=1), "vhdx", "dynamic", 64 * MIB),  # the second region table is there for that
        (vmdk(), "vmdk", "monolithicSparse", 4 * MIB),
        (bootable(), "raw", "", MIB),
        (bytes(512) + b"EFI PART".ljust(MIB - 512, b"\0"), "raw", "", MIB),
        (bytes(4096) + b"EFI PART".ljust(MIB - 4096, b"\0"), "raw", "", MIB),
    ],
)
def test_a_sound_header_is_believed(look, data, name, subformat, size):
    for declared in (None, name):
        found = look(data, declared)
        assert (found.format, found.subformat, found.size, found.warnings) == (name, subformat, size, ())


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (qcow2(backing=2048), "needs another file below it"),
        (qcow2(version=2, backing=2048), "needs another file below it"),
        (qcow2(features=4), "its data is in another file"),
        (
            qcow2(extensions=struct.pack(">II", 0x44415441, 11) + b"/etc/shadow"),
            "its data is in another file",
        ),
        (qcow2(extensions=struct.pack(">II8sII", 0x6803F857, 8, b"", 0x44415441, 3)), "is in another file"),
        (qcow2(features=2), "marked as corrupt"),
        (qcow2(features=1 << 40), "features that are not known"),
        (qcow2(crypt=2), "encrypted"),
        (dynamic_vhd(kind=vhd.DIFFERENCING), "needs its parent"),
        (vhdx(flags=2), "needs its parent"),
        (vmdk(descriptor=DESCRIPTOR + b'parentFileNameHint="/etc/shadow"\n'), "needs its parent"),
        (vmdk(capacity=0, descriptor=DESCRIPTOR + b'RW 8 FLAT "/etc/shadow" 0\n'), "is in other files"),
        (vmdk(at=0), "part of a disk"),
        (b"COWD".ljust(MIB, b"\0"), "ESX 2"),
        (DESCRIPTOR + b'RW 8192 FLAT "/etc/shadow" 0\n', "not one that is taken"),
        (DESCRIPTOR + b'RW 8192 FLAT "../../etc/shadow" 0\n', "not one that is taken"),
        (DESCRIPTOR + b'RW 8192 FLAT "json:{}" 0\n', "not one that is taken"),
        (DESCRIPTOR + b'RW 8192 VMFSRAW "sda"\n', "VMFSRAW"),
        # QEMU passes over it, and the disk would be shorter than it says.
        (DESCRIPTOR + b"RW 8192 ZERO\n", "8192 ZERO"),
        # An extent to QEMU, and none to a reader that expects nothing after it.
        (DESCRIPTOR + b'RW 63 FLAT "/etc/shadow" 0 more\n', "not one that is taken"),
        (DESCRIPTOR + b'  RW 63 FLAT "/etc/shadow"more\n', "not one that is taken"),
        (DESCRIPTOR + b'RW 8192 FLAT "gone-flat.vmdk" 0\n', "gone-flat.vmdk, which is not beside it"),
    ],
)
def test_what_leads_to_another_file_is_never_used(look, data, why):
    for declared in (None, look_name(data)):
        with pytest.raises(DiskFormatError, match=r"cannot be used") as caught:
            look(data, declared)
        assert why in caught.value.message
        assert caught.value.hint


def look_name(data: bytes) -> str:
    starts = {b"QFI\xfb": "qcow2", b"conectix": "vhd", b"vhdxfile": "vhdx"}
    return next((name for start, name in starts.items() if data.startswith(start)), "vmdk")


@pytest.mark.parametrize(
    "data",
    [
        qcow2(version=17), qcow2(bits=3), qcow2(size=0), qcow2(l1=0), qcow2(at=64 * CLUSTER), qcow2(at=7),
        qcow2()[:40], qcow2()[:90],
        dynamic_vhd()[:-512], dynamic_vhd()[:500],
        dynamic_vhd()[512:], dynamic_vhd(entries=1), dynamic_vhd(block=3),
        dynamic_vhd(entries=10**6), fixed_vhd(bytes(MIB))[512:],
        bytes(MIB) + footer(MIB)[:40] + b"\1" + footer(MIB)[41:],
        vhdx(damage=2), vhdx(cut=True), vhdx(size=0), vhdx(size=513),
        vmdk(version=9), vmdk(ends=b"\n \n\n"), vmdk(grain=100), vmdk(capacity=1 << 60), vmdk(at=1 << 50),
        vmdk()[:300],
        DESCRIPTOR,
        # Where Python ends a line and C does not.
        DESCRIPTOR + b'RW 63\x0bFLAT "/etc/shadow" 0\n', DESCRIPTOR + b'RW 63\x0cFLAT "/etc/shadow" 0\n',
        DESCRIPTOR + b'RW 63\rFLAT "/etc/shadow" 0\n', DESCRIPTOR + b'RW 63\x1cFLAT "/etc/shadow" 0\n',
        DESCRIPTOR + b'\0RW 63 FLAT "x" 0\n', DESCRIPTOR + b'xRW 63 FLAT "x" 0\n',
    ],
)  # fmt: skip
def test_half_a_header_is_neither_believed_nor_taken_for_a_raw_disk(look, data):
    with pytest.raises(DiskFormatError, match="is not a sound") as caught:
        look(data)
    assert "'format': 'raw'" in (caught.value.hint or "")
    name = "vhd" if b"conectix" in data else look_name(data)
    with pytest.raises(DiskFormatError, match=f"is not a sound {name} disk"):
        look(data, name)


def test_what_a_guest_wrote_at_the_start_of_a_fixed_vhd_is_no_header(look):
    """A guest writes its first sectors as it likes; the footer is beyond its reach."""
    for content in (qcow2(backing=2048), vmdk(), dynamic_vhd()[:-512].ljust(4 * MIB, b"\0"), vhdx()):
        whole = content.ljust(4 * MIB, b"\0")
        found = look(fixed_vhd(whole))
        assert (found.format, found.subformat, found.size) == ("vhd", "fixed", 4 * MIB)
        assert found.layer is not None
        assert (found.layer.format, found.layer.size) == ("raw", 4 * MIB)
        assert found.block_node()["driver"] == "raw"
        with pytest.raises(DiskFormatError, match="as declared: it looks like vhd"):
            look(fixed_vhd(whole), "qcow2")


def test_a_declared_raw_disk_is_raw_whatever_is_in_it(look):
    evil = qcow2(backing=2048)
    found = look(evil, "raw")
    assert (found.format, found.size, found.driver) == ("raw", len(evil), "raw")
    assert found.block_node()["driver"] == "raw"
    assert "although it looks like qcow2" in found.warnings[0]
    assert look(bootable(), "raw").warnings == ()
    with pytest.raises(DiskFormatError, match="no whole number of sectors"):
        look(bootable() + b"x", "raw")
    with pytest.raises(DiskFormatError, match="no whole number of sectors"):
        look(b"", "raw")


def test_marks_of_two_formats_are_left_to_a_person(look):
    both = bytearray(qcow2())
    both[510:512] = b"\x55\xaa"
    with pytest.raises(DiskFormatError, match="may be qcow2 or raw") as caught:
        look(bytes(both))
    assert "'format'" in (caught.value.hint or "")
    assert look(bytes(both), "qcow2").format == "qcow2"
    assert look(bytes(both), "raw").format == "raw"


def test_what_is_no_disk_is_named(look):
    for data, name in (
        (b"\x1f\x8b\x08\0", "compressed with gzip"),
        (b"\xfd7zXZ\0\0", "compressed with xz"),
        (bytes(257) + b"ustar", "a tar archive"),
        (bytes(510) + b"\x55\xaa" + bytes(32769 - 512) + b"CD001" + bytes(1018), "an ISO"),
    ):
        with pytest.raises(DiskFormatError, match=name):
            look(data)
    for data in (b"", b"x", bytes(MIB)):
        with pytest.raises(DiskFormatError, match="Nobody can say"):
            look(data)
        with pytest.raises(DiskFormatError, match=r"is not a vhdx disk, as declared"):
            look(data, "vhdx")


def test_a_disk_larger_than_any_os_disk_is_refused(look):
    largest = 4095 * 1024**3
    assert look(vhdx(size=largest)).size == largest
    with pytest.raises(DiskFormatError, match="the most an OS disk may have"):
        look(vhdx(size=largest + 512))


def test_files_that_cannot_be_read(tmp_path):
    with pytest.raises(NotFoundError):
        detect(tmp_path / "none")
    with pytest.raises(PreflightError, match="directory"):
        detect(tmp_path)
    (tmp_path / "x").write_bytes(bootable())
    with pytest.raises(DiskFormatError, match="There is no disk format 'vdi'"):
        detect(tmp_path / "x", "vdi")


def test_parts_beside_a_descriptor_are_looked_at(tmp_path):
    (tmp_path / "d.vmdk").write_bytes(DESCRIPTOR + b'RW 2048 FLAT "d-flat.vmdk" 0\r\n\n# the end\n')
    (tmp_path / "d-flat.vmdk").write_bytes(bytes(MIB))
    assert detect(tmp_path / "d.vmdk").size == MIB
    (tmp_path / "d-flat.vmdk").write_bytes(bytes(MIB - 512))
    with pytest.raises(DiskFormatError, match=r"its part d-flat\.vmdk was cut"):
        detect(tmp_path / "d.vmdk")
    (tmp_path / "d-flat.vmdk").unlink()
    (tmp_path / "d-flat.vmdk").symlink_to("/etc/passwd")
    with pytest.raises(DiskFormatError, match="not beside it"):
        detect(tmp_path / "d.vmdk")
    (tmp_path / "s.vmdk").write_bytes(DESCRIPTOR + b'RW 8192 SPARSE "s-s001.vmdk"\n')
    (tmp_path / "s-s001.vmdk").write_bytes(vmdk())
    assert detect(tmp_path / "s.vmdk").size == 4 * MIB
    (tmp_path / "s-s001.vmdk").write_bytes(vmdk(capacity=0))
    with pytest.raises(DiskFormatError, match="in other files"):
        detect(tmp_path / "s.vmdk")


SAMPLES = [qcow2(), qcow2(version=2), dynamic_vhd(), vmdk(), vhdx()]


@settings(max_examples=150, deadline=None)
@given(
    sample=st.integers(0, len(SAMPLES) - 1),
    changes=st.lists(st.tuples(st.integers(0, 1100), st.integers(0, 255)), max_size=6),
    cut=st.integers(0, 4096),
    declared=st.sampled_from([None, *FORMATS]),
)
def test_any_damage_ends_in_an_answer_or_an_error_of_ours(tmp_path_factory, sample, changes, cut, declared):
    data = bytearray(SAMPLES[sample])
    for at, value in changes:
        data[at] = value
    path: Path = tmp_path_factory.getbasetemp() / "fuzzed"
    path.write_bytes(bytes(data[cut // 2 :] if cut % 2 else data[: len(data) - cut]))
    try:
        found = detect(path, declared)
    except DiskFormatError as error:
        assert error.message and "\n" not in error.message
        return
    assert found.size > 0
    assert declared in (None, found.format)
    assert found.block_node()["file"] == {"driver": "file", "filename": str(path)}
