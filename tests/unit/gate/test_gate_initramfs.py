"""Archives as they are made, and as they are damaged."""

from __future__ import annotations

import bz2
import gzip
import lzma
import random
from collections.abc import Callable

import lz4.block
import lz4.frame
import pytest
import zstandard

from builder.gate import initramfs
from builder.gate.initramfs import InitramfsError, read


def entry(name: str, content: bytes = b"", *, size: int | None = None) -> bytes:
    path = name.encode() + b"\0"
    fields = [0] * 13
    fields[6], fields[11] = len(content) if size is None else size, len(path)
    head = b"070701" + b"".join(b"%08X" % field for field in fields)
    return pad(head + path) + pad(content)


def pad(data: bytes) -> bytes:
    return data + bytes(-len(data) % 4)


def cpio(*names: str, content: bytes = b"x" * 5000) -> bytes:
    return b"".join(entry(name, content) for name in names) + entry("TRAILER!!!")


NAMES = (
    ".", "usr/lib/modules/6.1/kernel/drivers/hv/hv_vmbus.ko",
    "usr/lib/modules/6.1/kernel/drivers/scsi/hv_storvsc.ko.xz", "lib/modules/6.1/kernel/hid-hyperv.ko.zst",
    "lib/modules/6.1/modules.dep", "etc/hv_fake.ko",
)  # fmt: skip
MODULES = {"hv_vmbus", "hv_storvsc", "hid_hyperv"}
MAIN = cpio(*NAMES)
MICROCODE = cpio("kernel/x86/microcode/GenuineIntel.bin", content=bytes(range(256)) * 33)


def legacy(data: bytes) -> bytes:
    block = lz4.block.compress(data, store_size=False)
    return b"\x02\x21\x4c\x18" + len(block).to_bytes(4, "little") + block


PACKERS: dict[str, Callable[[bytes], bytes]] = {
    "none": bytes,
    "gzip": gzip.compress,
    "xz": lambda data: lzma.compress(data, check=lzma.CHECK_CRC32),
    "lzma": lambda data: lzma.compress(data, format=lzma.FORMAT_ALONE),
    "bzip2": bz2.compress,
    "zstd": zstandard.compress,
    "lz4": legacy,
    "lz4 frame": lz4.frame.compress,
}


@pytest.mark.parametrize("name", PACKERS)
@pytest.mark.parametrize("before", [b"", MICROCODE, MICROCODE + bytes(512), MICROCODE + cpio("early/x")])
def test_every_way_it_is_packed(name: str, before: bytes) -> None:
    found = read(before + PACKERS[name](MAIN) + bytes(123))
    assert found.modules == MODULES
    assert found.versions == {"6.1"}
    assert found.compression == name.split(maxsplit=1)[0]


def test_large_contents_are_skipped_and_not_kept() -> None:
    big = entry("big", bytes(5 * 1024**2 + 3))
    found = read(gzip.compress(big + MAIN, 1))
    assert found.modules == MODULES


@pytest.mark.parametrize("name", [name for name in PACKERS if name != "none"])
def test_a_part_is_no_whole(name: str) -> None:
    packed = PACKERS[name](MAIN)
    with pytest.raises(InitramfsError):
        read(MICROCODE + packed[: len(packed) // 2])


def test_a_part_of_a_plain_one_is_no_whole() -> None:
    with pytest.raises(InitramfsError, match="middle"):
        read(MAIN[:-200])


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "middle"),
        (bytes(4096), "middle"),
        (b"GRUB", "neither"),
        (b"\x89LZO\0\r\n", "lzo"),
        (gzip.compress(b"no archive" * 40, mtime=0), "no cpio"),
        (b"070701" + b"z" * 104, "damaged"),
        (entry("x").replace(b"00000002", b"00FFFFFF", 1), "too long"),
    ],
)
def test_what_is_none(data: bytes, message: str) -> None:
    with pytest.raises(InitramfsError, match=message):
        read(data)


@pytest.mark.parametrize("name", PACKERS)
def test_whatever_is_damaged_ends_in_its_own_error_or_an_answer(name: str) -> None:
    """Bytes turned at random: a reader of somebody's file must not end in a traceback."""
    good = MICROCODE + PACKERS[name](MAIN)
    chance = random.Random(name)
    refused = 0
    for _ in range(60):
        bad = bytearray(good)
        for _ in range(chance.randint(1, 8)):
            bad[chance.randrange(len(bad))] = chance.randrange(256)
        try:
            read(bytes(bad[: chance.randint(1, len(bad))]))
        except InitramfsError:
            refused += 1
    assert refused > 10


def test_a_bomb_ends_at_its_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(initramfs, "MOST_UNPACKED", 8 * 1024**2)
    bomb = entry("big", size=1 << 30) + bytes(20 * 1024**2)
    for pack in (zstandard.compress, gzip.compress, PACKERS["xz"], bz2.compress):
        with pytest.raises(InitramfsError, match="more than 8 MiB"):
            read(pack(bomb))


def test_other_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(initramfs, "MOST_NAMES", 3)
    with pytest.raises(InitramfsError, match="more than 3 files"):
        read(MAIN)
    monkeypatch.setattr(initramfs, "LARGEST", 10)
    with pytest.raises(InitramfsError, match="at most"):
        read(MAIN)
    monkeypatch.undo()
    monkeypatch.setattr(initramfs, "MOST_SECONDS", -1.0)
    with pytest.raises(InitramfsError, match="longer"):
        read(MAIN)
