from __future__ import annotations

import json
from pathlib import Path

import pytest

from builder.disk import qemu_img
from builder.disk.graph import BlockGraph, DiskLayer
from builder.disk.qemu_img import (
    VHD_OPTIONS,
    CheckResult,
    ImageInfo,
    check_argv,
    convert_argv,
    create_argv,
    info_argv,
)
from builder.errors import BuildError
from disk.vhd_file import MIB, write_vhd

DISK = Path("/d/-odd name.qcow2")


def test_a_vhd_is_made_fixed_and_exact() -> None:
    assert create_argv(Path("/x.vhd"), "vpc", 2097152, VHD_OPTIONS) == [
        *("qemu-img", "create", "-q", "-f", "vpc", "-o", "subformat=fixed,force_size=on"),
        *("--", "/x.vhd", "2097152"),
    ]


def test_filling_an_empty_image_keeps_its_holes() -> None:
    argv = convert_argv("json:{}", Path("/x.vhd"), "vpc", into=True)
    assert argv == ["qemu-img", "convert", "-n", "--target-is-zero", "-O", "vpc", "--", "json:{}", "/x.vhd"]


def test_a_foreign_file_is_never_probed() -> None:
    argv = convert_argv(str(DISK), Path("/x.qcow2"), "qcow2", source_format="vhdx")
    assert argv[2:4] == ["-f", "vhdx"]
    for argv in (info_argv(DISK, "qcow2"), check_argv(DISK, "qcow2")):
        assert argv[argv.index("-f") + 1] == "qcow2"
        assert argv[-2:] == ["--", str(DISK)]


def test_the_graph_is_said_in_full() -> None:
    base = DiskLayer(Path("/base.vhd"), "raw", 1048576)
    name = BlockGraph((base,)).over(Path("/top.qcow2")).json_name()
    assert json.loads(name.removeprefix("json:")) == {
        "driver": "qcow2",
        "file": {"driver": "file", "filename": "/top.qcow2"},
        "backing": {"driver": "raw", "size": 1048576, "file": {"driver": "file", "filename": "/base.vhd"}},
    }


def test_leaks_are_harmless_and_corruptions_are_not() -> None:
    assert CheckResult(supported=True, leaks=3).clean
    assert not CheckResult(supported=True, corruptions=1).clean
    assert not CheckResult(supported=True, errors=1).clean


@pytest.mark.parametrize(
    ("seen", "checked", "problem"),
    [
        (ImageInfo("vpc", 2 * MIB, 0), CheckResult(supported=False), None),
        (ImageInfo("vpc", 2 * MIB, 0), CheckResult(supported=True, leaks=1), None),
        (ImageInfo("vpc", 3 * MIB, 0), CheckResult(supported=False), "vpc of 3145728 bytes"),
        (ImageInfo("raw", 2 * MIB, 0), CheckResult(supported=False), "as raw of"),
        (ImageInfo("vpc", 2 * MIB, 0), CheckResult(supported=True, corruptions=2), "2 corruptions"),
        (ImageInfo("vpc", 2 * MIB, 0), CheckResult(supported=True, errors=1), "1 errors"),
    ],
)
def test_a_second_opinion(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    seen: ImageInfo,
    checked: CheckResult,
    problem: str | None,
) -> None:
    vhd = write_vhd(tmp_path / "a.vhd", 2 * MIB)
    monkeypatch.setattr(qemu_img, "info", lambda *_: seen)
    monkeypatch.setattr(qemu_img, "check", lambda *_: checked)
    if problem is None:
        qemu_img.verify_with_qemu_img(vhd)
        return
    with pytest.raises(BuildError, match=problem):
        qemu_img.verify_with_qemu_img(vhd)
