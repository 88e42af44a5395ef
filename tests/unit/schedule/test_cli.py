"""`build schedule`, in this process; nothing is built."""

from __future__ import annotations

import json
import os
import signal
from contextlib import suppress
from pathlib import Path

import pytest

from builder.cancellation import Interrupted, cancel_on_signals, signalled
from builder.cli import main
from builder.registry import sqlite
from builder.schedule import systemd
from builder.schedule.record import Ended, Schedule
from builder.schedule.scheduler import SystemClock
from builder.schedule.trigger import Trigger
from builder.schedule.work import Work
from builder.settings import Home

SOURCE = {
    "type": "PlatformImage",
    "publisher": "Debian",
    "offer": "debian-12",
    "sku": "12",
    "version": "latest",
}
LATEST = {
    "type": "SharedImageVersion",
    "imageVersionId": "/subscriptions/0/resourceGroups/g/providers/Microsoft.Compute/galleries/team"
    "/images/web/versions/latest",
}


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(sqlite, "SYNCHRONOUS", "OFF")
    monkeypatch.setenv("GOLDSMITH_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    return tmp_path / "home"


def template(name: str = "web", source: dict[str, str] = SOURCE, target: str = "") -> str:
    distribute: dict[str, object] = {"type": "VHD", "runOutputName": "disk"}
    if target:
        gallery = "/subscriptions/0/resourceGroups/g/providers/Microsoft.Compute/galleries/team/images/web"
        distribute = {"type": "SharedImage", "runOutputName": "v", "galleryImageId": gallery + target}
    resource = {
        "type": "Microsoft.VirtualMachineImages/imageTemplates",
        "apiVersion": "2024-02-01",
        "name": name,
        "location": "westus",
        "properties": {"source": source, "customize": [], "distribute": [distribute]},
    }
    Path(f"{name}.json").write_text(json.dumps(resource))
    return f"{name}.json"


def shown(capsys: pytest.CaptureFixture[str]) -> object:
    return json.loads(capsys.readouterr().out)


def test_added_listed_paused_resumed_removed(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert main(["schedule", "list"]) == 0
    assert "There are no schedules. Make one" in capsys.readouterr().out
    assert (
        main(["schedule", "add", template(), "--cron", "0  3 * * *", "--var", "a=b", "--output-dir", "out"])
        == 0
    )
    assert capsys.readouterr().out.startswith("Scheduled 'web': cron '0 3 * * *' UTC. Next: 2")
    assert main(["schedule", "show", "WEB", "--json"]) == 0
    record = shown(capsys)
    assert isinstance(record, dict)
    assert (record["template"], record["state"]) == (str(tmp_path / "web.json"), "active")
    assert record["arguments"]["var"] == ["a=b"]
    assert record["arguments"]["outputDir"] == str(tmp_path / "out")
    assert record["nextAt"].endswith("03:00:00+00:00")
    assert main(["schedule", "pause", "web"]) == 0
    assert main(["schedule", "list"]) == 0
    assert "paused" in capsys.readouterr().out
    assert main(["schedule", "run", "--once"]) == 0
    assert capsys.readouterr().out.startswith("web: paused: paused since")
    assert main(["schedule", "resume", "web"]) == 0
    assert main(["schedule", "remove", "web"]) == 0
    assert main(["schedule", "list", "--json"]) == 0
    assert capsys.readouterr().out.endswith("[]\n")


@pytest.mark.parametrize(
    ("source", "target", "words", "said"),
    [
        (SOURCE, "", [], "When is it to be built?"),
        (SOURCE, "", ["--cron", "0 3 * * *", "--every", "7d"], "exclude each other"),
        (SOURCE, "", ["--cron", "at night"], "--cron 'at night'"),
        (SOURCE, "", ["--every", "never"], "--every never: no span of time"),
        (SOURCE, "", ["--every", "7d", "--jitter", "5s"], "--jitter 5s is out of bounds"),
        (SOURCE, "", ["--every", "7d", "--time-zone", "Europe/Berlin"], "--time-zone is of --cron"),
        (SOURCE, "", ["--on-source-change", "--jitter", "5m"], "--jitter is of --cron and --every"),
        (SOURCE, "", ["--cron", "0 0 3 * * *"], "There are 5 fields"),
        (SOURCE, "", ["--every", "7d", "--name", "a b"], "is no name for a schedule"),
        ({**SOURCE, "version": "12.1.0"}, "", ["--on-source-change"], "is fixed to version 12.1.0"),
        (SOURCE, "/versions/1.0.0", ["--every", "7d"], "names version 1.0.0, which can be made once only"),
        (SOURCE, "", ["--every", "7d", "--keep-last", "3"], "no target is of type SharedImage"),
        (SOURCE, "", ["--every", "7d", "--var-file", "nothing.json"], "--var-file"),
    ],
)
def test_what_cannot_be_scheduled_is_said_at_once(
    capsys: pytest.CaptureFixture[str], source: dict[str, str], target: str, words: list[str], said: str
) -> None:
    assert main(["schedule", "add", template("web", source, target), *words]) == 2
    assert said in capsys.readouterr().err
    assert main(["schedule", "list", "--json"]) == 0
    assert shown(capsys) == []


def test_a_source_that_is_the_latest_can_be_followed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["schedule", "add", template("patch", LATEST), "--on-source-change"]) == 0
    assert "Next: on a new source." in capsys.readouterr().out


def test_a_build_that_cannot_begin_is_a_failure_with_its_reason(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["schedule", "add", template("patch", LATEST), "--on-source-change"]) == 0
    capsys.readouterr()
    assert main(["schedule", "run", "--once", "--json"]) == 1
    (look,) = shown(capsys)  # type: ignore[misc]
    assert (look["action"], look["ended"]["outcome"]) == ("failed", "Failed")
    assert "was not found" in look["detail"]
    assert main(["schedule", "run", "--once"]) == 0
    assert "patch: wait: held back after 1 failure" in capsys.readouterr().out


def test_what_is_wrong_with_a_template_is_its_reason(capsys: pytest.CaptureFixture[str]) -> None:
    file = Path(template())
    assert main(["schedule", "add", str(file), "--every", "7d"]) == 0
    file.write_text('{"a": tru}')
    capsys.readouterr()
    assert main(["schedule", "run", "web", "--json"]) == 1
    (look,) = json.loads(capsys.readouterr().out)
    assert look["ended"]["message"].endswith(
        "web.json: 1 problem in the template: expected a value, found 'tru'"
    )


def test_json_needs_an_end(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["schedule", "run", "--json"]) == 2
    told = capsys.readouterr()
    assert told.out == ""
    assert "say --once, or NAME" in told.err


def test_a_name_that_is_no_text_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    Path("\udcff.json").write_bytes(Path(template()).read_bytes())
    for words in (["schedule", "add", "\udcff.json", "--every", "7d"], ["run", "\udcff.json"]):
        assert main(words) == 2
        assert "\\udcff.json: the file's name is not UTF-8." in capsys.readouterr().err


def test_two_templates_of_a_file_do_not_replace_each_others_disk(capsys: pytest.CaptureFixture[str]) -> None:
    one = json.loads(Path(template()).read_text())
    both = {"$schema": "https://schema.management.azure.com/schemas/2019-04-01/deploymentTemplate.json#"}
    both |= {"contentVersion": "1.0.0.0", "resources": [one, one | {"name": "db"}]}
    Path("both.json").write_text(json.dumps(both))
    assert main(["schedule", "add", "both.json", "--every", "7d"]) == 2
    assert "'web' and 'db' would both write" in capsys.readouterr().err
    assert main(["schedule", "add", "web.json", "--every", "7d"]) == 0
    Path("both.json").replace("web.json")
    capsys.readouterr()
    assert main(["schedule", "run", "web", "--json"]) == 1
    (look,) = json.loads(capsys.readouterr().out)
    assert "would both write" in look["ended"]["message"]


def test_a_template_that_was_removed_is_a_failure(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["schedule", "add", template(), "--cron", "* * * * *"]) == 0
    Path("web.json").unlink()
    assert main(["schedule", "run", "web"]) == 1
    assert "web: failed: " in capsys.readouterr().out


def test_an_unknown_one_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    for verb in ("show", "pause", "resume", "remove", "run"):
        assert main(["schedule", verb, "nothing"]) == 2, verb
        assert "There is no schedule 'nothing'" in capsys.readouterr().err


def test_the_unit_names_home_and_program_as_systemd_reads_them(tmp_path: Path) -> None:
    text = systemd.unit_text(Home(tmp_path / 'a "b" 100% $5'))
    assert 'a \\"b\\" 100%% $5"\n' in text
    assert '"-m" "builder" "schedule" "run"\n' in text


def test_a_signal_ends_the_daemon_a_cancelled_build_does_not(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("a", "b"):
        assert main(["schedule", "add", template(name), "--every", "1m", "--name", name]) == 0
    monkeypatch.setattr(Trigger, "last_due", lambda _self, _key, _handled, now: (now, 0))
    by_signal: list[bool] = []

    def build(_self: Work, schedule: Schedule) -> Ended:
        with suppress(Interrupted), cancel_on_signals():  # as Crew does
            if schedule.name == "b" and len(by_signal) > 2:
                os.kill(os.getpid(), signal.SIGTERM)
        by_signal.append(signalled())
        return Ended("Canceled", f"run-{len(by_signal)}")

    monkeypatch.setattr(Work, "build", build)
    monkeypatch.setattr(SystemClock, "sleep", lambda _self, _seconds: None)
    assert main(["schedule", "run"]) == 130
    assert by_signal == [False, False, False, True]
    assert "b: canceled: run-4" in capsys.readouterr().out
