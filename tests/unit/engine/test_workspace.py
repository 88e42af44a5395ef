from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable
from dataclasses import replace as copy_with
from pathlib import Path
from typing import Any

import pytest

from builder.cancellation import Interrupted, cancel_on_signals
from builder.deadline import Deadline
from builder.errors import ConflictError
from builder.journal import Journal
from builder.services import Services
from builder.settings import Settings
from builder.workspace import Places, Workspace, clear, read_record, write_json
from builder.workspace_name import MAX_LENGTH, clean_name, workspace_name
from engine.conftest import SUBSCRIPTION, Seen, managed_image
from templates.model import ImageTemplate

Make = Callable[..., ImageTemplate]


def leftovers(services: Services) -> list[str]:
    return sorted(
        str(p.relative_to(services.home.staging)) for p in services.home.staging.rglob("*") if p.is_file()
    )


def interrupted_in(real: Callable[..., Any]) -> Callable[..., Any]:
    """`real` with a signal that arrives while it is called."""

    def call(*args: Any, **named: Any) -> Any:
        os.kill(os.getpid(), signal.SIGTERM)
        return real(*args, **named)

    return call


class TestName:
    def test_group_of_the_first_target_that_has_one(self, template: Make, services: Services) -> None:
        vhd = {"type": "VHD", "runOutputName": "vhd"}
        t = template(
            distribute=[vhd, managed_image("images"), {**managed_image("other"), "runOutputName": "b"}]
        )
        assert workspace_name(t, services) == "IT_images_web"

    def test_a_gallery_target_names_its_group(self, template: Make, services: Services) -> None:
        gallery = f"{SUBSCRIPTION}/resourcegroups/Shared/providers/Microsoft.Compute/galleries/g/images/d"
        t = template(distribute=[{"type": "SharedImage", "runOutputName": "s", "galleryImageId": gallery}])
        assert workspace_name(t, services) == "IT_Shared_web"

    def test_without_such_a_target_the_setting(self, template: Make, services: Services) -> None:
        assert workspace_name(template(), services) == "IT_goldsmith_web"

    def test_long_names_are_cut_and_still_differ(self) -> None:
        first, second = clean_name("IT_" + "g" * 90 + "_a"), clean_name("IT_" + "g" * 90 + "_b")
        assert first != second
        assert len(first) == len(second) == MAX_LENGTH

    @pytest.mark.parametrize("name", ["..", ".", "", "a/b", "a b", "../../etc", "ä", ".locks"])
    def test_no_name_leaves_the_directory(self, name: str) -> None:
        clean = clean_name(name)
        assert clean
        assert "/" not in clean
        assert not clean.startswith(".")

    def test_what_was_changed_differs_from_what_looked_so_before(self) -> None:
        assert clean_name("a b") != clean_name("a-b") == "a-b"


