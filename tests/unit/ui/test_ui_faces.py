"""The faces of a run: terminal, plain, quiet and JSON lines show the same facts."""

import io
import re
import time

import pytest
from rich.console import Console
from shown_runs import ARM_ID, SECRET, failed_run, good_run

from builder.events import (
    ArtifactProduced,
    RunFinished,
    RunStarted,
    StageFinished,
    StageStarted,
    StepFinished,
    StepOutput,
    StepStarted,
    WaitFinished,
    WaitProgress,
    WaitStarted,
)
from builder.ui.plain import PlainSink
from builder.ui.terminal import TerminalSink

CURSOR_SHOWN = "\x1b[?25h"
CURSOR_HIDDEN = "\x1b[?25l"


def terminal(bus, events, *, width=100, colour=None):
    out = io.StringIO()
    console = Console(
        file=out,
        width=width,
        height=30,
        force_terminal=True,
        color_system=colour,
        markup=False,
        highlight=False,
    )
    with TerminalSink(out, console) as sink:
        bus.add_sink(sink)
        for event in events:
            bus.emit(event)
    return out.getvalue()


def plain(bus, events):
    out = io.StringIO()
    with PlainSink(out) as sink:
        bus.add_sink(sink)
        for event in events:
            bus.emit(event)
    return out.getvalue()


@pytest.mark.parametrize("face", [terminal, plain])
class TestBothFaces:
    def test_a_good_run_shows_its_facts(self, bus, face):
        text = face(bus, good_run())
        for fact in (
            "t.json", "IT_g_web", "Source", "Customize", "motd", "cached", "Downloading", "using TCG",
            "web-v", "/r/image.vhd", ARM_ID, "1.0.3", "1.5 GiB on disk, 4.0 GiB virtual",
            "Succeeded in 3 min 05 s, logs in /home/x/runs/r1",
        ):  # fmt: skip
            assert fact in text, fact

    def test_markup_of_outsiders_is_text(self, bus, face):
        text = face(bus, good_run())
        assert "[red]out[/red]" in text
        assert "install [red]nginx[/red]" in text
        assert "vnetConfig [b]is[/b] not used" in text

    def test_controls_of_the_guest_do_nothing(self, bus, face):
        text = face(bus, good_run())
        assert "\x1b[2J" not in text
        assert "\x1b[3A" not in text
        assert "apt: 100%" in text
        assert "apt: 5%" not in text

    def test_a_secret_is_never_shown(self, bus, face):
        text = face(bus, good_run())
        assert SECRET not in text
        assert "[red]out[/red] ****" in text

    def test_a_failure_says_where_why_and_what_to_do(self, bus, face):
        text = face(bus, failed_run())
        for fact in (
            "error: It failed with exit code 100.",
            'Customize step 1 "install"',
            "apt: 100%",
            "/home/x/runs/r2/failure",
            "hint: Look [at] the script.",
            "Failed in 5.0 s",
        ):
            assert fact in text, fact

    def test_a_second_run_starts_afresh(self, bus, face):
        text = face(bus, [*failed_run(), *good_run()])
        assert text.count("It failed with exit code 100.") == 1


def test_plain_lines_carry_time_and_no_escapes(bus):
    lines = plain(bus, good_run()).splitlines()
    assert all(re.match(r"\d\d:\d\d:\d\d( |$)", line) for line in lines)
    assert not any("\x1b" in line for line in lines)


def test_plain_flushes_every_line(bus):
    class Counting(io.StringIO):
        unflushed = 0
        worst = 0

        def write(self, text):
            self.unflushed += text.count("\n")
            self.worst = max(self.worst, self.unflushed)
            return super().write(text)

        def flush(self):
            self.unflushed = 0

    out = Counting()
    with PlainSink(out) as sink:
        bus.add_sink(sink)
        for event in good_run():
            bus.emit(event)
    assert (out.worst, out.unflushed) == (1, 0)


