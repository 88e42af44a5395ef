"""What the rooms of the engine share is put together in one place."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import templates
from builder.deadline import Deadline
from builder.engine import BuildOptions
from builder.events import Note
from builder.jobs import Job, jobs_of, services_of
from builder.services import Services
from builder.settings import Home, Settings
from templates.arm.scope import DeploymentScope

TEMPLATE = {
    "type": "Microsoft.VirtualMachineImages/imageTemplates",
    "apiVersion": "2024-02-01",
    "name": "web",
    "location": "local",
    "properties": {
        "buildTimeoutInMinutes": 10,
        "source": {
            "type": "PlatformImage",
            "publisher": "Debian",
            "offer": "debian-12",
            "sku": "12",
            "version": "latest",
        },
        "customize": [],
        "distribute": [{"type": "VHD", "runOutputName": "disk"}],
    },
}


@pytest.fixture
def job(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Job:
    (tmp_path / "team").mkdir()
    (tmp_path / "team" / "web.json").write_text(json.dumps(TEMPLATE))
    monkeypatch.chdir(tmp_path)
    (found,) = jobs_of([templates.read(Path("team/web.json"), defaults=DeploymentScope("0", "g", "local"))])
    return found


def test_a_build_has_its_templates_folder_limit_and_secrets(job: Job, tmp_path: Path) -> None:
    options = BuildOptions("keep", wait_for_replicas=False)
    made = services_of(Home(tmp_path), Settings(), job, Path("out"), run_id="r1", options=options)
    assert (made.base_dir, made.output_dir) == (tmp_path / "team", tmp_path / "out")
    assert 590 < made.deadline.remaining() <= 600
    assert (made.run_id, made.keep_unfinished, made.wait_for_replicas) == ("r1", True, False)
    assert made.redactor is job.redactor
    job.redactor.add("correct horse battery")
    heard: list[str] = []
    made.bus.add_sink(lambda envelope: heard.append(str(envelope.event)))
    made.bus.emit(Note(level="info", message="correct horse battery"))
    assert "horse" not in heard[0]


def test_who_only_asks_keeps_nothing_and_waits_for_nobody(job: Job, tmp_path: Path) -> None:
    made = services_of(Home(tmp_path), Settings(), job, read_only=True)
    assert (made.read_only, made.keep_unfinished, made.wait_for_replicas) == (True, False, True)
    assert (made.output_dir, made.run_id) == (tmp_path, "")


def test_work_by_hand_is_where_it_is_typed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    first, second = (Services.of(Home(tmp_path), Settings(), Deadline(60)) for _ in range(2))
    assert (first.base_dir, first.output_dir) == (tmp_path, tmp_path)
    assert first.redactor is not second.redactor
    assert first.bus is not second.bus
