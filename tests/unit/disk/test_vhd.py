from __future__ import annotations

import uuid
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from builder.disk.qemu_img import round_up_to_mib
from builder.disk.vhd import FOOTER_SIZE, VhdError, check_fixed_vhd, checksum, parse_footer, read_footer
from disk.vhd_file import MIB, footer, write_vhd


def test_every_field_is_read(tmp_path: Path) -> None:
    read = read_footer(write_vhd(tmp_path / "a.vhd", 3 * MIB))
    assert read.features == 2
    assert read.version == 0x00010000
    assert read.data_offset == 2**64 - 1
    assert read.timestamp == datetime(2000, 1, 2, tzinfo=UTC)
    assert (read.creator_application, read.creator_version, read.creator_host_os) == ("qem2", 0x50003, "Wi2k")
    assert read.original_size == read.current_size == 3 * MIB
    assert read.geometry == (1024, 16, 63)
    assert (read.disk_type, read.type_name) == (2, "fixed")
    assert read.unique_id == uuid.UUID("00010203-0405-0607-0809-0a0b0c0d0e0f")
    assert not read.saved_state
    assert read.checksum == read.computed_checksum


def test_a_good_vhd_passes(tmp_path: Path) -> None:
    info = check_fixed_vhd(write_vhd(tmp_path / "a.vhd", 5 * MIB, b"data"))
    assert info.virtual_size == 5 * MIB
    assert info.file_size == 5 * MIB + 512
    assert info.size_on_disk < MIB


@pytest.mark.parametrize(
    ("size", "changes", "message"),
    [
        (2 * MIB, {"wrong_checksum": True}, "its checksum is"),
        (2 * MIB, {"disk_type": 3, "data_offset": 512}, "is a dynamic VHD; Azure takes fixed ones only"),
        (2 * MIB, {"disk_type": 4, "data_offset": 512}, "is a differencing VHD"),
        (2 * MIB, {"disk_type": 9}, "unknown (9)"),
        (2 * MIB, {"version": 0x00020000}, "unknown VHD version"),
        (
            21475270656,
            {},
            "has an unsupported virtual size of 21475270656 bytes. The size must be a whole number (in MBs).",
        ),
        (0, {}, "unsupported virtual size of 0 bytes"),
        (2 * MIB, {"cookie": b"conectiX"}, "is not a VHD"),
    ],
)
def test_each_rule_has_its_message(
    tmp_path: Path, size: int, changes: dict[str, object], message: str
) -> None:
    path = write_vhd(tmp_path / "bad.vhd", size, **changes)
    with pytest.raises(VhdError) as caught:
        check_fixed_vhd(path)
    assert message in caught.value.message
    assert str(path) in caught.value.message


def test_a_file_longer_than_promised_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "long.vhd"
    path.write_bytes(bytes(2 * MIB + 512) + footer(2 * MIB))
    with pytest.raises(VhdError, match=f"has {2 * MIB + 1024} bytes, but its footer promises {2 * MIB}"):
        check_fixed_vhd(path)


def test_a_short_or_missing_file_is_no_vhd(tmp_path: Path) -> None:
    (tmp_path / "short").write_bytes(b"conectix")
    with pytest.raises(VhdError, match="not a VHD"):
        read_footer(tmp_path / "short")
    with pytest.raises(VhdError, match="cannot be read"):
        read_footer(tmp_path / "none")


@given(st.binary(min_size=FOOTER_SIZE, max_size=FOOTER_SIZE))
def test_the_checksum_finds_any_single_changed_byte(noise: bytes) -> None:
    good = b"conectix" + noise[8:]
    changed = bytearray(good)
    changed[100] ^= 0xFF
    assert checksum(bytes(changed)) != checksum(good)
    assert parse_footer(good).computed_checksum == checksum(good)


@given(st.integers(min_value=1, max_value=64 * 1024**4))
def test_rounding_goes_up_to_the_next_whole_mib_and_no_further(size: int) -> None:
    rounded = round_up_to_mib(size)
    assert rounded % MIB == 0
    assert 0 <= rounded - size < MIB
    assert round_up_to_mib(rounded) == rounded
