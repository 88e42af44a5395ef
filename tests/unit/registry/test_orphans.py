from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

import builder.registry.orphans as orphans_module
import builder.registry.versions as versions_module
from builder.registry.store import Registry
from builder.settings import Home
from registry.conftest import IMAGE, WEB, Publish, image_record, open_registry

HOURS = 2 * 3600.0


def dead(_run_id: str) -> bool:
    return False


def write(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"disk" * 3000)
    return path


def files(home: Home) -> set[Path]:
    return {path for root in (home.images, home.regions) for path in root.rglob("*") if path.is_file()}


def test_what_no_row_names_goes_with_its_folder(web: Registry, home: Home, publish: Publish) -> None:
    image = image_record(home)
    web.put_image(image)
    version = publish("1.0.0")
    named = files(home)
    lost = [
        write(home.images / "images" / "web" / "run-0.vhd"),
        write(home.images / "images" / "other" / "run-0.vhd"),
        write(home.regions / "westus" / "team.gallery" / "web" / "0.9.0" / "os.vhd"),
        write(home.regions / "eastus" / "team.gallery" / "web" / "1.0.0" / "os.vhd"),
    ]
    only_listed = web.remove_orphans(dead, dry_run=True)
    assert sorted(orphan.path for orphan in only_listed) == sorted(lost)
    assert files(home) == {*named, *lost}
    assert web.remove_orphans(dead) == only_listed
    assert all(orphan.size >= 12000 for orphan in only_listed)
    assert files(home) == named == {image.path, version.replicas[0].path}
    assert not (home.regions / "eastus").exists()
    assert not (home.images / "images" / "other").exists()
    assert web.remove_orphans(dead) == []


def test_what_a_living_build_is_about_to_record_stays(web: Registry, home: Home) -> None:
    version = web.reserve_version(WEB, "1.0.0")
    write(home.regions / "westus" / "team.gallery" / "web" / version.version / "os.vhd")
    write(home.images / "images" / "web" / "run-1.vhd")
    assert web.remove_orphans(lambda run: run == "run-1") == []
    assert len(files(home)) == 2


def test_a_home_reached_by_another_name_loses_nothing(web: Registry, home: Home, tmp_path: Path) -> None:
    web.put_image(image_record(home))
    (tmp_path / "alias").symlink_to(home.root)
    other = open_registry(Home(tmp_path / "alias"))
    assert other.remove_orphans(dead) == []
    other.put_image(image_record(home, IMAGE + "2"))
    assert web.remove_orphans(dead) == other.remove_orphans(dead) == []
    other.close()


def test_foreign_and_unfinished_files_are_not_ours_to_judge(web: Registry, home: Home) -> None:
    kept = [write(home.images / "notes.txt"), write(home.images / "a" / ".run-1.vhd.ab12.part")]
    assert web.remove_orphans(dead) == []
    assert files(home) == set(kept)


def test_an_empty_folder_goes_unless_it_was_just_made(web: Registry, home: Home) -> None:
    (home.images / "new").mkdir(parents=True)
    (home.images / "old" / "deeper").mkdir(parents=True)
    then = time.time() - HOURS
    os.utime(home.images / "old" / "deeper", (then, then))
    (gone,) = web.remove_orphans(dead)
    assert (gone.path, gone.size) == (home.images / "old" / "deeper", 0)
    assert [path.name for path in home.images.iterdir()] == ["new"]


def test_a_reclaimed_version_takes_its_files_along(
    web: Registry, home: Home, publish: Publish, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish("1.0.0")
    monkeypatch.setattr(versions_module, "current_owner", lambda: "another-boot/1/1")
    version = web.reserve_version(WEB, "1.0.1")
    monkeypatch.undo()
    half = write(home.regions / "eastus" / "team.gallery" / "web" / "1.0.1" / "os.vhd")
    assert web.reclaim(dry_run=True).versions == (version.id,)
    assert half.exists()
    assert web.reclaim().versions == (version.id,)
    assert not (home.regions / "eastus").exists()
    assert [v.version for v in web.list_versions()] == ["1.0.0"]


def test_a_crash_in_reclaim_leaves_the_reservation_for_the_next_time(
    web: Registry, home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(versions_module, "current_owner", lambda: "another-boot/1/1")
    version = web.reserve_version(WEB, "1.0.1")
    write(home.regions / "eastus" / "team.gallery" / "web" / "1.0.1" / "os.vhd")

    def refuse(*_: object) -> None:
        raise PermissionError

    with monkeypatch.context() as patch:
        patch.setattr(orphans_module, "remove_file", refuse)
        with pytest.raises(PermissionError):
            web.reclaim()
    assert web.reclaim().versions == (version.id,)
