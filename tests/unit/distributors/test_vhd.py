from __future__ import annotations

import errno
import shutil
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import pytest
from disk.vhd_file import MIB, write_vhd

import builder.distributors.vhd as module
from builder.disk import extents
from builder.disk.vhd import VhdError, check_fixed_vhd
from builder.distributors.blob_vhd import BlobVhdDistributor
from builder.distributors.vhd import VhdDistributor
from builder.download.errors import OfflineError
from builder.errors import EnvironmentProblem, PreflightError
from builder.extensions import make_distributor
from builder.journal import Journal
from builder.services import Services
from builder.settings import Settings
from builder.workspace import Places, clear
from distributors.conftest import DISKS, LINUX, Finished, with_data_disks
from templates.model.distribute import VhdDistributor as Model


def target(services: Services, uri: str = "", name: str = "web-vhd") -> VhdDistributor:
    return VhdDistributor(
        Model(type="VHD", run_output_name=name, uri=uri, artifact_tags={"a": "b"}), services
    )


def test_without_uri_it_goes_to_the_output_folder(services: Services, finished: Finished) -> None:
    distributor = target(services)
    place = services.output_dir / "web-vhd.vhd"
    assert distributor.preflight(LINUX) == f"VHD {place}"
    assert not services.output_dir.exists()
    artifact = distributor.distribute(finished())
    assert (artifact.run_output, artifact.type, artifact.path) == ("web-vhd", "VHD", place)
    assert (artifact.size, artifact.tags, artifact.artifact_id) == (2 * MIB, {"a": "b"}, "")
    assert 0 < artifact.size_on_disk < MIB
    assert check_fixed_vhd(place).virtual_size == 2 * MIB


def test_the_copy_is_independent_of_the_home(services: Services, finished: Finished) -> None:
    image = finished()
    place = target(services).distribute(image).path
    assert place.read_bytes() == image.vhd.read_bytes()
    assert place.stat().st_nlink == image.vhd.stat().st_nlink == 1
    assert place.stat().st_ino != image.vhd.stat().st_ino


@pytest.mark.parametrize(
    ("uri", "expected"),
    [
        ("disk.vhd", "templates/disk.vhd"),
        ("../elsewhere/disk.vhd", "elsewhere/disk.vhd"),
        ("../elsewhere/", "elsewhere/web-vhd.vhd"),
        ("../elsewhere", "elsewhere/web-vhd.vhd"),
        ("file://{tmp}/elsewhere/my%20disk.vhd", "elsewhere/my disk.vhd"),
        ("file://localhost{tmp}/a.vhd", "a.vhd"),
        ("{tmp}/a.vhd", "a.vhd"),
    ],
)
def test_where_a_uri_leads(services: Services, tmp_path: Path, uri: str, expected: str) -> None:
    (tmp_path / "elsewhere").mkdir()
    distributor = target(services, uri.format(tmp=tmp_path))
    distributor.preflight(LINUX)
    assert distributor.place.resolve() == tmp_path / expected


def test_what_is_neither_a_file_nor_a_blob_is_said_so(services: Services) -> None:
    with pytest.raises(PreflightError, match="'s3:' is not supported") as caught:
        target(services, "s3://bucket/a.vhd").preflight(LINUX)
    assert "--output-dir" in (caught.value.hint or "") and "https://" in (caught.value.hint or "")


@pytest.mark.parametrize(
    ("uri", "kind"),
    [
        ("https://acct.blob.example.com/vhds/a.vhd", BlobVhdDistributor),
        ("http://127.0.0.1:10000/dev1/vhds/a.vhd", BlobVhdDistributor),
        ("", VhdDistributor),
        ("out/a.vhd", VhdDistributor),
        ("file:///out/a.vhd", VhdDistributor),
    ],
)
def test_the_uri_decides_between_a_blob_and_a_file(services: Services, uri: str, kind: type) -> None:
    model = Model(type="VHD", run_output_name="web", uri=uri)
    assert type(make_distributor(model, services)) is kind


def test_offline_no_blob_is_a_target(services: Services) -> None:
    offline = replace(services, settings=Settings(offline=True))
    model = Model(
        type="VHD", run_output_name="web", uri="https://acct.blob.example.com/vhds/?sp=rcwd&sig=secret"
    )
    with pytest.raises(OfflineError, match=r"https://acct.blob.example.com/vhds/web.vhd is not") as caught:
        BlobVhdDistributor(model, offline).preflight(LINUX)
    assert "secret" not in f"{caught.value} {caught.value.hint}"


