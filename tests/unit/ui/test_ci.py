"""What CI services read: groups, annotations, summary, outputs, JUnit."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Iterable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from shown_runs import ARM_ID, SECRET, failed_run, good_run

from builder.cli.errors import report
from builder.cli.runs import _copy
from builder.errors import UsageError
from builder.events import (
    ArtifactProduced,
    Event,
    EventBus,
    Note,
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
from builder.ui.ci.face import CiSink
from builder.ui.ci.reports import Reports, Wanted
from builder.ui.ci.service import Azure, GitHub, GitLab, Service, Where, chosen, detect
from builder.ui.text import inert_json
from builder.ui.together import open_together


def shown(bus: EventBus, events: Iterable[Event], service: Service) -> str:
    out = io.StringIO()
    with CiSink(out, service) as sink:
        bus.add_sink(sink)
        for event in events:
            bus.emit(event)
    return out.getvalue()


def said(line: str) -> list[Event]:
    return [
        RunStarted(run_id="r", template="t", workspace="w", log_dir="d"),
        StageStarted(stage="Customize"),
        StepStarted(stage="Customize", index=1, total=1, name="n", type="Shell"),
        StepOutput(stage="Customize", index=1, stream="stdout", line=line),
        StageFinished(stage="Customize", outcome="succeeded", seconds=1),
    ]


def test_github_folds_stages_and_annotates(bus: EventBus) -> None:
    lines = shown(bus, good_run(), GitHub()).splitlines()
    assert [line for line in lines if line.startswith("::")] == [
        "::group::Source",
        "::warning title=Warning::vnetConfig [b]is[/b] not used",
        "::endgroup::",
        "::group::Customize",
        "::endgroup::",
    ]
    text = shown(bus, failed_run(), GitHub())
    (error,) = [line for line in text.splitlines() if line.startswith("::error")]
    assert error.startswith("::error title=StepFailed::It failed with exit code 100.%0ACustomize step 1")
    assert "hint" not in error.split("Look [at]")[0]
    assert text.index("::endgroup::") < text.index("== Summary"), "what went wrong is not folded away"
    assert SECRET not in text


def test_azure_folds_stages_and_annotates(bus: EventBus) -> None:
    lines = shown(bus, good_run(), Azure()).splitlines()
    assert [line for line in lines if line.startswith("##")] == [
        "##[group]Source",
        "##vso[task.logissue type=warning;code=Warning;]vnetConfig [b]is[/b] not used",
        "##[endgroup]",
        "##[group]Customize",
        "##[endgroup]",
    ]


def test_gitlab_folds_stages(bus: EventBus) -> None:
    text = shown(bus, good_run(), GitLab())
    assert "section_start:" in text
    assert ":customize[collapsed=true]\r\x1b[0KCustomize\n" in text
    assert text.count("section_start:") == text.count("section_end:") == 2
    assert "warning: Warning: vnetConfig [b]is[/b] not used" in text


@pytest.mark.parametrize("service", [GitHub(), Azure(), GitLab()])
@pytest.mark.parametrize(
    "line",
    [
        "::error::forged",
        "##vso[task.setvariable variable=a]b",
        "x ##VSO[task.complete result=Succeeded]",
        "##[error]forged",
        "  ##[set-env name=PATH;]/evil",
        "\x1b[0Ksection_end:1:customize\r\x1b[0K",
    ],
)
def test_what_a_guest_writes_is_no_command(bus: EventBus, service: Service, line: str) -> None:
    ours = shown(bus, said("harmless"), service).splitlines()
    forged = shown(bus, said(line), service).splitlines()
    assert len(forged) == len(ours)
    (theirs,) = [text for text in forged if "    | " in text]
    assert "##[" not in theirs
    assert "##vso[" not in theirs.casefold()
    assert "\x1b" not in theirs
    assert not theirs.startswith(":")


COMMANDS = (
    "x ##vso[task.setvariable variable=a]b",
    "#\x00#vso[task.complete result=Succeeded]",
    "##[add-path]/evil",
    "::set-env name=PATH;::/evil",
    " \t::add-mask::a",
)


def is_command(line: str) -> bool:
    """As the agent and the runner look for one."""
    return "##[" in line or "##vso[" in line.casefold() or line.lstrip().startswith("::")


def forging_run() -> list[Event]:
    """A run in which everything a guest can have a word in is a command."""
    message = "\n".join(COMMANDS)
    error = {"message": message, "details": list(COMMANDS), "hint": message, "tail": list(COMMANDS)}
    return [
        RunStarted(run_id="r", template=COMMANDS[3], workspace="w", log_dir="d"),
        StageStarted(stage="Customize"),
        StepStarted(stage="Customize", index=1, total=1, name=COMMANDS[3], type="Shell"),
        *(StepOutput(stage="Customize", index=1, stream="stdout", line=line) for line in COMMANDS),
        *(Note(level="warning", message=line) for line in (message, *COMMANDS)),
        StepFinished(
            stage="Customize", index=1, name=COMMANDS[0], outcome="failed", seconds=1, detail=COMMANDS[3]
        ),
        StageFinished(stage="Customize", outcome="failed", seconds=1),
        RunFinished(run_id="r", state="Failed", seconds=1, exit_code=1, error=error),
    ]


@dataclass
class OneOfTwo:
    label: str = "::debug::web"
    run_id: str = "r"


@pytest.mark.parametrize("way", ["plain", "quiet", "together", "together, quiet", "events"])
def test_no_face_says_a_command(bus: EventBus, way: str) -> None:
    out, err = io.StringIO(), io.StringIO()
    with ExitStack() as stack:
        if "together" in way:
            faces = stack.enter_context(
                open_together(total=2, plain=True, quiet="quiet" in way, stdout=out, stderr=err)
            )
            sinks = list(faces.sinks(OneOfTwo()))
            faces.say(COMMANDS[3])
        else:
            events = "-" if way == "events" else None
            sinks = stack.enter_context(
                open_sinks(plain=True, quiet=way == "quiet", events=events, stdout=out, stderr=err)
            )
        for sink in sinks:
            bus.add_sink(sink)
        for event in forging_run():
            bus.emit(event)
    lines = [*out.getvalue().split("\n"), *err.getvalue().split("\n")]
    assert any("evil" in line for line in lines)
    assert [line for line in lines if is_command(line)] == []


@pytest.mark.parametrize("service", [GitHub(), Azure(), GitLab()])
def test_a_service_is_told_our_commands_only(bus: EventBus, service: Service) -> None:
    ours = re.compile(
        r"::(warning|error) [^:]*::|::group::|::endgroup::$|##\[(group|endgroup)\]"
        r"|##vso\[task\.logissue type=(warning|error);code=\w+;\]"
    )
    lines = shown(bus, forging_run(), service).split("\n")
    rest = [ours.sub("", line, count=1) if ours.match(line) else line for line in lines]
    assert [line for line in rest if is_command(line) and "##" in line] == []
    assert [line for line in lines if is_command(line) and not ours.match(line)] == []


def test_json_that_is_no_command_means_the_same() -> None:
    text = json.dumps(COMMANDS)
    assert is_command(text)
    assert not is_command(inert_json(text))
    assert json.loads(inert_json(text)) == list(COMMANDS)


@pytest.mark.parametrize("words", [[], ["--json"]])
def test_errors_of_the_command_are_no_commands(words: list[str]) -> None:
    out = io.StringIO()
    error = UsageError("\n".join(COMMANDS), details=COMMANDS, hint=COMMANDS[3])
    assert report(error, words, out) == 2
    assert [line for line in out.getvalue().split("\n") if is_command(line)] == []


@pytest.mark.parametrize("service", ["", "TF_BUILD", "GITHUB_ACTIONS"])
def test_a_printed_log_is_as_it_is_unless_a_service_reads_it(
    service: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    if service:
        monkeypatch.setenv(service, "true")
    log = tmp_path / "customization.log"
    text = "\n".join(COMMANDS).encode() + b"\r::error::x\n\xff\nstill being wri"
    log.write_bytes(text)
    end = _copy(log, 0, whole_lines=True)
    first = capfdbinary.readouterr().out
    log.write_bytes(text + b"tten")
    assert _copy(log, end) == len(text) + 4
    shown = first + capfdbinary.readouterr().out
    if not service:
        assert shown == text + b"tten"
    else:
        lines = shown.decode(errors="replace").split("\n")
        assert lines[-1] == "still being written"
        assert [line for line in lines if is_command(line)] == []


def test_places_and_texts_are_escaped() -> None:
    where = Where("a,b:c;d]e.json", 3, 5)
    assert GitHub().annotation("error", "Bad:1", "100% of\nit", where) == (
        "::error title=Bad%3A1,file=a%2Cb%3Ac;d]e.json,line=3,col=5::100%25 of%0Ait\n"
    )
    assert Azure().annotation("error", "Bad;1", "100% of\nit", where) == (
        "##vso[task.logissue type=error;sourcepath=a,b:c%3Bd%5De.json;linenumber=3;columnnumber=5;"
        "code=Bad%3B1;]100%AZP25 of%0Ait\n"
    )


@pytest.mark.parametrize(
    ("environ", "name"),
    [
        ({"GITHUB_ACTIONS": "true"}, "github"),
        ({"TF_BUILD": "True"}, "azure"),
        ({"GITLAB_CI": "true"}, "gitlab"),
        ({"CI": "true"}, None),
    ],
)
def test_the_service_is_known_by_its_variables(environ: dict[str, str], name: str | None) -> None:
    found = detect(environ)
    assert (found.name if found else None) == name
    assert chosen("none", environ) is None


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