class TestLife:
    def test_private_recorded_and_gone_afterwards(self, template: Make, services: Services) -> None:
        t = template(managedResourceTags={"team": "images", "createdBy": "me"})
        with Workspace(t, services, run_id="r1") as workspace:
            assert workspace.path.stat().st_mode & 0o777 == 0o700
            record = read_record(workspace.path)
            assert record is not None
            assert record["runId"] == "r1"
            assert record["tags"] == {
                "team": "images",
                "createdBy": "Goldsmith",
                "imageTemplateName": "web",
                "imageTemplateResourceGroupName": "goldsmith",
            }
            workspace.file("os.qcow2").write_bytes(b"disk")
            assert workspace.path.name == "IT_goldsmith_web"
        assert not workspace.path.exists()
        assert leftovers(services) == []

    def test_what_the_journal_names_goes_too(self, template: Make, services: Services) -> None:
        with Workspace(template(), services, run_id="r1") as workspace:
            beside = services.home.staging / "beside.sock"
            workspace.journal.intent("file", "sock", path=str(beside))
            beside.write_text("x")
        assert not beside.exists()
        assert leftovers(services) == []

    def test_a_failure_is_not_hidden_and_nothing_stays(self, template: Make, services: Services) -> None:
        with pytest.raises(RuntimeError, match="the build"), Workspace(template(), services, run_id="r") as w:
            raise RuntimeError("the build")
        assert not w.path.exists()

    def test_a_failing_cleanup_is_a_warning_and_leaves_the_journal(
        self, template: Make, services: Services, seen: Seen, tmp_path: Path
    ) -> None:
        outside = tmp_path / "outside"
        outside.write_text("x")
        with pytest.raises(RuntimeError, match="the build"), Workspace(template(), services, run_id="r") as w:
            w.journal.intent("file", "out", path=str(outside))
            raise RuntimeError("the build")
        (note,) = seen.of("note")
        assert note.code == "WorkspaceLeft"
        assert "outside of Goldsmith" in note.message
        assert outside.exists()
        assert [entry.token for entry in Journal(w.places.journal).open_entries()] == ["out"]

    def test_a_cleanup_that_crashes_does_not_mask(
        self, template: Make, services: Services, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def explode(*_args: object, **_named: object) -> None:
            raise OSError("disk on fire")

        monkeypatch.setattr("builder.workspace.clear", explode)
        with pytest.raises(RuntimeError, match="the build"), Workspace(template(), services, run_id="r") as w:
            raise RuntimeError("the build")
        assert not w.places.lock.exists(), "the lock is free in any case"

    def test_a_second_ctrl_c_in_the_cleanup_does_not_mask(
        self, template: Make, services: Services, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def interrupt(*_args: object, **_named: object) -> None:
            raise KeyboardInterrupt

        monkeypatch.setattr("builder.workspace.clear", interrupt)
        with pytest.raises(RuntimeError, match="the build"), Workspace(template(), services, run_id="r"):
            raise RuntimeError("the build")
        with pytest.raises(KeyboardInterrupt), Workspace(template("other"), services, run_id="r"):
            pass

    def test_a_signal_in_the_cleanup_does_not_stop_it(
        self, template: Make, services: Services, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("builder.workspace.clear", interrupted_in(clear))
        with cancel_on_signals(), Workspace(template(), services, run_id="r") as workspace:
            workspace.file("f").write_text("x")
        assert leftovers(services) == []

    def test_a_signal_while_it_is_made_leaves_nothing(
        self, template: Make, services: Services, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("builder.workspace.write_json", interrupted_in(write_json))
        with pytest.raises(Interrupted), cancel_on_signals():
            Workspace(template(), services, run_id="r").__enter__()
        assert leftovers(services) == []
        assert not (services.home.staging / "IT_goldsmith_web").exists()

    def test_a_disk_that_is_full_at_the_start_leaves_nothing(
        self, template: Make, services: Services, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def full(*_: object) -> None:
            raise OSError(28, "No space left on device")

        monkeypatch.setattr("builder.workspace.write_json", full)
        own = services.home.staging / "my-staging"
        own.mkdir(parents=True)
        for t in (template(), template(stagingResourceGroup=f"{SUBSCRIPTION}/resourceGroups/my-staging")):
            with pytest.raises(OSError, match="No space"):
                Workspace(t, services, run_id="r").__enter__()
        assert leftovers(services) == []
        assert own.is_dir(), "the user's own staging group stays"

    def test_cleanup_has_its_own_time(self, template: Make, services: Services) -> None:
        late = copy_with(services, deadline=Deadline(-1))
        with Workspace(template(), late, run_id="r") as workspace:
            workspace.file("f").write_text("x")
        assert not workspace.path.exists()

    @pytest.mark.parametrize("name", ["", ".", "..", "a/b", "/etc/passwd"])
    def test_files_stay_inside(self, template: Make, services: Services, name: str) -> None:
        with pytest.raises(ValueError, match="file name"):
            Workspace(template(), services, run_id="r").file(name)

    def test_keep_to_moves_and_forgets(self, template: Make, services: Services, tmp_path: Path) -> None:
        with Workspace(template(), services, run_id="r1") as workspace:
            disk = workspace.file("os.qcow2")
            workspace.journal.intent("file", "disk", path=str(disk))
            disk.write_bytes(b"disk")
            moved = workspace.keep_to(tmp_path / "kept")
            assert moved == {disk: tmp_path / "kept" / "os.qcow2"}
            assert "disk" not in {entry.token for entry in workspace.journal.open_entries()}
        assert (tmp_path / "kept" / "os.qcow2").read_bytes() == b"disk"
        assert json.loads((tmp_path / "kept" / "kept.json").read_text())["runId"] == "r1"
        assert not workspace.path.exists()


class TestTwoBuilds:
    def test_the_second_is_refused_and_told_who_it_is(self, template: Make, services: Services) -> None:
        with Workspace(template(), services, run_id="run-one"):
            with pytest.raises(ConflictError) as caught, Workspace(template(), services, run_id="run-two"):
                pass
            assert "build runs cancel run-one" in (caught.value.hint or "")
            assert "run-one" in caught.value.message
            assert f"pid {os.getpid()}" in caught.value.message
            assert "--wait" in (caught.value.hint or "")
        with Workspace(template(), services, run_id="run-two"):
            pass

    def test_names_are_compared_without_case(self, template: Make, services: Services) -> None:
        with Workspace(template("Web"), services, run_id="a"), pytest.raises(ConflictError):
            Workspace(template("wEB"), services, run_id="b").__enter__()

    def test_another_template_goes_ahead(self, template: Make, services: Services) -> None:
        with (
            Workspace(template("a"), services, run_id="a") as one,
            Workspace(template("b"), services, run_id="b") as other,
        ):
            assert one.path.is_dir()
            assert other.path.is_dir()
            assert one.path != other.path

    def test_waiting_has_a_limit_and_costs_none_of_our_own_time(
        self, template: Make, services: Services, seen: Seen, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("builder.workspace.WAIT_SECONDS", 1.2)
        monkeypatch.setattr("builder.workspace._POLL_SECONDS", 0.05)
        hasty = copy_with(services, deadline=Deadline(1.0))
        with Workspace(template(), services, run_id="run-one"), pytest.raises(ConflictError, match="run-one"):
            Workspace(template(), hasty, run_id="run-two", wait=True).__enter__()
        assert not hasty.deadline.expired
        waits = [event.what for event in seen.of("wait.started")]
        assert any("run-one" in what for what in waits)


class TestAfterACrash:
    def _crash(self, template: ImageTemplate, services: Services) -> Workspace:
        """A workspace whose process is gone: nothing was cleaned, but the kernel dropped the lock."""
        workspace = Workspace(template, services, run_id="dead")
        workspace.__enter__()
        workspace._lock.release()
        return workspace

    def test_the_next_build_cleans_first(self, template: Make, services: Services, seen: Seen) -> None:
        dead = self._crash(template(), services)
        dead.file("os.qcow2").write_text("old")
        with Workspace(template(), services, run_id="new") as workspace:
            assert [item.name for item in workspace.path.iterdir()] == ["workspace.json"]
            assert any("dead" in event.what for event in seen.of("wait.started"))
        assert leftovers(services) == []

    def test_even_when_only_the_journal_was_written(self, template: Make, services: Services) -> None:
        places = Places(services.home, "IT_goldsmith_web")
        places.journal.parent.mkdir(parents=True)
        Journal(places.journal).intent("directory", "workspace:IT_goldsmith_web", path=str(places.directory))
        places.directory.mkdir()
        (places.directory / "half").write_text("x")
        with Workspace(template(), services, run_id="new") as workspace:
            assert not (workspace.path / "half").exists()


class TestStagingResourceGroup:
    def test_it_names_the_workspace(self, template: Make, services: Services) -> None:
        t = template(stagingResourceGroup=f"{SUBSCRIPTION}/resourceGroups/my-staging")
        with Workspace(t, services, run_id="r") as workspace:
            assert workspace.name == "my-staging"
        assert not workspace.path.exists()

    def test_an_empty_one_is_used_and_stays(self, template: Make, services: Services) -> None:
        place = services.home.staging / "mine"
        place.mkdir(parents=True)
        with Workspace(template(stagingResourceGroup="mine"), services, run_id="r") as workspace:
            workspace.file("f").write_text("x")
        assert list(place.iterdir()) == []

    def test_one_that_is_not_empty_is_refused_untouched(self, template: Make, services: Services) -> None:
        place = services.home.staging / "mine"
        place.mkdir(parents=True)
        (place / "precious").write_text("x")
        with pytest.raises(ConflictError, match="not empty"):
            Workspace(template(stagingResourceGroup="mine"), services, run_id="r").__enter__()
        assert (place / "precious").exists()
        assert not Places(services.home, "mine").lock.exists()


def test_the_budget_comes_from_the_settings(template: Make, services: Services) -> None:
    assert Settings().cleanup_timeout == 60
    assert Workspace(template(), services, run_id="r")._services.settings.cleanup_timeout == 60