def test_a_file_uri_of_another_machine_is_refused(services: Services) -> None:
    with pytest.raises(PreflightError, match="names the machine 'server'"):
        target(services, "file://server/a.vhd").preflight(LINUX)


def test_a_missing_folder_is_found_before_anything_boots(services: Services) -> None:
    with pytest.raises(PreflightError, match="does not exist") as caught:
        target(services, "none/disk.vhd").preflight(LINUX)
    assert (caught.value.hint or "").startswith("Make it: mkdir -p ")


def test_a_place_that_is_no_file_is_refused(services: Services) -> None:
    (services.base_dir / "x" / "web-vhd.vhd").mkdir(parents=True)
    with pytest.raises(PreflightError, match="is there and is not a file"):
        target(services, "x/").preflight(LINUX)


def test_an_output_folder_below_a_file_is_refused(services: Services) -> None:
    services.output_dir.write_text("")
    with pytest.raises(EnvironmentProblem, match="is not a folder you may write to"):
        target(services).preflight(LINUX)


def test_a_folder_one_may_not_write_to(services: Services, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module.os, "access", lambda *_: False)
    with pytest.raises(EnvironmentProblem, match="may write to"):
        target(services).preflight(LINUX)


@pytest.mark.parametrize("content", [b"", b"notes", b"x" * 4096])
def test_a_file_that_is_no_vhd_is_never_replaced(
    services: Services, finished: Finished, content: bytes
) -> None:
    services.output_dir.mkdir()
    place = services.output_dir / "web-vhd.vhd"
    place.write_bytes(content)
    with pytest.raises(PreflightError, match="is not a VHD; it is not replaced") as caught:
        target(services).preflight(LINUX)
    assert "Move it away" in (caught.value.hint or "")
    with pytest.raises(PreflightError, match="not replaced"):
        target(services).distribute(finished())
    assert place.read_bytes() == content


def test_one_place_is_one_target_whatever_it_is_called(services: Services, tmp_path: Path) -> None:
    (tmp_path / "alias").symlink_to(services.base_dir)
    one, other = target(services, "disk.vhd", "a"), target(services, "disk2.vhd", "b")
    assert one.target() != other.target()
    assert one.target() == target(services, f"file://{tmp_path}/alias/disk.vhd", "c").target()


