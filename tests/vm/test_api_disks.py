"""The API's verbs that move disks, with the real qemu-img; no VM boots."""

from __future__ import annotations

from pathlib import Path

from test_interchange import disk as disk  # noqa: PLC0414 - a fixture

from builder.api import Goldsmith
from builder.disk.extents import content_digest
from builder.disk.vhd import check_fixed_vhd
from builder.events import Envelope, WaitStarted
from builder.settings import Settings


def test_a_file_becomes_an_image_a_version_in_two_regions_and_a_file_again(
    disk: Path, tmp_path: Path
) -> None:
    told: list[Envelope] = []
    with Goldsmith(tmp_path / "home", settings=Settings(), told=told.append) as goldsmith:
        made = goldsmith.images.add("rg/web", disk, tags={"from": "a program"})
        assert (made.image.os_type, made.image.generation) == ("Linux", "V2")
        assert any(isinstance(one.event, WaitStarted) for one in told)
        goldsmith.galleries.create("team", location="westus")
        goldsmith.definitions.create("team/web", publisher="me", offer="web", sku="1")
        version = goldsmith.versions.create("team/web", "rg/web", regions={"westus": 1, "eastus": 2})
        assert (version.version, version.parent) == ("0.0.1", made.image.id.lower())
        assert [(one.region, len(one.copies), one.state) for one in version.replicas] == [
            ("westus", 1, "Completed"),
            ("eastus", 2, "Completed"),
        ]
        assert [one.damage for one in goldsmith.versions.verify(["team/web/0.0.1"])] == ["", "", ""]
        eastern = version.replica("eastus")
        assert eastern is not None
        Path(eastern.copies[1].location).unlink()
        assert [bool(one.damage) for one in goldsmith.versions.verify(["team/web/0.0.1"])].count(True) == 1
        assert len(goldsmith.versions.replicate(["team/web/0.0.1"]).made) == 1
        (file,) = goldsmith.images.export("team/web/0.0.1", tmp_path / "web.vhd")
        size = check_fixed_vhd(file.path).virtual_size
        assert content_digest(file.path, size) == version.digest == made.image.digest
