from __future__ import annotations

from dataclasses import replace

import pytest

from builder.errors import ConflictError, NotFoundError
from builder.registry import lookup
from builder.registry.records import OutputRecord, StageTiming, to_json
from builder.registry.store import Registry
from builder.settings import Home
from registry.conftest import IMAGE, WEB, image_record
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


def test_a_run_from_start_to_end(registry: Registry, home: Home) -> None:
    started = registry.start_run("r-1", template="web", workspace="IT_x", log_dir=home.runs / "r-1")
    assert (started.state, started.sub_state, started.seconds) == ("Running", "Queued", None)
    assert started.pid > 0
    with pytest.raises(ConflictError):
        registry.start_run("r-1", template="web", workspace="IT_x", log_dir=home.runs / "r-1")
    timing = StageTiming("Source", "succeeded", 1.5)
    output = OutputRecord("out", "VHD", home.root / "out.vhd", size=5)
    registry.update_run("r-1", sub_state="Customizing", source="deb 12", stage=timing)
    registry.update_run("r-1", output=replace(output, size=1))
    done = registry.finish_run("r-1", "Failed", message="exit 1", outputs=[output])
    assert (done.state, done.message, done.source, done.sub_state) == ("Failed", "exit 1", "deb 12", "")
    assert done.stages == (timing,)
    assert done.outputs == (output,)
    assert done.seconds is not None
    assert registry.find_run("r-") == done
    assert registry.list_runs(state="Failed", limit=1) == [done]
    registry.delete_run("r-1")
    with pytest.raises(NotFoundError):
        registry.find_run("r-1")


def test_runs_of_dead_processes_are_failed_and_their_versions_freed(web: Registry, home: Home) -> None:
    for name in ("dead", "alive"):
        web.start_run(name, template="t", workspace="w", log_dir=home.runs)
        web.reserve_version(WEB, run_id=name)
    gone = web.reclaim(lambda run: run.id == "dead")
    assert gone.runs == ("dead",)
    assert gone.versions == (f"{WEB}/versions/0.0.1",)
    assert "ended without finishing" in web.find_run("dead").message
    assert web.find_run("alive").state == "Running"


def test_json_has_azures_spelling(home: Home) -> None:
    data = to_json(image_record(home))
    assert data["resourceGroup"] == "Images"
    assert data["createdAt"] == "2026-01-02T03:04:05.000678+00:00"
    assert data["path"].endswith("run-1.vhd")
    assert to_json([1, {"a_b": None}]) == [1, {"a_b": None}]
