"""What is left for a CI service: summary, outputs, JUnit."""

from __future__ import annotations

import io
from collections.abc import Iterable
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from shown_runs import ARM_ID, failed_run, good_run

from builder.errors import UsageError
from builder.events import (
    ArtifactProduced,
    Event,
    EventBus,
    RunFinished,
    RunStarted,
    StageFinished,
    StageStarted,
    StepFinished,
    StepOutput,
    StepStarted,
)
from builder.redact import Redactor
from builder.ui.choose import open_sinks
from builder.ui.ci.reports import Reports, Wanted
from builder.ui.ci.service import Azure, GitHub, Service


def reported(
    events: Iterable[Iterable[Event]], wanted: Wanted, service: Service | None = None, **environ: str
) -> None:
    with Reports(wanted, service, environ) as reports:
        for one in events:
            bus = EventBus(Redactor())
            bus.add_sink(reports.sink())
            for event in one:
                bus.emit(event)


def test_outputs_are_lines_that_a_pipeline_reads(tmp_path: Path) -> None:
    file = tmp_path / "out.env"
    reported([good_run()], Wanted(outputs=file))
    assert file.read_text().splitlines() == [
        "run_id=r1",
        "log_dir=/home/x/runs/r1",
        "state=Succeeded",
        "web_v_type=SharedImage",
        "web_v_path=/r/image.vhd",
        f"web_v_id={ARM_ID}",
        "web_v_version=1.0.3",
    ]


def test_outputs_of_several_templates_begin_with_their_names(tmp_path: Path) -> None:
    reported([good_run(), failed_run()], Wanted(outputs=tmp_path / "out.env"))
    names = [line.split("=")[0] for line in (tmp_path / "out.env").read_text().splitlines()]
    assert "t_json_web_v_version" in names
    assert "t_json_state" in names


BLOB = "https://acct.blob.core.windows.net/images/web.vhd"


def uploaded_run() -> list[Event]:
    return [
        RunStarted(run_id="r", template="t", workspace="w", log_dir="d"),
        ArtifactProduced(run_output="disk", type="VHD", path="", uri=BLOB, size=4096),
        RunFinished(run_id="r", state="Succeeded", seconds=1, exit_code=0),
    ]


def test_the_address_of_a_blob_is_told(tmp_path: Path) -> None:
    wanted = Wanted(outputs=tmp_path / "out.env", summary=tmp_path / "summary.md")
    reported([uploaded_run()], wanted)
    assert f"disk_uri={BLOB}" in (tmp_path / "out.env").read_text().splitlines()
    assert f"| disk | VHD |  | 4.0 KiB virtual | {BLOB} |" in (tmp_path / "summary.md").read_text()


@pytest.mark.parametrize("quiet", [False, True])
def test_faces_show_the_address_of_a_blob(bus: EventBus, *, quiet: bool) -> None:
    out = io.StringIO()
    with open_sinks(plain=True, quiet=quiet, stdout=out) as sinks:
        for sink in sinks:
            bus.add_sink(sink)
        for event in uploaded_run():
            bus.emit(event)
    lines = out.getvalue().splitlines()
    if quiet:
        assert lines == [f"disk\tVHD\t{BLOB}"]
    else:
        made, closing = (line[9:] for line in lines if BLOB in line)
        assert made == f"  made disk (VHD): {BLOB}"
        assert closing == f"  disk  VHD  4.0 KiB virtual  {BLOB}"


def test_an_output_brings_no_other_one(tmp_path: Path) -> None:
    events = [
        RunStarted(run_id="r", template="t", workspace="w", log_dir="d"),
        ArtifactProduced(run_output="1 x", type="VHD", path="/a\nstate=Succeeded\r\nb"),
        RunFinished(run_id="r", state="Failed", seconds=1, exit_code=1),
    ]
    reported([events], Wanted(outputs=tmp_path / "out.env"))
    lines = (tmp_path / "out.env").read_text().splitlines()
    assert "state=Failed" in lines
    assert "state=Succeeded" not in lines
    assert "_1_x_path=/a state=Succeeded b" in lines


def test_no_output_takes_the_place_of_another(tmp_path: Path) -> None:
    events = [
        RunStarted(run_id="r", template="t", workspace="w", log_dir="d"),
        ArtifactProduced(run_output="run", type="SharedImage", path="", id=ARM_ID),
        ArtifactProduced(run_output="a-b", type="VHD", path="/1"),
        ArtifactProduced(run_output="a.b", type="VHD", path="/2"),
        RunFinished(run_id="r", state="Succeeded", seconds=1, exit_code=0),
    ]
    reported([events], Wanted(outputs=tmp_path / "out.env"))
    lines = (tmp_path / "out.env").read_text().splitlines()
    assert {"run_id=r", f"run_2_id={ARM_ID}", "a_b_path=/1", "a_b_2_path=/2"} <= set(lines)
    reported([events, events], Wanted(outputs=tmp_path / "out.env"))
    lines = (tmp_path / "out.env").read_text().splitlines()
    assert {"t_run_id=r", "t_2_run_id=r", "t_a_b_path=/1", "t_2_a_b_path=/1"} <= set(lines)


def test_an_output_that_is_no_text_is_told_as_well_as_can_be(tmp_path: Path) -> None:
    events = list(good_run())
    events[0] = RunStarted(run_id="r", template="t", workspace="w", log_dir="/\udcff")
    reported([events], Wanted(outputs=tmp_path / "out.env"))
    assert "log_dir=/\\udcff\n" in (tmp_path / "out.env").read_text()


