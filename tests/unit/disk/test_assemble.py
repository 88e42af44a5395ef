"""Partition script, GRUB patching and the mke2fs command."""

import struct
from pathlib import Path

import pytest

from builder.disk import assemble
from builder.disk.assemble import MIB, DiskLayout, mke2fs_argv
from builder.disk.grub import install_bios, patch_boot, patch_core
from builder.errors import BuildError

BOOT = bytes([0xEB, 0x63]) + b"B" * 508 + b"\x55\xaa"
MBR = b"\0" * 446 + b"T" * 64 + b"\x55\xaa"


def test_layout_fills_the_disk_but_for_the_backup_table():
    layout = DiskLayout("seed", size=3000)
    assert layout.root_offset == 66
    assert layout.root_offset + layout.root_size == 2999


def test_sfdisk_script_puts_the_root_last():
    lines = DiskLayout("seed", size=3000).sfdisk_script().splitlines()
    assert lines[0] == "label: gpt"
    assert "start=2048, size=2048" in lines[4]
    assert "21686148-6449-6E6F-744E-656564454649" in lines[4]
    assert "start=4096, size=131072" in lines[5]
    assert f"start={66 * 2048}, size={2933 * 2048}" in lines[6]
    assert lines[6].endswith("name=root")


def test_uuids_follow_the_seed():
    one, same, other = DiskLayout("a"), DiskLayout("a"), DiskLayout("b")
    assert one.uuid("root") == same.uuid("root") != other.uuid("root")
    assert one.uuid("root") != one.uuid("disk")


def test_mke2fs_is_told_offset_uuid_and_size(monkeypatch):
    monkeypatch.setattr(assemble, "require", lambda program, package: f"/sbin/{program}")
    layout = DiskLayout("seed", size=3000)
    argv = mke2fs_argv(Path("/i"), Path("/t"), layout)
    extended = argv[argv.index("-E") + 1]
    assert f"offset={66 * MIB}" in extended.split(",")
    assert argv[argv.index("-U") + 1] == layout.uuid("root")
    assert argv[-4:] == ["-d", "/t", "/i", str(2933 * 256)]


def test_boot_sector_keeps_the_partition_table_and_finds_the_core():
    sector = patch_boot(BOOT, MBR, 2048)
    assert len(sector) == 512
    assert sector[446:510] == b"T" * 64
    assert sector[:3] == BOOT[:3]
    assert struct.unpack_from("<Q", sector, 0x5C) == (2048,)
    assert sector[0x66:0x68] == b"\x90\x90"
    assert sector[-2:] == b"\x55\xaa"


def test_core_lists_its_own_rest():
    core = patch_core(b"c" * 1300, 2048)
    assert len(core) == 3 * 512
    assert struct.unpack_from("<QHH", core, 512 - 12) == (2049, 2, 0x820)


@pytest.mark.parametrize("boot", [b"short", b"\0" * 512])
def test_what_is_no_boot_sector_is_refused(boot):
    with pytest.raises(BuildError, match=r"boot\.img"):
        patch_boot(boot, MBR, 1)


def test_impossible_cores_are_refused():
    with pytest.raises(BuildError, match="impossible size"):
        patch_core(b"x" * 10, 1)


def test_install_writes_both_and_nothing_else(tmp_path):
    disk = tmp_path / "disk"
    disk.write_bytes(MBR + b"\xff" * (4096 - 512))
    install_bios(disk, boot=BOOT, core=b"c" * 1000, core_offset=2048, core_room=1024)
    data = disk.read_bytes()
    assert struct.unpack_from("<Q", data, 0x5C) == (4,)
    assert data[512:2048] == b"\xff" * 1536
    assert data[2048 : 2048 + 500] == b"c" * 500
    assert data[3072:] == b"\xff" * 1024
    with pytest.raises(BuildError, match="does not fit"):
        install_bios(disk, boot=BOOT, core=b"c" * 2000, core_offset=2048, core_room=1024)
