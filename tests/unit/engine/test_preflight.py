from __future__ import annotations

import shutil
from dataclasses import replace
from types import SimpleNamespace

import pytest

from builder import doctor, preflight
from builder.disk.data_disk import DataDiskSize
from builder.doctor import Result
from builder.errors import EnvironmentProblem, PreflightError
from builder.preflight import (
    GIB,
    check_disk_size,
    check_source_tools,
    check_space,
    check_tools,
    expected_data_disks,
)
from builder.services import Services
from builder.sources.base import ResolvedSource
from templates.model import DataDisk

PROGRAMS = {tool.program: f"/usr/bin/{tool.program}" for tool in doctor.TOOLS}
PROGRAMS |= {name: f"/usr/bin/{name}" for name in ("qemu-img", "qemu-system-x86_64")}


def source(*, size: int = 0, cached: bool = False, bootstrapped: bool = True) -> ResolvedSource:
    return ResolvedSource("id", "Debian", "Linux", "V2", "1", None, size, cached, bootstrapped)


def failed(results: list[Result]) -> list[str]:
    return [result.name for result in results if result.status == "fail"]


def without(*names: str) -> doctor.Which:
    return {name: path for name, path in PROGRAMS.items() if name not in names}.get


def test_what_every_build_needs() -> None:
    assert failed(doctor.check_for_build(without(), lambda _: "version 7.2.1")) == []
    old = doctor.check_for_build(without("e2fsck", "mmdebstrap"), lambda _: "version 6.2.0")
    assert failed(old) == ["qemu-system-x86_64", "qemu-img", "e2fsck"]


def test_what_a_bootstrap_needs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "check_keyring", lambda _: Result("Debian keys", "fail", "not installed"))
    monkeypatch.setattr(doctor, "_user", lambda: "me")
    monkeypatch.setattr("os.getuid", lambda: 1000)
    missing = ("mmdebstrap", "mke2fs", "mformat", "sfdisk", "e2fsck", "ssh")
    assert failed(doctor.check_for_bootstrap(without(*missing))) == [
        "mmdebstrap",
        "mke2fs",
        "e2fsck",
        "sfdisk",
        "mformat",
        "user namespaces",
        "Debian keys",
    ]


def test_missing_tools_are_one_problem_with_one_command(
    services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    results = [
        Result("qemu-img", "fail", "6.2.0", "QEMU 7.2 or later is needed.", ("qemu-utils",)),
        Result("e2fsck", "ok", "/sbin/e2fsck"),
        Result("debugfs", "fail", "not installed", packages=("e2fsprogs",)),
    ]
    monkeypatch.setattr(doctor, "check_for_build", lambda: results)
    with pytest.raises(EnvironmentProblem, match=r"qemu-img, debugfs\.$") as caught:
        check_tools(services)
    assert caught.value.details == (
        "qemu-img: 6.2.0. QEMU 7.2 or later is needed.",
        "debugfs: not installed.",
    )
    assert caught.value.hint == "Install it: sudo apt-get install qemu-utils e2fsprogs"


@pytest.mark.parametrize(
    ("cached", "bootstrapped", "refused"), [(False, True, True), (True, True, False), (False, False, False)]
)
def test_bootstrap_tools_only_where_a_bootstrap_is_due(
    monkeypatch: pytest.MonkeyPatch, *, cached: bool, bootstrapped: bool, refused: bool
) -> None:
    result = Result("mmdebstrap", "fail", "not installed", packages=("mmdebstrap",))
    monkeypatch.setattr(doctor, "check_for_bootstrap", lambda: [result])
    wanted = source(cached=cached, bootstrapped=bootstrapped)
    if refused:
        with pytest.raises(EnvironmentProblem, match="mmdebstrap"):
            check_source_tools(wanted)
    else:
        check_source_tools(wanted)


@pytest.mark.parametrize(
    ("about", "needed"),
    [
        (None, 2.0),
        (source(size=2 * GIB, cached=True), 2.0),
        (source(size=2 * GIB), 4.0),
        (source(), 4.0),
        (source(size=128 * GIB, cached=True), 8.0),
    ],
)
def test_space(
    services: Services, monkeypatch: pytest.MonkeyPatch, about: ResolvedSource | None, needed: float
) -> None:
    free = int(needed * GIB)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=free))
    check_space(services, about)
    free -= 1
    with pytest.raises(EnvironmentProblem, match=f"at least {needed} GiB"):
        check_space(services, about)


def test_a_disk_only_grows() -> None:
    assert check_disk_size(0, GIB + 1) == GIB + preflight.MIB
    assert check_disk_size(3, GIB) == 3 * GIB
    with pytest.raises(PreflightError, match="osDiskSizeGB is 1"):
        check_disk_size(1, 2 * GIB)


def test_added_data_disks_come_after_the_sources_highest_lun() -> None:
    has = replace(source(), data_disks=(DataDiskSize(0, 4), DataDiskSize(5, 4)))
    added = [DataDisk(size_gb=1), DataDisk(size_gb=2)]
    found = expected_data_disks(added, has)
    assert [(disk.lun, disk.size) for disk in found] == [(0, 4), (5, 4), (6, GIB), (7, 2 * GIB)]
    assert [disk.lun for disk in expected_data_disks(added, source())] == [0, 1]
    assert expected_data_disks([], source()) == ()


def test_more_data_disks_than_can_be_attached() -> None:
    has = replace(source(), data_disks=(DataDiskSize(0, 4),))
    assert len(expected_data_disks([DataDisk(size_gb=1)] * 15, has)) == 16
    with pytest.raises(PreflightError, match="17 data disks; 16 can be attached"):
        expected_data_disks([DataDisk(size_gb=1)] * 16, has)