def test_github_gets_its_own_files_added_to(tmp_path: Path) -> None:
    summary, outputs = tmp_path / "summary", tmp_path / "outputs"
    summary.write_text("before\n")
    reported([good_run()], Wanted(), GitHub(), GITHUB_STEP_SUMMARY=str(summary), GITHUB_OUTPUT=str(outputs))
    assert summary.read_text().startswith("before\n## ✅ t.json: Succeeded in 3 min 05 s\n")
    assert "state=Succeeded\n" in outputs.read_text()
    reported([good_run()], Wanted(), None, GITHUB_STEP_SUMMARY=str(summary), GITHUB_OUTPUT=str(outputs))
    assert summary.read_text().count("##") == 1, "elsewhere these variables mean nothing"


def test_azure_gets_commands(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    reported([good_run()], Wanted(summary=tmp_path / "s.md"), Azure())
    lines = capsys.readouterr().out.splitlines()
    assert f"##vso[task.uploadsummary]{tmp_path}/s.md" in lines
    assert "##vso[task.setvariable variable=web_v_version;isOutput=true]1.0.3" in lines


def test_the_summary_shows_what_was_made_and_what_went_wrong(tmp_path: Path) -> None:
    file = tmp_path / "summary.md"
    reported([good_run(), failed_run()], Wanted(summary=file))
    text = file.read_text()
    assert f"| web-v | SharedImage | 1.0.3 | 1.5 GiB on disk, 4.0 GiB virtual | {ARM_ID} |" in text
    assert "- ⚠️ vnetConfig [b]is[/b] not used" in text
    assert "## ❌ t.json: Failed in 5.0 s" in text
    assert "```\nerror: It failed with exit code 100.\n" in text
    assert "build runs report r2" in text


def test_a_fence_in_the_output_does_not_end_ours(tmp_path: Path) -> None:
    events = list(failed_run())
    assert isinstance(events[-1], RunFinished)
    assert events[-1].error is not None
    events[-1].error["message"] = "``` | <b>"
    reported([events], Wanted(summary=tmp_path / "s.md"))
    assert "\n````\nerror: ``` | <b>\n" in (tmp_path / "s.md").read_text()


def test_a_summary_stays_below_what_a_service_takes(tmp_path: Path) -> None:
    events = list(failed_run())
    assert isinstance(events[-1], RunFinished)
    assert events[-1].error is not None
    events[-1].error["tail"] = ["\u20ac" * 16 * 1024] * 40
    reported([events], Wanted(summary=tmp_path / "s.md"))
    assert (tmp_path / "s.md").stat().st_size < 200_000


def validators(outcome: str, state: str) -> list[Event]:
    error = (
        None if state == "Succeeded" else {"code": "X", "message": "The check 'port' failed.", "details": []}
    )
    return [
        RunStarted(run_id="r", template="web", workspace="w", log_dir="d"),
        StageStarted(stage="Validate"),
        StepStarted(stage="Validate", index=1, total=2, name="boots", type="Shell"),
        StepFinished(stage="Validate", index=1, name="boots", outcome="succeeded", seconds=2.5),
        StepStarted(stage="Validate", index=2, total=2, name="port <80>", type="Shell"),
        StepOutput(stage="Validate", index=2, stream="stderr", line="connection refused"),
        StepFinished(stage="Validate", index=2, name="port <80>", outcome=outcome, seconds=1),  # type: ignore[arg-type]
        StageFinished(stage="Validate", outcome="succeeded", seconds=4),
        RunFinished(run_id="r", state=state, seconds=9, exit_code=0, error=error),  # type: ignore[arg-type]
    ]


@pytest.mark.parametrize(("outcome", "failures"), [("succeeded", "0"), ("failed", "1")])
def test_validators_are_cases(tmp_path: Path, outcome: str, failures: str) -> None:
    state = "Succeeded" if outcome == "succeeded" else "Failed"
    reported([validators(outcome, state)], Wanted(junit=tmp_path / "v.xml"))
    (suite,) = ET.parse(tmp_path / "v.xml").getroot()
    assert [case.get("name") for case in suite] == ["boots", "port <80>"]
    assert (suite.get("tests"), suite.get("failures"), suite.get("errors")) == ("2", failures, "0")
    if failures == "1":
        failure = suite[1].find("failure")
        assert failure is not None
        assert (failure.get("message"), failure.text) == ("The check 'port' failed.", "connection refused")


def test_a_build_that_never_validated_is_not_green(tmp_path: Path) -> None:
    reported([failed_run()], Wanted(junit=tmp_path / "v.xml"))
    (suite,) = ET.parse(tmp_path / "v.xml").getroot()
    assert (suite.get("tests"), suite.get("errors")) == ("1", "1")
    reported([good_run()], Wanted(junit=tmp_path / "v.xml"))
    (suite,) = ET.parse(tmp_path / "v.xml").getroot()
    assert (suite.get("tests"), suite.get("errors")) == ("0", "0")


def test_a_file_that_cannot_be_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(UsageError, match="there is no folder"):
        Wanted(summary=tmp_path / "no" / "s.md").check()
    with pytest.raises(UsageError, match="this is a folder"):
        Wanted(junit=tmp_path).check()
    reported([good_run()], Wanted(summary=tmp_path))
    assert "was not written: Is a directory" in capsys.readouterr().err
