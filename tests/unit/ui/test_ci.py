"""What CI services read in the output: groups, annotations; and that nobody else can write them."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Iterable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest
from shown_runs import SECRET, failed_run, good_run

from builder.cli.errors import report
from builder.cli.runs import _copy
from builder.errors import UsageError
from builder.events import (
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
from builder.ui.choose import open_sinks
from builder.ui.ci.face import CiSink
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