def test_plain_keeps_quiet_about_short_waits(bus):
    text = plain(bus, [WaitStarted(what="Blink"), WaitFinished(what="Blink", seconds=0.2)])
    assert "Blink" not in text


def test_plain_names_a_wait_that_does_not_end(bus, monkeypatch):
    monkeypatch.setattr("builder.ui.plain._ANNOUNCE_AFTER", 0.0)
    monkeypatch.setattr("builder.ui.plain.HEARTBEAT_SECONDS", 0.0)
    out = io.StringIO()
    sink = PlainSink(out)
    bus.add_sink(sink)
    bus.emit(WaitStarted(what="Booting"))
    sink._beat()
    bus.emit(WaitProgress(what="Booting", done=3, total=7))
    sink._beat()
    assert "Booting ..." in out.getvalue()
    assert "so far, 3 of 7 (42 %)" in out.getvalue()


def test_terminal_gives_the_cursor_back_on_ctrl_c(bus):
    out = io.StringIO()
    console = Console(file=out, width=80, height=24, force_terminal=True)
    with pytest.raises(KeyboardInterrupt), TerminalSink(out, console) as sink:
        bus.add_sink(sink)
        bus.emit(WaitStarted(what="Booting"))
        raise KeyboardInterrupt
    text = out.getvalue()
    assert CURSOR_HIDDEN in text
    assert text.rindex(CURSOR_SHOWN) > text.rindex(CURSOR_HIDDEN)


def test_terminal_shows_spinner_bar_and_time_of_a_long_wait(bus, monkeypatch):
    monkeypatch.setattr("builder.ui.terminal.SHOW_WAIT_AFTER", 0.0)
    out = io.StringIO()
    console = Console(file=out, width=100, height=24, force_terminal=True, color_system=None)
    with TerminalSink(out, console) as sink:
        bus.add_sink(sink)
        bus.emit(WaitStarted(what="Downloading"))
        bus.emit(WaitProgress(what="Downloading", done=1 << 20, total=4 << 20, unit="bytes"))
        sink._beat()
    assert re.search(r"Downloading  \S+  1\.0 MiB of 4\.0 MiB \(25 %\)  0 s", out.getvalue())


def test_terminal_hides_short_waits(bus):
    out = io.StringIO()
    console = Console(file=out, width=100, height=24, force_terminal=True, color_system=None)
    with TerminalSink(out, console) as sink:
        bus.add_sink(sink)
        bus.emit(WaitStarted(what="Blink"))
        sink._beat()
        bus.emit(WaitFinished(what="Blink", seconds=0.1))
    assert "Blink" not in out.getvalue()


@pytest.mark.parametrize(("width", "end"), [(20, "1 min"), (40, "1 min 15 s")])
def test_terminal_fits_a_narrow_window(bus, width, end):
    text = terminal(bus, good_run(), width=width)
    # Paths, ids and the lines to copy are left to the terminal; what moves must never wrap.
    out = io.StringIO()
    console = Console(file=out, width=width, height=24, force_terminal=True, color_system=None)
    sink = TerminalSink(out, console)
    line = sink._moving("A very long name of something that takes long", 75)
    assert line.cell_len < width
    assert end in line.plain
    assert "Succeeded" in text


def test_terminal_does_not_drown_in_output(bus):
    events = [StepStarted(stage="Customize", index=1, total=1, name="n", type="Shell")]
    events += [
        StepOutput(stage="Customize", index=1, stream="stdout", line=f"line {n}") for n in range(20_000)
    ]
    start = time.process_time()
    text = terminal(bus, events)
    assert time.process_time() - start < 5  # seconds, of this process
    assert "line 19999" in text
    assert re.search(r"\d+ lines not shown, the log has them", text)


def test_no_color(bus, monkeypatch):
    monkeypatch.setenv("NO_COLOR", "1")
    text = terminal(bus, failed_run(), colour="truecolor")
    assert not re.search(r"\x1b\[[0-9;]*3[0-9](;|m)", text)


