from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest

from builder import deadline as module
from builder.deadline import Deadline
from builder.errors import BuildTimeoutError


class Clock:
    now = 100.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(module, "time", clock)
    return clock


def test_it_passes(clock: Clock) -> None:
    deadline = Deadline(60)
    clock.now += 50
    assert (deadline.remaining(), deadline.remaining(cap=3)) == (10, 3)
    clock.now += 10
    assert deadline.expired
    with pytest.raises(BuildTimeoutError, match="longer than 1 minutes"):
        deadline.remaining()


def test_a_pause_does_not_count(clock: Clock) -> None:
    deadline = Deadline(60)
    clock.now += 20
    with deadline.pause():
        clock.now += 500
        with deadline.pause():
            clock.now += 500
        assert deadline.remaining() == 40
        assert not deadline.expired
    assert deadline.remaining() == 40
    clock.now += 40
    assert deadline.expired


def test_a_pause_ends_with_an_error_too(clock: Clock) -> None:
    deadline = Deadline(60)
    with pytest.raises(KeyError), deadline.pause():
        clock.now += 30
        raise KeyError
    clock.now += 1
    assert deadline.remaining() == 59


def test_a_person_who_thinks_costs_nothing(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    from builder.stages import failure

    deadline = Deadline(60)

    def think(*_args: Any) -> str:
        clock.now += 3600
        return "retry"

    monkeypatch.setattr("builder.ui.ask.ask_on_error", think)
    context: Any = SimpleNamespace(deadline=deadline, services=SimpleNamespace(redactor=None))
    assert failure._ask(cast("Any", None), context, BuildTimeoutError("x")) == "retry"
    assert deadline.remaining() == 60
