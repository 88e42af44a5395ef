"""A signal is never lost, never swallowed, and waits where work must be done whole."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import suppress

import pytest

from builder.cancellation import (
    SIGNALS,
    Interrupted,
    _State,
    as_program,
    cancel_on_signals,
    deferred,
    shielded,
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
