from __future__ import annotations

import json
import os
import re
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from builder import events, runs
from builder.errors import ConflictError, NotFoundError, UsageError
from builder.events import EventBus
from builder.owner import Owner
from builder.redact import MASK, Redactor
from builder.runs import RecordSink, RunDirectory
from builder.settings import Home
from templates.model import ImageTemplate


def dead_owner() -> dict[str, Any]:
    return {**Owner.current().to_json(), "startTicks": 1}


def make_run(home: Home, run_id: str, **changes: Any) -> RunDirectory:
    run = RunDirectory.create(home, run_id=run_id)
    for name, value in changes.items():
        setattr(run.record, name, value)
    run.save()
    return RunDirectory(run.path)


def build(run: RunDirectory, *, secret: str = "hunter2-canary") -> None:
    """The events of a short build that fails in its second step."""
    redactor = Redactor()
    redactor.add(secret)
    bus = EventBus(redactor)
    with RecordSink(run) as sink:
        bus.add_sink(sink)
        bus.emit(events.RunStarted(run_id=run.run_id, template="web", workspace="IT_g_web", log_dir="/l"))
        bus.emit(events.StageStarted(stage="Customize"))
        for index in (1, 2):
            bus.emit(
                events.StepStarted(stage="Customize", index=index, total=2, name=f"step{index}", type="Shell")
            )
            line = f"say {secret}"
            bus.emit(events.StepOutput(stage="Customize", index=index, stream="stderr", line=line))
            outcome: events.Outcome = "succeeded" if index == 1 else "failed"
            bus.emit(
                events.StepFinished(
                    stage="Customize",
                    index=index,
                    name=f"step{index}",
                    outcome=outcome,
                    seconds=1.5,
                    detail="exit 3",
                )
            )
        bus.emit(events.StageFinished(stage="Customize", outcome="failed", seconds=3))
        error = {"code": "StepFailed", "message": f"step2 said {secret}", "details": ["failure bundle: /b"]}
        bus.emit(events.RunFinished(run_id=run.run_id, state="Failed", seconds=4, exit_code=1, error=error))


def test_ids_sort_by_time_and_differ() -> None:
    first, second = runs.new_run_id(), runs.new_run_id()
    assert first != second
    assert re.fullmatch(r"\d{8}T\d{6}-[0-9a-f]{6}", first)


def test_a_new_run_is_recorded_before_anything_happens(
    home: Home, tmp_path: Path, template: Callable[..., ImageTemplate]
) -> None:
    run = RunDirectory.create(home, template=template("web"))
    data = json.loads(run.record_file.read_text())
    assert (data["runState"], data["runSubState"], data["template"]["name"]) == ("Running", "Queued", "web")
    assert Owner.from_json(data["owner"]) == Owner.current()
    assert run.path.stat().st_mode & 0o777 == 0o700
    assert run.load().run_state == "Running"