def test_colour_otherwise(bus, monkeypatch):
    monkeypatch.delenv("NO_COLOR", raising=False)
    assert re.search(r"\x1b\[[0-9;]*31m", terminal(bus, failed_run(), colour="standard"))


@pytest.mark.parametrize(("face", "summary"), [(terminal, "Result"), (plain, "== Summary")])
def test_the_id_of_what_was_made_stands_once_at_the_end_and_whole(bus, face, summary):
    one = {"stage": "Distribute", "index": 1, "name": "web-v"}
    made = {"run_output": "web-v", "type": "SharedImage", "path": "/r/image.vhd", "id": ARM_ID}
    events = [
        StageStarted(stage="Distribute"),
        StepStarted(**one, total=1, type="SharedImage"),
        StepFinished(**one, outcome="succeeded", seconds=1, detail=ARM_ID),
        ArtifactProduced(**made),
        StageFinished(stage="Distribute", outcome="succeeded", seconds=1),
        RunFinished(run_id="r", state="Succeeded", seconds=1, exit_code=0),
    ]
    closing = face(bus, events).partition(summary)[2]
    assert closing.count(ARM_ID) == 1
    assert closing.count("/subscriptions/") == 1


def test_a_run_without_steps_or_error_closes(bus):
    events = [
        RunStarted(run_id="r", template="t", workspace="w", log_dir=""),
        RunFinished(run_id="r", state="Canceled", seconds=1, exit_code=130),
    ]
    assert "Canceled in 1.0 s" in terminal(bus, events)


@pytest.mark.parametrize("ended_by", ["Ctrl-D", "Ctrl-C"])
def test_a_question_without_an_answer_ends_its_line_and_the_display_goes_on(
    bus, monkeypatch, capsys, ended_by
):
    from builder.errors import GoldsmithError
    from builder.redact import Redactor
    from builder.ui.ask import QUESTION, ask_on_error

    class Interrupted(io.StringIO):
        def readline(self, *_):
            raise KeyboardInterrupt

    out = io.StringIO()
    console = Console(file=out, width=100, height=24, force_terminal=True, color_system=None)
    with TerminalSink(out, console) as sink:
        bus.add_sink(sink)
        if ended_by == "Ctrl-D":
            monkeypatch.setattr("sys.stdin", io.StringIO())
            assert ask_on_error(GoldsmithError("It failed."), Redactor()) == "cleanup"
        else:
            monkeypatch.setattr("sys.stdin", Interrupted())
            with pytest.raises(KeyboardInterrupt):
                ask_on_error(GoldsmithError("It failed."), Redactor())
        assert capsys.readouterr().err.endswith(f"{QUESTION}\n")
        assert out.getvalue().rindex(CURSOR_HIDDEN) > out.getvalue().rindex(CURSOR_SHOWN)


def test_a_question_gets_a_still_screen(bus, monkeypatch, capsys):
    from builder.errors import GoldsmithError
    from builder.redact import Redactor
    from builder.ui.ask import ask_on_error

    out = io.StringIO()
    console = Console(file=out, width=100, height=24, force_terminal=True, color_system=None)
    error = GoldsmithError("It failed.", details=("because",))
    with TerminalSink(out, console) as sink:
        bus.add_sink(sink)
        bus.emit(StepStarted(stage="Customize", index=1, total=1, name="n", type="Shell"))
        monkeypatch.setattr("sys.stdin", io.StringIO("what\ns\nk\n"))
        assert ask_on_error(error, Redactor()) == "shell"
        before = out.getvalue()
        assert before.rindex(CURSOR_SHOWN) > before.rindex(CURSOR_HIDDEN)
        sink._beat()
        assert out.getvalue() == before, "the shell has the terminal"
        assert ask_on_error(error, Redactor()) == "keep"
        assert out.getvalue().rindex(CURSOR_HIDDEN) > out.getvalue().rindex(CURSOR_SHOWN)
    assert out.getvalue().rindex(CURSOR_SHOWN) > out.getvalue().rindex(CURSOR_HIDDEN)
    assert "It failed." in capsys.readouterr().err
