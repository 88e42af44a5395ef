"""Faces for programs and for few words, which face is taken, and one that fails."""

import io
import json

import pytest
from shown_runs import ARM_ID, SECRET, failed_run, good_run

from builder.events import (
    Note,
)
from builder.ui.choose import open_sinks, wants_live
from builder.ui.guarded import Guarded
from builder.ui.jsonl import JsonLinesSink
from builder.ui.plain import PlainSink
from builder.ui.quiet import QuietSink


def test_quiet_says_only_artifacts_and_errors(bus):
    out, err = io.StringIO(), io.StringIO()
    bus.add_sink(QuietSink(out, err))
    for event in good_run():
        bus.emit(event)
    assert out.getvalue() == f"web-v\tSharedImage\t/r/image.vhd\t{ARM_ID}\n"
    assert err.getvalue() == ""
    for event in failed_run():
        bus.emit(event)
    assert out.getvalue().count("\n") == 1
    assert err.getvalue().startswith("error: It failed with exit code 100.\n")
    assert SECRET not in err.getvalue()


def test_json_lines(bus):
    out = io.StringIO()
    bus.add_sink(JsonLinesSink(out))
    events = list(good_run())
    for event in events:
        bus.emit(event)
    rows = [json.loads(line) for line in out.getvalue().splitlines()]
    assert [row["kind"] for row in rows] == [event.kind for event in events]
    assert all("time" in row and "elapsed" in row for row in rows)
    assert SECRET not in out.getvalue()


def test_events_on_stdout_leave_it_to_json(bus):
    out, err = io.StringIO(), io.StringIO()
    with open_sinks(events="-", stdout=out, stderr=err) as sinks:
        for sink in sinks:
            bus.add_sink(sink)
        for event in good_run():
            bus.emit(event)
    assert all(isinstance(json.loads(line), dict) for line in out.getvalue().splitlines())
    assert "Succeeded in" in err.getvalue()


def test_events_files_of_one_command_follow_each_other(bus, tmp_path):
    file = tmp_path / "events.jsonl"
    file.write_text("old\n")
    for _ in range(2):
        with open_sinks(events=str(file), stdout=io.StringIO(), stderr=io.StringIO()) as sinks:
            for sink in sinks:
                bus.add_sink(sink)
            bus.emit(Note(level="info", message="x"))
    rows = [json.loads(line) for line in file.read_text().splitlines()]
    assert [row["kind"] for row in rows] == ["note", "note"]


def test_events_file_that_cannot_be_written(tmp_path):
    from builder.errors import UsageError

    place = str(tmp_path / "no" / "e.jsonl")
    with pytest.raises(UsageError, match="No such file"), open_sinks(events=place, stdout=io.StringIO()):
        pass


class _Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.mark.parametrize(
    ("env", "live"),
    [({"TERM": "xterm"}, True), ({"TERM": "dumb"}, False), ({"TERM": "xterm", "CI": "true"}, False),
     ({"TERM": "xterm", "CI": "false"}, True), ({}, False)],
)  # fmt: skip
def test_who_gets_the_live_display(monkeypatch, env, live):
    for name in ("TERM", "CI"):
        monkeypatch.delenv(name, raising=False)
    for name, value in env.items():
        monkeypatch.setenv(name, value)
    assert wants_live(_Terminal()) is live
    assert wants_live(io.StringIO()) is False


class _Broken(io.StringIO):
    def __init__(self, error):
        super().__init__()
        self.error = error
        self.writes = 0

    def write(self, text):
        self.writes += 1
        raise self.error


@pytest.mark.parametrize(
    ("error", "said"), [(BrokenPipeError(), ""), (OSError(28, "No space left on device"), "No space left")]
)
def test_a_failing_sink_does_not_stop_the_build(bus, capsys, error, said):
    stream = _Broken(error)
    other = io.StringIO()
    with Guarded(JsonLinesSink(stream)) as broken, Guarded(PlainSink(stream)) as plain_broken:
        for sink in (broken, plain_broken, JsonLinesSink(other)):
            bus.add_sink(sink)
        for event in good_run():
            bus.emit(event)
    assert stream.writes == 2  # once each, then left alone
    assert json.loads(other.getvalue().splitlines()[-1])["kind"] == "run.finished"
    stderr = capsys.readouterr().err
    assert said in stderr if said else stderr == ""
