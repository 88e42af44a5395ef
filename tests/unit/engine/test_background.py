"""A thread that goes on counts as going on, also after a signal interrupted the waiting for it."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from types import FrameType

import pytest

from builder.background import Background

LIMIT = 60


class AlarmError(Exception):
    """The signal came."""


@pytest.fixture
def alarm() -> Iterator[None]:
    """What it does when it comes."""

    def ring(_number: int, _frame: FrameType | None) -> None:
        raise AlarmError

    before = signal.signal(signal.SIGALRM, ring)
    yield
    signal.setitimer(signal.ITIMER_REAL, 0)
    signal.signal(signal.SIGALRM, before)


@pytest.mark.usefixtures("alarm")
def test_an_interrupted_wait_is_no_end() -> None:
    free = threading.Event()
    background = Background(lambda: free.wait(LIMIT), "test")
    background.start()
    with pytest.raises(AlarmError):
        signal.setitimer(signal.ITIMER_REAL, 0.05)
        background.wait(LIMIT)
    assert not background.wait(0)
    free.set()
    assert background.wait(LIMIT)


def test_one_that_fails_has_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    told = threading.Event()
    monkeypatch.setattr("threading.excepthook", lambda _: told.set())

    def fail() -> None:
        raise ValueError

    background = Background(fail, "test")
    background.start()
    assert background.wait(LIMIT)
    assert told.wait(LIMIT)
