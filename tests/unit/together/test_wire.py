"""What a build's process says arrives as it was said."""

from __future__ import annotations

import dataclasses
import io
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from builder.engine import BuildOptions
from builder.errors import UsageError
from builder.events import (
    ArtifactProduced,
    Envelope,
    Event,
    Note,
    PhaseFinished,
    RunFinished,
    RunStarted,
    StageFinished,
    StageStarted,
    StepFinished,
    StepOutput,
    StepStarted,
    WaitFinished,
    WaitProgress,
    WaitStarted,
)
from builder.jobs import jobs_of
from builder.settings import Home, Settings
from builder.together.task import Task
from builder.together.wire import WireSink, envelope_of
from templates import DeploymentScope, read

SCOPE = DeploymentScope("0", "g", "local")
EVENTS: list[Event] = [
    RunStarted(run_id="r", template="t", workspace="w", log_dir="/l"),
    StageStarted(stage="Boot"),
    StageFinished(stage="Boot", outcome="timedout", seconds=1.5),
    StepStarted(stage="Customize", index=1, total=2, name="näme", type="Shell"),
    StepOutput(stage="Customize", index=1, stream="stderr", line='"\\\x1b\u2028'),
    StepFinished(stage="Customize", index=1, name="n", outcome="failed", seconds=2, detail="exit code 1"),
    WaitStarted(what="w"),
    WaitProgress(what="w", done=1, total=2, unit="bytes"),
    WaitFinished(what="w", seconds=0.1),
    PhaseFinished(name="Boot", seconds=3.5, where="guest", stage="Boot"),
    Note(level="warning", message="m", code="C"),
    ArtifactProduced(run_output="o", type="VHD", path="/p", size=4, size_on_disk=2),
    RunFinished(
        run_id="r",
        state="Failed",
        seconds=9,
        exit_code=1,
        error={"code": "X", "exitCode": 1, "details": ["a", "b"], "diagnostics": [{"line": 3}]},
    ),
]


def test_every_kind_is_tried() -> None:
    assert {event.kind for event in EVENTS} == {kind.kind for kind in Event.__subclasses__()}


@pytest.mark.parametrize("event", EVENTS, ids=lambda event: event.kind)
def test_an_event_arrives_as_it_was(event: Event) -> None:
    stream = io.StringIO()
    with WireSink(stream, "20260101T000000-aaaaaa") as sink:
        sink(Envelope(datetime(2026, 1, 1, tzinfo=UTC), 1.25, event))
    line = stream.getvalue()
    assert (line.count("\n"), line[-1]) == (1, "\n"), "a line for whoever reads bytes"
    data = json.loads(line)
    # The run's own events have had a run id all along; it is the same.
    assert data["runId"] == "20260101T000000-aaaaaa"
    came = envelope_of(data)
    assert came is not None
    assert (came.at, came.elapsed) == (datetime(2026, 1, 1, tzinfo=UTC), 1.25)
    expected = dataclasses.replace(event, run_id=data["runId"]) if hasattr(event, "run_id") else event
    assert came.event == expected


@pytest.mark.parametrize(
    "data",
    [{}, {"kind": "x"}, {"kind": "note"}, {"kind": "note", "time": "now", "elapsed": 1}, {"kind": ["note"]}],
)
def test_anything_else_is_no_event(data: dict[str, Any]) -> None:
    assert envelope_of(data) is None


def write(file: Path, *names: str) -> Path:
    resources = [
        {
            "type": "Microsoft.VirtualMachineImages/imageTemplates",
            "apiVersion": "2024-02-01",
            "name": name,
            "location": "local",
            "properties": {
                "source": {
                    "type": "PlatformImage", "publisher": "Debian", "offer": "debian-12", "sku": "{{ sku }}",
                    "version": "latest",
                },
                "distribute": [{"type": "VHD", "runOutputName": "out"}],
            },
        }
        for name in names
    ]  # fmt: skip
    deployment = {
        "$schema": "https://schema.management.azure.com/schemas/2019-04-01/deploymentTemplate.json#",
        "contentVersion": "1.0.0.0",
        "resources": resources,
    }
    file.write_text(json.dumps(deployment))
    return file


def task(file: Path, place: int) -> Task:
    document = read(file, variables={"sku": "12"}, parameters=None, strict=False, defaults=SCOPE)
    made = Task.of(
        jobs_of([document])[place],
        strict=False,
        variables={"sku": "12"},
        parameters=None,
        output_dir=Path("out"),
        options=BuildOptions("keep", wait=True, from_step="2"),
    )
    return Task.from_bytes(made.to_bytes())


def test_the_process_builds_what_the_command_looked_at(tmp_path: Path) -> None:
    came = task(write(tmp_path / "t.json", "one", "two"), 1)
    job = came.job(Home(tmp_path), Settings())
    assert (job.template.name, job.template.properties.source.sku) == ("two", "12")  # type: ignore[union-attr]
    assert BuildOptions(**came.options) == BuildOptions("keep", wait=True, from_step="2")
    assert Path(came.output_dir) == Path("out").absolute()


def test_a_template_that_was_changed_meanwhile_is_refused(tmp_path: Path) -> None:
    file = write(tmp_path / "t.json", "one")
    came = task(file, 0)
    write(file, "another")
    with pytest.raises(UsageError, match="was changed while other builds"):
        came.job(Home(tmp_path), Settings())