def listing(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_an_unfinished_copy_has_no_name(
    services: Services, finished: Finished, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[list[str]] = []
    real = extents._copy_extents

    def look(source: int, destination: int) -> None:
        real(source, destination)
        seen.append(listing(services.output_dir))

    monkeypatch.setattr(extents, "_reflink", lambda *_: False)
    monkeypatch.setattr(extents, "_copy_extents", look)
    target(services).distribute(finished())
    assert seen == [[]]
    assert listing(services.output_dir) == ["web-vhd.vhd"]


def test_where_it_needs_a_name_the_journal_has_it(
    services: Services, finished: Finished, monkeypatch: pytest.MonkeyPatch
) -> None:
    image = finished()
    places = Places(services.home, image.vhd.parent.name)
    places.journal.parent.mkdir(parents=True)
    journal = Journal(places.journal)
    journal.intent("directory", "workspace:x", path=str(image.vhd.parent))
    (services.output_dir / "mine.00000000.part").parent.mkdir()
    (services.output_dir / "mine.00000000.part").touch()
    copies: list[bytes] = []

    def killed(_source: int, _destination: int) -> None:
        (part,) = services.output_dir.glob(".*.part")
        copies.append(places.journal.read_bytes())
        part.with_name("saved").hardlink_to(part)

    monkeypatch.setattr(extents, "nameless_file", lambda _: None)
    monkeypatch.setattr(extents, "_reflink", lambda *_: False)
    monkeypatch.setattr(extents, "_copy_extents", killed)
    with pytest.raises(VhdError):
        target(services).distribute(image)
    assert [entry.token for entry in journal.open_entries()] == ["workspace:x"]
    # What a SIGKILL leaves: the journal and the file as they were in the middle of the copy.
    places.journal.write_bytes(copies[0])
    (entry,) = [entry for entry in journal.open_entries() if entry.kind == "file"]
    part = Path(entry.facts["path"])
    (services.output_dir / "saved").rename(part)
    assert clear(places, budget=10) == []
    assert listing(services.output_dir) == ["mine.00000000.part"]
    assert not places.journal.exists()


class Usage(NamedTuple):
    total: int
    used: int
    free: int


def test_no_space_is_said_before_and_after_the_build(
    services: Services, finished: Finished, monkeypatch: pytest.MonkeyPatch
) -> None:
    image = finished()
    monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage(10, 10, 100))
    with pytest.raises(EnvironmentProblem, match="Not enough space"):
        target(services).preflight(LINUX)
    with pytest.raises(EnvironmentProblem, match="Not enough space"):
        target(services).distribute(image)
    assert not services.output_dir.exists()


def test_a_file_system_without_space_of_its_own_is_not_a_full_one(
    services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    """/proc and its like: root may write to them as far as the operating system says."""
    monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage(0, 0, 0))
    with pytest.raises(EnvironmentProblem, match="holds no files"):
        target(services).preflight(LINUX)


def test_what_was_there_is_replaced_as_a_whole_or_not_at_all(services: Services, finished: Finished) -> None:
    services.output_dir.mkdir()
    place = write_vhd(services.output_dir / "web-vhd.vhd", MIB, b"old")
    old = place.read_bytes()
    assert target(services).preflight(LINUX) == f"replaces {place}"
    broken = finished("broken")
    with broken.vhd.open("r+b") as file:
        file.truncate(MIB)
    with pytest.raises(VhdError):
        target(services).distribute(broken)
    assert place.read_bytes() == old
    assert list(services.output_dir.iterdir()) == [place]
    target(services).distribute(finished())
    assert check_fixed_vhd(place).virtual_size == 2 * MIB


def test_the_systems_refusal_becomes_our_error(
    services: Services, finished: Finished, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(module, "clone", full)
    with pytest.raises(EnvironmentProblem, match="cannot be written: No space left on device"):
        target(services).distribute(finished())


def test_what_an_earlier_build_put_there_stays_as_long_as_nobody_touched_it(
    services: Services, finished: Finished
) -> None:
    services.home.known_files.parent.mkdir(parents=True)
    image = finished()
    place = target(services).distribute(image).path
    first = place.stat().st_ino
    assert target(services).distribute(finished("again", reused=True)).path == place
    assert place.stat().st_ino == first
    target(services).distribute(finished("other", data=b"changed", reused=True))
    assert place.stat().st_ino != first
    second = place.stat().st_ino
    place.touch()
    target(services).distribute(finished("once more", data=b"changed", reused=True))
    assert place.stat().st_ino != second


def test_data_disks_lie_beside_the_os_disk(services: Services, finished: Finished) -> None:
    distributor = target(services)
    distributor.preflight(replace(LINUX, data_disks=DISKS))
    place = services.output_dir / "web-vhd.vhd"
    beside = [services.output_dir / f"web-vhd-lun{lun}.vhd" for lun in (0, 1)]
    assert [change.name for change in distributor.changes()] == [str(file) for file in (place, *beside)]
    assert (distributor.target(), *distributor.more_targets()) == (str(place), *map(str, beside))
    image = with_data_disks(finished(), 0, 1)
    assert distributor.distribute(image).data_disks == tuple(beside)
    for file, disk in zip(beside, image.data_disks, strict=True):
        assert file.read_bytes() == disk.vhd.read_bytes()


def test_what_is_in_a_data_disks_place_and_is_no_vhd_stays(services: Services) -> None:
    services.output_dir.mkdir()
    other = services.output_dir / "web-vhd-lun1.vhd"
    other.write_text("mine")
    with pytest.raises(PreflightError, match="is there and is not a VHD"):
        target(services).preflight(replace(LINUX, data_disks=DISKS))
    assert other.read_text() == "mine"


def test_a_data_disk_that_fails_leaves_none_of_them(services: Services, finished: Finished) -> None:
    image = with_data_disks(finished(), 0, 1)
    image.data_disks[1].vhd.unlink()
    with pytest.raises(EnvironmentProblem):
        target(services).distribute(image)
    assert list(services.output_dir.iterdir()) == []
