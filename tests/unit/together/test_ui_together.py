"""Several builds shown together."""

from __future__ import annotations

import io
import json
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest

from builder.errors import UsageError
from builder.events import (
    ArtifactProduced,
    Envelope,
    Event,
    Note,
    RunFinished,
    RunStarted,
    StageStarted,
    StepFinished,
    StepStarted,
    WaitStarted,
)
from builder.ui.console import make_console
from builder.ui.plain import PlainSink
from builder.ui.together import Together, open_together
from builder.ui.together_terminal import TogetherTerminal


@dataclass
class Named:
    label: str
    run_id: str = ""


def at(event: Event) -> Envelope:
    return Envelope(datetime.now(UTC), 1.0, event)


def tell(together: Together, build: Named, *events: Event) -> None:
    sinks = together.sinks(build)
    build.run_id = f"run-of-{build.label}"
    for event in events:
        for sink in sinks:
            sink(at(event))


def good(name: str) -> list[Event]:
    return [
        RunStarted(run_id="r", template=name, workspace="w", log_dir="/logs"),
        StageStarted(stage="Customize"),
        StepStarted(stage="Customize", index=1, total=2, name="add\x1b[2J users", type="Shell"),
        Note(level="warning", message="careful"),
        StepFinished(stage="Customize", index=1, name="add users", outcome="succeeded", seconds=1),
        ArtifactProduced(run_output="out", type="VHD", path=f"/{name}.vhd"),
        RunFinished(run_id="r", state="Succeeded", seconds=65, exit_code=0),
    ]


def bad() -> list[Event]:
    error = {"code": "X", "message": "it broke", "details": ["a detail"], "hint": "mend it"}
    return [RunFinished(run_id="", state="Failed", seconds=2, exit_code=1, error=error)]


def test_plain_lines_have_a_name_before_them() -> None:
    out = io.StringIO()
    with open_together(total=2, plain=True, stdout=out, stderr=io.StringIO()) as together:
        together.say("--jobs 3 is cut to 2: why.")
        tell(together, Named("web"), *good("web"))
        tell(together, Named("db (2)"), *bad())
    first, *lines = out.getvalue().splitlines()
    assert first == "--jobs 3 is cut to 2: why."
    assert {line.split("] ")[0] for line in lines} == {"[web", "[db (2)"}
    for expected in ("[1/2] add users", "made out (VHD): /web.vhd", "error: it broke", "hint: mend it"):
        assert any(expected in line for line in lines), expected


def test_quiet_says_what_was_made_and_whose_error_it_is() -> None:
    out, err = io.StringIO(), io.StringIO()
    with open_together(total=2, quiet=True, stdout=out, stderr=err) as together:
        together.say("nothing of this")
        tell(together, Named("web"), *good("web"))
        tell(together, Named("db"), *bad())
    assert out.getvalue() == "out\tVHD\t/web.vhd\n"
    assert err.getvalue().splitlines() == ["db: error: it broke", "db:   a detail", "db: hint: mend it"]


def test_events_name_their_run(tmp_path: Path) -> None:
    out, err = io.StringIO(), io.StringIO()
    with open_together(total=2, events="-", plain=True, stdout=out, stderr=err) as together:
        tell(together, Named("web"), *good("web"))
        tell(together, Named("db"), *bad())
    runs = [json.loads(line)["runId"] for line in out.getvalue().splitlines()]
    assert runs == ["run-of-web"] * len(good("web")) + ["run-of-db"]
    assert "[web]" in err.getvalue()
    with pytest.raises(UsageError), open_together(total=1, events=str(tmp_path / "none" / "x")):
        pass


def plainly(text: str) -> str:
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", text)


def test_a_terminal_has_a_line_for_each_under_way() -> None:
    out = io.StringIO()
    console = make_console(out, width=60, force_terminal=True)
    with TogetherTerminal(out, total=3, console=console) as face:
        web, db = face.sink(Named("web")), face.sink(Named("database"))
        for event in good("web")[:3]:
            web(at(event))
        db(at(WaitStarted(what="Downloading a thing with a very long name that does not fit in here")))
        out.seek(0)
        out.truncate()
        face._beat()
        moving = [
            line.strip() for line in plainly(out.getvalue()).replace("\r", "\n").splitlines() if line.strip()
        ]
        assert re.fullmatch(r"\S web {7}Customize 1/2 add users  0 s", moving[0])
        assert re.fullmatch(r"\S database  Downloading a thing .*…  0 s", moving[1])
        assert moving[2] == "1 more to begin"
        assert all(len(line) < 60 for line in moving)
        for event in good("web")[3:]:
            web(at(event))
        for event in bad():
            db(at(event))
    said = plainly(out.getvalue())
    for expected in (
        "web: warning: careful",
        "✓ web  Succeeded in 1 min 05 s, logs in /logs",
        "out  /web.vhd",
        "✗ database  Failed in 2.0 s",
        "error: it broke",
        "hint: mend it",
    ):
        assert expected in said
    assert "\x1b[2J" not in out.getvalue()


def test_a_build_that_was_killed_is_not_said_to_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("builder.ui.plain._ANNOUNCE_AFTER", 0.0)
    out = io.StringIO()
    face = PlainSink(out)
    face(at(WaitStarted(what="Booting")))
    face._beat()
    for event in bad():
        face(at(event))
    face._beat()
    assert out.getvalue().count("Booting ...") == 1
