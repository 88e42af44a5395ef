"""The phase table as people see it: at the end of a build, in `runs show`, in the report."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from typer.testing import CliRunner

from builder.cli import runs as runs_cli
from builder.events import EventBus, PhaseFinished, RunFinished, RunStarted
from builder.runs import RecordSink, RunDirectory
from builder.settings import Home
from builder.ui.closing import print_closing
from builder.ui.console import make_console
from builder.ui.plain import PlainSink
from builder.ui.report import write_report
from builder.ui.tally import Tally


def say(bus: EventBus) -> None:
    bus.emit(PhaseFinished(name="Start-up", seconds=0.6, where="engine", stage=""))
    bus.emit(RunStarted(run_id="r", template="t", workspace="w", log_dir="/l"))
    bus.emit(PhaseFinished(name="ms", seconds=0.004, where="engine", stage="Boot"))
    bus.emit(PhaseFinished(name="add\x1b[2J users", seconds=61, where="guest", stage="Customize", index=2))
    bus.emit(RunFinished(run_id="r", state="Succeeded", seconds=62, exit_code=0))


def test_plain_lines_say_it_in_one(bus: EventBus) -> None:
    out = io.StringIO()
    with PlainSink(out) as face:
        bus.add_sink(face)
        say(bus)
    (line,) = [line for line in out.getvalue().splitlines() if "Guest" in line]
    assert "Guest 1 min 01 s, engine 0.0 s (Start-up 0.6 s; Customize 2: add users 1 min 01 s)" in line


def test_the_closing_table(bus: EventBus) -> None:
    tally, out = Tally(), io.StringIO()
    bus.add_sink(tally.take)
    say(bus)
    print_closing(make_console(out, width=80), tally)
    lines = [line.split("  ") for line in out.getvalue().splitlines()]
    told = [[cell.strip() for cell in line if cell.strip()] for line in lines]
    assert ["Phase", "Guest", "Engine"] in told
    assert ["Start-up", "0.6 s"] in told
    assert ["Customize 2: add users", "1 min 01 s"] in told
    assert ["Sum", "1 min 01 s", "0.0 s"] in told
    assert not any("ms" in line for line in told)


def test_runs_show_and_the_report(bus: EventBus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = Home(tmp_path / "home")
    monkeypatch.setenv("GOLDSMITH_HOME", str(home.root))
    run = RunDirectory.create(home)
    with RecordSink(run) as sink:
        bus.add_sink(sink)
        say(bus)
    shown = CliRunner().invoke(runs_cli.app, ["show"], catch_exceptions=False).output
    page = write_report(run.path).read_text()
    for text in (shown, page):
        for expected in ("Phase", "Guest", "Engine", "Start-up", "Customize 2: add users", "Sum"):
            assert expected in text
