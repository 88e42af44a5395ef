"""A signal is never lost, never swallowed, and waits where work must be done whole."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from contextlib import suppress

import pytest

from builder.cancellation import (
    SIGNALS,
    Interrupted,
    _State,
    as_program,
    cancel_on_signals,
    checkpoint,
    deferred,
    shielded,
    signalled,
    stoppable,
)
from builder.events import EventBus, Note
from builder.redact import Redactor
from builder.ui.guarded import Guarded


def press_ctrl_c() -> None:
    os.kill(os.getpid(), signal.SIGINT)


def test_the_first_signal_raises_and_later_ones_are_ignored() -> None:
    with cancel_on_signals():
        with pytest.raises(Interrupted, match="SIGINT"):
            press_ctrl_c()
        press_ctrl_c()
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


@pytest.fixture
def late(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[int]]:
    """The signals that were not kept from those who come after `cancel_on_signals`."""
    arrived: list[int] = []
    monkeypatch.setattr(_State, "whole_process", False)
    before = {n: signal.signal(n, lambda number, _frame: arrived.append(number)) for n in SIGNALS}
    yield arrived
    for number, handler in before.items():
        signal.signal(number, handler)


def press_all() -> None:
    for number in SIGNALS:
        os.kill(os.getpid(), number)


def test_after_the_first_signal_of_a_program_none_changes_anything(late: list[int]) -> None:
    def main() -> int:
        with suppress(Interrupted), cancel_on_signals():
            press_ctrl_c()
        press_all()  # while it reports what it did
        return 130

    assert as_program(main) == 130
    press_all()  # while Python ends
    assert late == []
    assert {signal.getsignal(number) for number in SIGNALS} == {signal.SIG_IGN}


def test_a_program_that_goes_on_can_be_stopped_again(late: list[int]) -> None:
    def main() -> int:
        stopped = []
        for number in SIGNALS:
            with suppress(Interrupted), cancel_on_signals():
                os.kill(os.getpid(), number)
                stopped.append(0)
        return len(stopped)

    assert as_program(main) == 0


def test_without_a_signal_the_handlers_are_as_before_until_the_program_ends(late: list[int]) -> None:
    def main() -> int:
        with cancel_on_signals():
            pass
        press_all()
        return 4

    assert as_program(main) == 4
    assert sorted(late) == sorted(SIGNALS)
    press_all()
    assert sorted(late) == sorted(SIGNALS)


def test_who_calls_us_has_his_handlers_back_after_a_signal(late: list[int]) -> None:
    with suppress(Interrupted), cancel_on_signals():
        press_ctrl_c()
    press_all()
    assert sorted(late) == sorted(SIGNALS)


def test_a_first_ctrl_c_behind_the_last_frame_is_no_traceback(late: list[int]) -> None:
    signal.signal(signal.SIGINT, signal.default_int_handler)

    def main() -> int:
        press_ctrl_c()
        return 0

    assert as_program(main) == 130
    press_all()
    assert late == []


def test_what_nohup_ignores_stays_ignored(late: list[int]) -> None:
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    with cancel_on_signals():
        os.kill(os.getpid(), signal.SIGHUP)
        assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN


def test_code_that_survives_errors_does_not_survive_it() -> None:
    with cancel_on_signals(), pytest.raises(Interrupted):
        try:
            press_ctrl_c()
        except Exception:
            pytest.fail("swallowed")


def test_a_sink_that_is_called_does_not_swallow_it() -> None:
    class Sink:
        def __enter__(self) -> Sink:
            return self

        def __exit__(self, *exc: object) -> None:
            pass

        def __call__(self, envelope: object) -> None:
            press_ctrl_c()

    bus = EventBus(Redactor())
    with Guarded(Sink()) as guarded:
        bus.add_sink(guarded)
        with cancel_on_signals(), pytest.raises(Interrupted):
            bus.emit(Note(level="info", message="x"))


def test_a_deferred_section_is_done_whole() -> None:
    done = []
    with cancel_on_signals(), pytest.raises(Interrupted):
        with deferred():
            press_ctrl_c()
            with deferred():
                done.append("inner")
            done.append("all of it")
        pytest.fail("raised too late")
    assert done == ["inner", "all of it"]


def test_cleaning_up_is_not_cut_short() -> None:
    done = []
    with cancel_on_signals():
        with shielded():
            press_ctrl_c()
            done.append("cleaned")
        done.append("and no surprise later")
    assert done == ["cleaned", "and no surprise later"]


class Dying:
    """Does something while Python takes it away, where no exception can get out."""

    def __init__(self, last: Callable[[], None]) -> None:
        self.last = last

    def __del__(self) -> None:
        self.last()


def lose_in_del() -> None:
    Dying(press_ctrl_c)


def lose_in_weakref_callback() -> None:
    class Thing:
        pass

    thing = Thing()
    watched = weakref.ref(thing, lambda _: press_ctrl_c())
    del thing
    assert watched() is None


def lose_in_generator() -> None:
    def generator() -> Iterator[None]:
        try:
            yield
        finally:
            press_ctrl_c()

    next(generator())


def work() -> None:
    """Long enough that what is to interrupt it comes before its end."""
    time.sleep(20)
    pytest.fail("never interrupted")


@pytest.mark.parametrize("lose", [lose_in_del, lose_in_weakref_callback, lose_in_generator])
def test_what_python_swallows_comes_again(
    lose: Callable[[], None], capsys: pytest.CaptureFixture[str]
) -> None:
    hook, alarm = sys.unraisablehook, signal.getsignal(signal.SIGALRM)
    with cancel_on_signals(), pytest.raises(Interrupted, match="SIGINT"):
        lose()
        work()
    assert capsys.readouterr().err == ""
    assert (sys.unraisablehook, signal.getsignal(signal.SIGALRM)) == (hook, alarm)


def test_it_comes_until_somebody_gets_it() -> None:
    swallowed = []

    def last() -> None:
        try:
            if not swallowed:
                press_ctrl_c()
            time.sleep(20)
        except Interrupted:
            swallowed.append(1)
            raise

    with cancel_on_signals(), pytest.raises(Interrupted):
        for _ in range(3):
            Dying(last)
        work()
    assert len(swallowed) == 3


def test_a_lost_one_waits_for_a_section_that_is_done_whole() -> None:
    done = []
    with cancel_on_signals(), pytest.raises(Interrupted):
        lose_in_del()
        with deferred():
            time.sleep(0.05)
            done.append("whole")
        pytest.fail("raised too late")
    assert done == ["whole"]


def test_a_lost_one_is_raised_at_the_end_at_the_latest() -> None:
    with pytest.raises(Interrupted, match="SIGTERM"), cancel_on_signals():
        Dying(lambda: os.kill(os.getpid(), signal.SIGTERM))
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL


def test_an_alarm_of_others_is_set_again() -> None:
    rung = []
    before = signal.signal(signal.SIGALRM, lambda *_: rung.append(1))
    timer = signal.setitimer(signal.ITIMER_REAL, 0.1)
    try:
        with cancel_on_signals(), pytest.raises(Interrupted):
            lose_in_del()
            work()
        end = time.monotonic() + 10
        while not rung and time.monotonic() < end:
            time.sleep(0.01)
        assert rung == [1]
    finally:
        signal.signal(signal.SIGALRM, before)
        signal.setitimer(signal.ITIMER_REAL, *timer)


def test_what_else_is_lost_goes_to_the_hook_of_before(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[object] = []
    monkeypatch.setattr(sys, "unraisablehook", lambda unraisable: told.append(unraisable.exc_type))

    def last() -> None:
        raise ValueError

    with cancel_on_signals(), cancel_on_signals():
        Dying(last)
    assert told == [ValueError]


def test_a_thread_that_lost_it_stops_at_its_next_checkpoint() -> None:
    ended = []

    def run() -> None:
        stop = threading.Event()
        stop.set()
        with stoppable(stop):
            Dying(checkpoint)
            with suppress(Interrupted):
                checkpoint()
                ended.append("went on")
            ended.append("stopped")

    with cancel_on_signals():
        thread = threading.Thread(target=run)
        thread.start()
        thread.join(timeout=20)
    assert ended == ["stopped"]


def test_whether_a_signal_arrived_is_known_afterwards() -> None:
    with cancel_on_signals():
        assert not signalled()
        with suppress(Interrupted), cancel_on_signals():
            press_ctrl_c()
        with cancel_on_signals():
            assert signalled(), "an inner block does not forget it"
    assert signalled()
    with cancel_on_signals():
        assert not signalled()
        with shielded():
            press_ctrl_c()
        assert signalled(), "also one that changed nothing"
