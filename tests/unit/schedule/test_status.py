"""`build status` over records that builds left; nothing is built."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from builder.cli import main
from builder.cli.gallery_tree import looking
from builder.lineage import recorded_inputs, template_digest
from builder.registry import sqlite
from builder.resolve import freeze
from builder.run_record import RunOutput, RunRecord, SourceRef, TemplateRef
from builder.schedule.record import Ended
from builder.schedule.work import Arguments, source_of
from builder.settings import Home, Settings

START = datetime(2026, 11, 20, 12, tzinfo=UTC)
Status = dict[str, Any]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(sqlite, "SYNCHRONOUS", "OFF")
    monkeypatch.setenv("GOLDSMITH_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.sh").write_text("echo one\n")
    write(tmp_path)
    return tmp_path


def write(folder: Path, line: str = "true", comment: str = "") -> None:
    resource = {
        "type": "Microsoft.VirtualMachineImages/imageTemplates",
        "apiVersion": "2024-02-01",
        "name": "web",
        "location": "westus",
        "properties": {
            "source": {"type": "PlatformImage", "publisher": "Debian", "offer": "debian-12", "sku": "12"},
            "customize": [
                {"type": "Shell", "name": "inline", "inline": [line]},
                {"type": "Shell", "name": "script", "scriptUri": "a.sh"},
            ],
            "distribute": [{"type": "VHD", "runOutputName": "disk"}],
        },
    }
    (folder / "web.json").write_text(comment + json.dumps(resource, indent=1))


def built(folder: Path, state: str = "Succeeded", hours: int = 0, **changes: Any) -> str:
    """The record that a build of the template as it is now leaves."""
    services = looking()
    reading = Arguments().reading(services.home)
    document = reading.read(folder / "web.json")
    from builder.jobs import jobs_of

    (job,) = jobs_of([document])
    source = source_of(services.home, Settings(), job)
    frozen = freeze(document, job.template, services)
    run_id = f"20261120T12{hours:02}00-abcdef"
    record = RunRecord(
        run_id=run_id,
        run_state=state,  # type: ignore[arg-type]
        start_time=START + timedelta(hours=hours),
        end_time=START + timedelta(hours=hours, minutes=5),
        message="The script failed." if state == "Failed" else "",
        template=TemplateRef(file=str(folder / "web.json"), name="web"),
        source=changes.pop("source", SourceRef(exact_version=source.version, identity=source.identity)),
        lineage={
            "templateDigest": template_digest(document, job.template, job.redactor),
            "inputs": list(recorded_inputs(job.template, frozen, job.redactor)),
        },
        **changes,
    )
    path = Home().runs / run_id
    path.mkdir(parents=True)
    (path / "run.json").write_text(record.model_dump_json(by_alias=True))
    return run_id


@pytest.fixture
def status(capsys: pytest.CaptureFixture[str]) -> Callable[..., Status]:
    def ask(*words: str) -> Status:
        capsys.readouterr()
        assert main(["status", "--json", *words]) == 0
        (one,) = json.loads(capsys.readouterr().out)["templates"]
        return dict(one)

    return ask


def test_nothing_known_is_said(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["status"]) == 0
    assert "No template is scheduled" in capsys.readouterr().out


def test_a_scheduled_one_goes_from_never_built_to_current_to_stale(
    folder: Path, status: Callable[..., Status], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["schedule", "add", "web.json", "--cron", "0 3 * * *"]) == 0
    one = status()
    assert (one["state"], one["schedule"], one["reasons"]) == ("never built", "web", [])
    run_id = built(folder)
    one = status()
    assert (one["state"], one["reasons"], one["runId"], one["last"]) == ("current", [], run_id, "Succeeded")
    assert one["nextAt"].endswith("03:00:00+00:00")
    assert one["sourceUsed"] == one["sourceNow"] != ""
    assert main(["status", "--exit-code"]) == 0
    (folder / "a.sh").write_text("echo two\n")
    one = status()
    assert (one["state"], one["reasons"]) == ("stale", ["a.sh changed"])
    assert main(["status", "--exit-code"]) == 1


def test_only_what_a_template_says_counts(folder: Path, status: Callable[..., Status]) -> None:
    built(folder)
    write(folder, comment="// how it is written is nobody's business\n")
    assert status("--all")["state"] == "current"
    write(folder, line="echo other")
    assert status("--all")["reasons"][0] == "the template changed"


def test_a_newer_source_is_a_reason(folder: Path, status: Callable[..., Status]) -> None:
    built(folder, source=SourceRef(exact_version="11.0.0", identity="old"))
    one = status("--all")
    assert (one["state"], one["reasons"], one["sourceUsed"]) == (
        "stale",
        ["its source has something newer"],
        "11.0.0",
    )


def test_a_failure_after_a_good_build_is_no_good_state(folder: Path, status: Callable[..., Status]) -> None:
    built(folder, hours=1)
    built(folder, "Failed", hours=2)
    one = status("--all")
    assert (one["state"], one["last"]) == ("failing", "Failed")
    assert one["reasons"] == ["the last build failed: The script failed."]
    built(folder, "Canceled", hours=3)
    assert status("--all")["state"] == "current"


def test_a_cancelled_build_is_none(folder: Path, status: Callable[..., Status]) -> None:
    built(folder, "Canceled")
    one = status("--all")
    assert (one["state"], one["reasons"], one["last"]) == (
        "never built",
        ["its build was cancelled"],
        "Canceled",
    )


def test_what_a_template_made_of_its_gallery_itself_is_nothing_newer(
    folder: Path, status: Callable[..., Status]
) -> None:
    (made,) = {status_source(folder)}
    built(
        folder,
        source=SourceRef(exact_version="11.0.0", identity="old"),
        run_outputs=[RunOutput(name="v", type="SharedImage", artifact_id=made.upper())],
    )
    assert status("--all")["state"] == "current"


def status_source(folder: Path) -> str:
    from builder.jobs import jobs_of

    services = looking()
    (job,) = jobs_of([Arguments().reading(services.home).read(folder / "web.json")])
    return source_of(services.home, Settings(), job).version


def test_a_schedule_of_a_path_with_dots_is_of_the_same_template(
    folder: Path, status: Callable[..., Status]
) -> None:
    (folder / "sub").mkdir()
    assert main(["schedule", "add", "sub/../web.json", "--every", "7d"]) == 0
    built(folder)
    one = status("--all")
    assert (one["state"], one["file"], one["schedule"]) == ("current", str(folder / "web.json"), "web")


def test_a_scheduled_build_that_could_not_begin_is_failing(
    folder: Path, status: Callable[..., Status], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert main(["schedule", "add", "web.json", "--every", "7d"]) == 0
    built(folder)
    (folder / "web.json").rename(folder / "moved.json")
    registry, now = looking().registry, datetime.now(UTC)
    registry.claim_schedule_now("web", now)
    registry.finish_schedule("web", Ended("Failed", message="there is no such file"), now, 1)
    one = status()
    assert (one["state"], one["last"]) == ("failing", "Failed")
    assert one["reasons"][1] == "the last scheduled build failed: there is no such file"
    assert one["reasons"][2].startswith("deactivated after 1 failure in a row")
    assert main(["status", "--exit-code"]) == 1


def test_a_good_build_by_hand_after_it_makes_good(folder: Path, status: Callable[..., Status]) -> None:
    assert main(["schedule", "add", "web.json", "--every", "7d"]) == 0
    registry = looking().registry
    registry.claim_schedule_now("web", START)
    registry.finish_schedule("web", Ended("Failed", message="no"), START, 5)
    assert status()["state"] == "failing"
    built(folder, hours=1)
    assert status()["state"] == "current"


@pytest.mark.parametrize(
    ("file", "reason"),
    [("<stdin>", "it came from standard input"), ("web.json", "its folder is not recorded")],
)
def test_what_has_no_place_is_not_read(
    folder: Path, status: Callable[..., Status], file: str, reason: str
) -> None:
    record(folder, template={"file": file, "name": "web"})
    one = status("--all")
    assert (one["state"], one["reasons"], one["last"]) == ("unknown", [reason], "Succeeded")


@pytest.mark.parametrize(
    ("lineage", "state"),
    [
        ({}, "unknown"),
        ({"templateDigest": None, "inputs": None}, "stale"),
        ({"templateDigest": "x", "inputs": ["a"]}, "stale"),
    ],
)
def test_records_of_other_times_are_understood(
    folder: Path, status: Callable[..., Status], lineage: dict[str, Any], state: str
) -> None:
    """Without a zone in their times, without a lineage, with another form of it."""
    record(folder, template={"file": str(folder / "web.json"), "name": "web"}, lineage=lineage)
    one = status("--all")
    assert (one["state"], one["builtAt"]) == (state, "2026-11-20T12:05:00+00:00")
    assert main(["status", "--all"]) == 0


def record(folder: Path, **fields: Any) -> None:
    path = Home().runs / "20261120T120000-abcdef"
    path.mkdir(parents=True)
    facts = {
        "formatVersion": 1,
        "runId": path.name,
        "runState": "Succeeded",
        "startTime": "2026-11-20T12:00:00",
        "endTime": "2026-11-20T12:05:00",
    }
    (path / "run.json").write_text(json.dumps(facts | fields))


def test_records_that_cannot_be_read_are_passed_over(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for number, text in enumerate(("", "{}", "[]", '{"formatVersion": 99}')):
        path = Home().runs / f"20261120T12000{number}-abcdef"
        path.mkdir(parents=True)
        (path / "run.json").write_text(text)
    assert main(["status", "--all"]) == 0
    assert "No template was built here." in capsys.readouterr().out


def test_one_that_cannot_be_read_keeps_no_other(folder: Path, status: Callable[..., Status]) -> None:
    built(folder)
    (folder / "web.json").write_text("{")
    one = status("--all")
    assert one["state"] == "unknown"
    assert one["reasons"][0].startswith("it cannot be read: ")
    (folder / "web.json").unlink()
    assert status("--all")["state"] == "unknown"


def test_the_table(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    built(folder)
    (folder / "a.sh").write_text("echo two\n")
    assert main(["status", "--all"]) == 0
    out = capsys.readouterr().out
    assert "stale" in out
    assert "a.sh changed" in out
