"""A signal is never lost, never swallowed, and waits where work must be done whole."""

from __future__ import annotations

import os
import signal

import pytest

from builder.cancellation import Interrupted, cancel_on_signals, deferred, shielded
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
