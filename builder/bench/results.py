"""What a bench measured: medians and p95 of the wall time, and the medians of the phases."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from builder.events import Where

AFTER_THE_END = "After the end"


@dataclass(frozen=True, slots=True)
class MeasuredPhase:
    """A phase of one build, or the median of one over several; `label` as people see it."""

    label: str
    where: Where
    seconds: float


@dataclass(frozen=True, slots=True)
class Measured:
    """One build: `seconds` of wall time from the start of its process to the end."""

    case: str
    number: int
    seconds: float
    guest_seconds: float
    phases: tuple[MeasuredPhase, ...]

    @property
    def engine_seconds(self) -> float:
        """All that the guest did not take."""
        return self.seconds - self.guest_seconds


@dataclass(frozen=True, slots=True)
class CaseResult:
    """The builds of one case. `phases` are medians; a phase that a build did not have took no time there."""

    case: str
    builds: int
    median: float
    p95: float
    guest_median: float
    engine_median: float
    phases: tuple[MeasuredPhase, ...]


def summarized(runs: Sequence[Measured]) -> list[CaseResult]:
    """One result a case, in the order they were measured."""
    return [
        _summary(case, [run for run in runs if run.case == case])
        for case in dict.fromkeys(run.case for run in runs)
    ]


def p95(values: Sequence[float]) -> float:
    """The 95th percentile, interpolated between the two nearest values."""
    if len(values) < 2:
        return values[0]
    return statistics.quantiles(values, n=20, method="inclusive")[-1]


def _summary(case: str, runs: Sequence[Measured]) -> CaseResult:
    seconds = [run.seconds for run in runs]
    return CaseResult(
        case=case,
        builds=len(runs),
        median=round(statistics.median(seconds), 3),
        p95=round(p95(seconds), 3),
        guest_median=round(statistics.median(run.guest_seconds for run in runs), 3),
        engine_median=round(statistics.median(run.engine_seconds for run in runs), 3),
        phases=tuple(_phase_medians(runs)),
    )


def _phase_medians(runs: Sequence[Measured]) -> Iterable[MeasuredPhase]:
    sums = [_summed(run.phases) for run in runs]
    for label, where in dict.fromkeys(key for one in sums for key in one):
        values = [one.get((label, where), 0.0) for one in sums]
        yield MeasuredPhase(label, where, round(statistics.median(values), 3))


def _summed(phases: Iterable[MeasuredPhase]) -> dict[tuple[str, Where], float]:
    total: dict[tuple[str, Where], float] = {}
    for phase in phases:
        total[phase.label, phase.where] = total.get((phase.label, phase.where), 0.0) + phase.seconds
    return total