class TestSink:
    def test_the_record_tells_the_build(self, home: Home) -> None:
        run = RunDirectory.create(home)
        build(run)
        record = RunDirectory(run.path).read()
        assert (record.run_state, record.run_sub_state, record.exit_code) == ("Failed", "Customizing", 1)
        assert record.workspace == "IT_g_web"
        assert record.end_time is not None
        (stage,) = record.stages
        assert [(s.name, s.outcome, s.seconds, s.detail) for s in stage.steps] == [
            ("step1", "succeeded", 1.5, "exit 3"),
            ("step2", "failed", 1.5, "exit 3"),
        ]
        assert record.error is not None
        assert record.error["details"] == ["failure bundle: /b"]

    def test_no_file_holds_the_secret(self, home: Home) -> None:
        run = RunDirectory.create(home)
        build(run)
        files = [path for path in run.path.iterdir() if path.is_file()]
        assert {path.name for path in files} == {"run.json", "events.jsonl", "customization.log"}
        for path in files:
            assert "hunter2-canary" not in path.read_text(), path
        assert MASK in run.customization_log.read_text()

    def test_the_log_looks_like_aibs(self, home: Home) -> None:
        run = RunDirectory.create(home, run_id="r1")
        build(run)
        lines = run.customization_log.read_text().splitlines()
        stamp = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z"
        assert all(re.match(rf"{stamp} \[r1\] PACKER (OUT|ERR) ", line) for line in lines)
        text = "\n".join(lines)
        assert "(telemetry) Starting provisioner shell" in text
        assert "PACKER ERR say ****" in text
        assert lines[-1].endswith("(telemetry) Finalizing.")

    def test_validation_has_its_own_log(self, home: Home) -> None:
        run = RunDirectory.create(home)
        bus = EventBus(Redactor())
        with RecordSink(run) as sink:
            bus.add_sink(sink)
            bus.emit(events.StageStarted(stage="Validate"))
            assert RunDirectory(run.path).read().run_sub_state == "Validating"
            bus.emit(events.StepOutput(stage="Validate", index=1, stream="stdout", line="checked"))
            assert "PACKER OUT checked" in run.validation_log.read_text(), "written at once"
        assert not run.customization_log.exists()

    def test_artifacts_become_run_outputs(self, home: Home) -> None:
        run = RunDirectory.create(home)
        bus = EventBus(Redactor())
        with RecordSink(run) as sink:
            bus.add_sink(sink)
            bus.emit(
                events.ArtifactProduced(run_output="o", type="VHD", path="/o.vhd", size=10, size_on_disk=5)
            )
            bus.emit(events.RunFinished(run_id="r", state="Succeeded", seconds=4, exit_code=0))
        record = run.load()
        assert (record.run_state, record.run_sub_state) == ("Succeeded", "")
        assert [(o.name, o.size, o.size_on_disk) for o in record.run_outputs] == [("o", 10, 5)]

    def test_progress_is_thinned_out(self, home: Home) -> None:
        run = RunDirectory.create(home)
        bus = EventBus(Redactor())
        with RecordSink(run) as sink:
            bus.add_sink(sink)
            for done in range(500):
                bus.emit(events.WaitProgress(what="w", done=done))
        assert 1 <= len(run.events.read_text().splitlines()) < 10

    def test_without_an_end_it_failed(self, home: Home) -> None:
        run = RunDirectory.create(home)
        with RecordSink(run):
            pass
        assert RunDirectory(run.path).read().run_state == "Failed"

    def test_a_full_disk_does_not_break_the_build(self, home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
        run = RunDirectory.create(home)
        bus = EventBus(Redactor())
        with RecordSink(run) as sink:
            bus.add_sink(sink)

            def full(*_args: object) -> None:
                raise OSError(28, "No space left on device")

            monkeypatch.setattr("builder.runs.write_json", full)
            bus.emit(events.StageStarted(stage="Source"))
            bus.emit(events.StageStarted(stage="Customize"))
        assert sink.problem is not None
        assert sink.problem.errno == 28


class TestReading:
    def test_newest_first_and_found_by_name(self, home: Home) -> None:
        make_run(home, "20260101T000000-aaaaaa")
        make_run(home, "20260102T000000-bbbbbb")
        make_run(home, "20260102T000000-bbcccc")
        assert [r.run_id[-6:] for r in runs.list_runs(home)] == ["bbcccc", "bbbbbb", "aaaaaa"]
        assert runs.latest(home).run_id.endswith("bbcccc")
        assert runs.find(home).run_id.endswith("bbcccc")
        assert runs.find(home, "20260101").run_id.endswith("aaaaaa")
        assert runs.find(home, "20260102t000000-BBBBBB").run_id.endswith("bbbbbb")
        with pytest.raises(UsageError, match="beginning of 2 runs"):
            runs.find(home, "20260102")
        for name in ("nothing", "", "../runs"):
            with pytest.raises(NotFoundError):
                runs.find(home, name)

    def test_no_runs(self, home: Home) -> None:
        assert runs.list_runs(home) == []
        with pytest.raises(NotFoundError, match="no runs yet"):
            runs.latest(home)

    def test_a_dead_owner_means_interrupted(self, home: Home) -> None:
        run = make_run(home, "r", owner=dead_owner())
        before = run.record_file.read_bytes()
        record = run.load()
        assert (record.run_state, (record.error or {})["code"]) == ("Failed", "Interrupted")
        assert run.record_file.read_bytes() == before, "looking changes nothing"

    @pytest.mark.parametrize("text", ["", "{", "[]", '{"runId": 3}', "\0", "null"])
    def test_a_broken_record_is_listed_as_broken(self, home: Home, text: str) -> None:
        run = make_run(home, "r")
        run.record_file.write_text(text)
        (record,) = runs.list_runs(home)
        assert record.run_id == "r"
        assert "cannot be read" in record.message

    def test_a_newer_format_is_refused(self, home: Home) -> None:
        run = make_run(home, "r", format_version=99)
        with pytest.raises(runs.RunRecordError, match="newer Goldsmith"):
            run.load()


class TestCancel:
    def test_a_finished_run_cannot_be_cancelled(self, home: Home) -> None:
        run = make_run(home, "r", run_state="Succeeded")
        with pytest.raises(ConflictError, match="Succeeded"):
            runs.cancel(run)

    def test_a_dead_one_neither(self, home: Home) -> None:
        run = make_run(home, "r", owner=dead_owner())
        with pytest.raises(ConflictError, match="Failed"):
            runs.cancel(run)
        assert not run.cancel_requested

    def test_the_owner_is_told(self, home: Home) -> None:
        run = make_run(home, "r")
        got: list[int] = []
        before = signal.signal(signal.SIGINT, lambda number, _frame: got.append(number))
        try:
            owner = runs.cancel(run)
        finally:
            signal.signal(signal.SIGINT, before)
        assert owner.pid == os.getpid()
        assert got == [signal.SIGINT]
        assert run.cancel_requested
        assert run.load().run_state == "Canceling"
