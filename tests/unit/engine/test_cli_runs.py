from __future__ import annotations

import fcntl
import json
import os
import time

import pytest
from typer.testing import CliRunner

from builder import beacon
from builder.cli import gc as gc_cli
from builder.cli import runs as runs_cli
from builder.errors import ConflictError, EnvironmentProblem, NotFoundError, UsageError
from builder.events import EventBus, RunFinished
from builder.redact import Redactor
from builder.runs import RecordSink, RunDirectory
from builder.settings import Home
from builder.ui.failure import error_to_dict
from engine.test_runs import build
from templates.diagnostics import Diagnostic, Location, TemplateError

runner = CliRunner()


@pytest.fixture(autouse=True)
def _home(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GOLDSMITH_HOME", str(home.root))


def invoke(*words: str) -> str:
    result = runner.invoke(runs_cli.app, list(words), catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


def test_list(home: Home) -> None:
    assert "no runs yet" in invoke("list")
    build(RunDirectory.create(home, run_id="20260101T000000-aaaaaa"))
    RunDirectory.create(home, run_id="20260102T000000-bbbbbb")
    text = invoke("list")
    assert text.index("bbbbbb") < text.index("aaaaaa")
    assert "Failed (Customizing)" in text
    assert [run["runState"] for run in json.loads(invoke("list", "--json"))] == ["Running", "Failed"]
    assert len(json.loads(invoke("list", "--json", "--limit", "1"))) == 1


def test_show(home: Home) -> None:
    build(RunDirectory.create(home, run_id="20260101T000000-aaaaaa"))
    text = invoke("show")
    for expected in (
        "IT_g_web",
        "1. step1",
        "succeeded",
        "exit 3",
        "error: step2 said ****",
        "failure bundle: /b",
        "    | say ****",
    ):
        assert expected in text
    data = json.loads(invoke("show", "2026", "--json"))
    assert (data["runId"], data["exitCode"]) == ("20260101T000000-aaaaaa", 1)


def test_a_template_that_was_wrong_is_told_in_full(home: Home) -> None:
    """By `runs show`, the log and the list: later there is nothing else to find out from."""
    run = RunDirectory.create(home)
    place = Location("web.json", 10, 15, "/properties/source")
    wrong = TemplateError([Diagnostic("error", "NotFound", "No such image.\n    Near: x", place, "Look.")])
    bus = EventBus(Redactor())
    with RecordSink(run) as sink:
        bus.add_sink(sink)
        data = {**error_to_dict(wrong), "bundle": "/runs/failure"}
        bus.emit(RunFinished(run_id=run.run_id, state="Failed", seconds=1.0, exit_code=2, error=data))
    for text in (invoke("show"), invoke("logs")):
        for expected in (
            "web.json:10:15: error NotFound: No such image.",
            "Near: x",
            "hint: Look.",
            "All about this failure: /runs/failure",
        ):
            assert expected in text
    assert "web.json: 1 problem in the template: No such image." in invoke("list")


def test_logs(home: Home) -> None:
    run = RunDirectory.create(home)
    build(run)
    assert invoke("logs") == run.customization_log.read_text()
    assert invoke("logs", "latest", "--follow") == run.customization_log.read_text()
    with pytest.raises(NotFoundError, match=r"validation\.log") as caught:
        invoke("logs", "--validation")
    assert "customization.log" in (caught.value.hint or "")
    run.serial_log.write_bytes(b"login: \xff\n")
    assert "login:" in invoke("logs", "--serial")
    (run.path / "validation-serial.log").write_text("second machine\n")
    assert invoke("logs", "--serial", "--validation") == "second machine\n"
    data = json.loads(invoke("logs", "--serial", "--json"))
    assert data == {"runId": run.run_id, "log": str(run.serial_log), "lines": ["login: \ufffd"]}
    with pytest.raises(UsageError):
        invoke("logs", "--follow", "--json")


def test_cancel_as_json(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    signals = []
    monkeypatch.setattr("builder.owner.Owner.signal", lambda _self, number: signals.append(number) or True)
    run = RunDirectory.create(home)
    data = json.loads(invoke("cancel", "--json"))
    assert data == {"runId": run.run_id, "pid": os.getpid(), "runState": "Canceling"}
    assert len(signals) == 1


def test_cancel_waits_for_the_build_not_for_its_process(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    """A scheduler goes on after a build of it was cancelled: this process is its stand-in, and lives."""
    run = RunDirectory.create(home)
    monkeypatch.setattr("builder.owner.Owner.signal", lambda _self, _number: build(run) is None)
    began = time.monotonic()
    assert "It is Failed now." in invoke("cancel", "--wait", "600")
    assert time.monotonic() - began < 500, "it would have waited for us"


def test_a_run_in_another_container_is_left_to_that(home: Home) -> None:
    run = RunDirectory.create(home)
    record = json.loads(run.record_file.read_bytes())
    record["owner"] |= {"pidNamespace": "77", "token": "theirs"}
    run.record_file.write_text(json.dumps(record))
    folder = beacon.look_at(home.root)
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "theirs.lock").open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        with pytest.raises(ConflictError, match="outside of this container"):
            invoke("cancel")
    assert not run.cancel_requested


def test_cancel_means_the_latest_that_goes_on(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not one that came later and was refused because of it."""
    monkeypatch.setattr("builder.owner.Owner.signal", lambda _self, _number: True)
    with pytest.raises(NotFoundError, match="No build is under way"):
        invoke("cancel")
    RunDirectory.create(home, run_id="20260101T000000-aaaaaa")
    RunDirectory.create(home, run_id="20260102T000000-bbbbbb")
    build(RunDirectory.create(home, run_id="20260103T000000-cccccc"))
    assert json.loads(invoke("cancel", "--json"))["runId"] == "20260102T000000-bbbbbb"
    with pytest.raises(ConflictError, match="is not running"):
        invoke("cancel", "20260103")


def test_a_home_that_is_no_folder_is_not_an_empty_one(home: Home) -> None:
    home.root.write_text("")
    for words in (["list"], ["show"], ["logs"]):
        with pytest.raises(EnvironmentProblem, match="cannot be used: a file is in its place") as caught:
            invoke(*words)
        assert "GOLDSMITH_HOME" in (caught.value.hint or "")
    with pytest.raises(EnvironmentProblem):
        runner.invoke(gc_cli.app, [], catch_exceptions=False)


def test_report(home: Home) -> None:
    run = RunDirectory.create(home)
    with pytest.raises(NotFoundError):
        invoke("report")
    run.report.write_text("<html>")
    assert invoke("report").strip() == str(run.report)
    assert json.loads(invoke("report", "--json")) == {"runId": run.run_id, "report": str(run.report)}


def test_an_unknown_run(home: Home) -> None:
    for verb in ("show", "logs", "cancel", "report"):
        with pytest.raises(NotFoundError):
            invoke(verb, "nothing")


def test_gc(home: Home) -> None:
    result = runner.invoke(gc_cli.app, [], catch_exceptions=False)
    assert "Nothing to clear away" in result.output
    (home.downloads).mkdir(parents=True)
    result = runner.invoke(gc_cli.app, ["--dry-run", "--json"], catch_exceptions=False)
    assert json.loads(result.output) == {"dryRun": True, "freed": 0, "removed": [], "left": []}
