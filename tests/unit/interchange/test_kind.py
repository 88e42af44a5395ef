"""What an exported file is, by its name and the options."""

from __future__ import annotations

from pathlib import Path

import pytest

from builder.cli.gallery_version_create import end_of_life_of, regions_of
from builder.cli.images_import import data_disks_of
from builder.errors import UsageError
from builder.interchange.kind import Kind, beside, kind_of


@pytest.mark.parametrize(
    ("name", "wanted", "compress", "kind", "place"),
    [
        ("a.vhd", None, None, Kind("vhd"), "a.vhd"),
        ("a.VHD", "vhd-dynamic", None, Kind("vhd-dynamic"), "a.VHD"),
        ("a.img", None, None, Kind("raw"), "a.img"),
        ("a.qcow2", None, None, Kind("qcow2", "zstd"), "a.qcow2"),
        ("a.qcow2", None, "zlib", Kind("qcow2", "zlib"), "a.qcow2"),
        ("a.qcow2", None, "none", Kind("qcow2"), "a.qcow2"),
        ("a.qcow2", None, "xz", Kind("qcow2", None, "xz"), "a.qcow2.xz"),
        ("a.qcow2.gz", None, None, Kind("qcow2", None, "zlib"), "a.qcow2.gz"),
        ("a.vmdk", None, None, Kind("vmdk"), "a.vmdk"),
        ("a.vmdk", None, "zlib", Kind("vmdk", "zlib"), "a.vmdk"),
        ("a.vhdx.zst", None, "zstd", Kind("vhdx", None, "zstd"), "a.vhdx.zst"),
        ("a.vhdx", None, "zstd", Kind("vhdx", None, "zstd"), "a.vhdx.zst"),
        ("a", "raw", "zlib", Kind("raw", None, "zlib"), "a.gz"),
        ("1.0.0", "vhd", None, Kind("vhd"), "1.0.0"),
    ],
)
def test_the_name_and_the_options_decide(
    name: str, wanted: str | None, compress: str | None, kind: Kind, place: str
) -> None:
    assert kind_of(Path("/out", name), wanted, compress) == (kind, Path("/out", place))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("name", "wanted", "compress", "said"),
    [
        ("a", None, None, "nobody can tell the format"),
        ("a.zst", None, None, "nobody can tell the format"),
        ("a.vhd", "qcow2", None, "is the name of a vhd disk"),
        ("a.vhd.zst", None, "none", "is the name of a compressed file"),
        ("a.vhd.zst", None, "xz", "is the name of another compression"),
    ],
)
def test_names_that_contradict(name: str, wanted: str | None, compress: str | None, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        kind_of(Path(name), wanted, compress)  # type: ignore[arg-type]


def test_where_a_data_disk_goes() -> None:
    names = {"web.vhd": "web-lun3.vhd", "web-1.0.raw.xz": "web-1.0-lun3.raw.xz", "web": "web-lun3"}
    assert {name: beside(Path(name), 3).name for name in names} == names


def test_data_disks_and_regions_of_the_command_line() -> None:
    assert data_disks_of(["0=a.vhd", "63=b=c.raw"]) == {0: Path("a.vhd"), 63: Path("b=c.raw")}
    for wrong in ("a.vhd", "x=a.vhd", "64=a.vhd", "0=", "²=a"):
        with pytest.raises(UsageError, match="write LUN=FILE"):
            data_disks_of([wrong])
    with pytest.raises(UsageError, match="two disks with lun 1"):
        data_disks_of(["1=a", "01=b"])
    found = regions_of(["West Europe=2", "eastus"], "Premium_LRS")
    assert [(one.name, one.replica_count, one.storage_account_type) for one in found] == [
        ("West Europe", 2, "Premium_LRS"),
        ("eastus", 1, "Premium_LRS"),
    ]
    for wrong in ("a=0", "a=b", "=2", "a=1=2"):
        with pytest.raises(UsageError, match="NAME=REPLICAS"):
            regions_of([wrong], "Standard_LRS")
    assert end_of_life_of("2027-06-30") == "2027-06-30T00:00:00+00:00"
    assert end_of_life_of(None) is None
    with pytest.raises(UsageError, match="not a date"):
        end_of_life_of("soon")
