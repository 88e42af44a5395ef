"""Where a run's time went: its phases, in order, and what the guest worked against what we did."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable
from dataclasses import dataclass, replace

from builder.events import Envelope, PhaseFinished, RunFinished, StageFinished, Where
from builder.owner import start_ticks

START_UP = "Start-up"
REST = "Rest"
# Shorter rests are the events themselves.
_LEAST_REST = 0.05
# An event is dated a moment after what it tells.
_SLACK = 0.005

_Span = tuple[float, float]
_begun: list[bool] = []


@dataclass(frozen=True, slots=True)
class Phase:
    """`stage` is empty for what belongs to none, `index` counts from 1 within its stage, 0 for none."""

    name: str
    seconds: float
    where: Where
    stage: str = ""
    index: int = 0


class PhaseTable:
    """Filled event by event. A stage in which no phase was told counts as one; what phases leave of a
    stage, or of the whole, is its `Rest`.
    """

    def __init__(self) -> None:
        self.phases: list[Phase] = []
        self.total = 0.0
        self._spans: list[_Span] = []
        self._before = 0.0

    def take(self, envelope: Envelope) -> None:
        """Remember one event."""
        event, now = envelope.event, envelope.elapsed
        if isinstance(event, PhaseFinished):
            self._phase(event, now)
        elif isinstance(event, StageFinished):
            self._stage(event, now)
        elif isinstance(event, RunFinished):
            self._add(Phase(REST, now - _covered(self._spans, (0.0, now)), "engine"), (0.0, now))
        self.total = self._before + now

    @property
    def guest(self) -> float:
        """Seconds spent waiting for the guest's own work."""
        return sum(phase.seconds for phase in self.phases if phase.where == "guest")

    @property
    def engine(self) -> float:
        """Seconds of all the rest: whatever the guest did not do is ours."""
        return max(0.0, self.total - self.guest)

    def _phase(self, event: PhaseFinished, now: float) -> None:
        phase = Phase(event.name, event.seconds, event.where, event.stage, event.index)
        if event.name == START_UP:
            self._before += event.seconds
            self.phases.append(phase)
            return
        span = (now - event.seconds, now)
        # Targets are served at the same time: one is not a part of the other because it was shorter.
        if event.stage != "Distribute":
            phase = replace(phase, seconds=max(0.0, round(event.seconds - _inside(self._spans, span), 3)))
        self.phases.append(phase)
        self._spans.append(span)

    def _stage(self, event: StageFinished, now: float) -> None:
        span = (now - event.seconds, now)
        covered = _covered(self._spans, span)
        if not any(phase.stage == event.stage for phase in self.phases) and covered < _LEAST_REST:
            self.phases.append(Phase(event.stage, event.seconds, "engine", event.stage))
            self._spans.append(span)
        else:
            self._add(Phase(REST, event.seconds - covered, "engine", event.stage), span)

    def _add(self, rest: Phase, span: _Span) -> None:
        if rest.seconds >= _LEAST_REST:
            self.phases.append(replace(rest, seconds=round(rest.seconds, 3)))
        self._spans.append(span)


def startup_seconds() -> float:
    """Seconds from the start of this process to now; 0.0 for the second build of a process and later."""
    if _begun:
        return 0.0
    _begun.append(True)
    ticks = start_ticks(os.getpid())
    if ticks is None:
        return 0.0
    return max(0.0, time.clock_gettime(time.CLOCK_BOOTTIME) - ticks / os.sysconf("SC_CLK_TCK"))


def _inside(spans: Iterable[_Span], outer: _Span) -> float:
    return _covered([span for span in spans if span[0] >= outer[0] - _SLACK], outer)


def _covered(spans: Iterable[_Span], window: _Span) -> float:
    """How much of `window` lies in any of `spans`."""
    total, end = 0.0, window[0]
    for first, last in sorted(spans):
        first, last = max(first, end), min(last, window[1])  # noqa: PLW2901 - cut to what is new
        if last > first:
            total += last - first
            end = last
    return total
