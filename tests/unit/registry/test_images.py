from __future__ import annotations

from dataclasses import replace

import pytest

from builder.as_json import to_json
from builder.errors import NotFoundError
from builder.registry import lookup
from builder.registry.store import Registry
from builder.settings import Home
from registry.conftest import IMAGE, WEB, image_record, with_data_disks
from templates.errors import UsageError


def test_an_image_is_recorded_found_and_replaced(registry: Registry, home: Home) -> None:
    first = image_record(home)
    assert registry.put_image(first) is None
    assert registry.find_image(IMAGE.upper()) == first
    second = replace(image_record(home, run="run-2"), location="eastus")
    assert registry.put_image(second) == first
    assert registry.list_images() == [second]


def test_deleting_an_image_removes_its_file(registry: Registry, home: Home) -> None:
    record = image_record(home)
    registry.put_image(record)
    registry.delete_image(IMAGE.lower())
    assert not record.path.exists()
    assert list(home.images.iterdir()) == []
    with pytest.raises(NotFoundError, match=r"Microsoft\.Compute/images/Web' under resource group 'Images'"):
        registry.find_image(IMAGE)


def test_short_names(web: Registry, home: Home) -> None:
    web.put_image(image_record(home))
    assert lookup.image_id(web, "WEB", "0000") == IMAGE
    assert lookup.image_id(web, IMAGE, "0000") == IMAGE
    assert web.find_image(lookup.image_id(web, "images/web", "0000")).id == IMAGE
    other = IMAGE.replace("Images", "other")
    web.put_image(image_record(home, other))
    with pytest.raises(UsageError, match="Several managed images are called 'web'") as caught:
        lookup.image_id(web, "web", "0000")
    assert caught.value.details == (IMAGE, other)
    assert lookup.definition_id(web, "team.GALLERY/web") == WEB
    assert lookup.version_id(web, "Team.gallery/web/latest") == f"{WEB}/versions/latest"
    for wrong in ("web", "a/b/c/d", "Team.gallery/"):
        with pytest.raises(UsageError, match="neither an ARM id nor of the form"):
            lookup.definition_id(web, wrong)
    with pytest.raises(NotFoundError, match="no gallery 'none'"):
        lookup.gallery_id(web, "none")


def test_json_has_azures_spelling(home: Home) -> None:
    data = to_json(image_record(home))
    assert data["resourceGroup"] == "Images"
    assert data["createdAt"] == "2026-01-02T03:04:05.000678+00:00"
    assert data["path"].endswith("run-1.vhd")
    assert to_json([1, {"a_b": None}]) == [1, {"a_b": None}]


def test_data_disks_are_recorded_replaced_and_deleted_with_their_image(
    registry: Registry, home: Home
) -> None:
    first = with_data_disks(image_record(home), 0, 2)
    assert registry.put_image(first) is None
    assert registry.find_image(IMAGE) == first
    second = with_data_disks(image_record(home, run="run-2"), 0)
    old = registry.put_image(second)
    assert old == first, "whoever replaced it removes its files"
    assert registry.find_image(IMAGE) == second
    assert [disk["lun"] for disk in to_json(second)["dataDisks"]] == [0]
    registry.delete_image(IMAGE)
    assert not any(file.exists() for file in second.files)
