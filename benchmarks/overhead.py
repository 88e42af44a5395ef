"""What the engine costs beyond the guest's own work: per build, per further step, and by depth."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from cases import edited
from results import Result, Results, median
from tables import Block
from workloads import true_steps

OURS = "goldsmith"
BUILD_LIMIT, STEP_LIMIT = 1.5, 1.0
GROUP = 5
"""How many neighbouring steps are looked at together, so that one slow step does not decide."""


def blocks(results: Results, steps: int) -> list[Block]:
    """The section; empty blocks where nothing was measured."""
    one = results.of(OURS, true_steps(1).name)
    many = results.of(OURS, true_steps(steps).name)
    last = results.of(OURS, edited(true_steps(steps)))
    return [_overhead(one, many, steps), _depth(one, last, steps), _course(many, steps)]


def _overhead(one: Sequence[Result], many: Sequence[Result], steps: int) -> Block:
    rows = []
    if one and many:
        wall = _further(one, many, steps, lambda result: result.seconds)
        rows.append(["further step, wall clock with the guest's part", f"{wall:.2f}", "-", "-"])
    split = any(phase.where for result in one for phase in result.phases)
    if one and split:
        build = median(map(_beyond_guest, one)) or 0.0
        named = median(_engine(result) for result in one) or 0.0
        rows.append(
            ["build of one step, all that is not guest time", f"{build:.2f}", *_judged(build, BUILD_LIMIT)]
        )
        rows.append(["build of one step, phases of the engine", f"{named:.2f}", "-", "-"])
    if one and many and split:
        further = _further(one, many, steps, _beyond_guest)
        rows.append(
            ["further step, all that is not guest time", f"{further:.2f}", *_judged(further, STEP_LIMIT)]
        )
    remarks = [] if split or not rows else ["This version's run records have no phases: only wall clock."]
    heading = f"Engine overhead, from 1 and {steps} steps of `true` with the base known, median seconds"
    return Block(heading, ("what", "seconds", "target", "verdict"), rows, remarks)


def _depth(one: Sequence[Result], last: Sequence[Result], steps: int) -> Block:
    """Whether a step's layer costs more the more layers lie below it: both builds execute one step only."""
    measures: list[tuple[str, Callable[[Result, int], float]]] = [
        ("the engine's phases of the step", _engine_of_step),
        ("the build, all that is not guest time", lambda result, _: _beyond_guest(result)),
    ]
    rows = []
    for name, measure in measures if one and last else ():
        low = median(measure(result, 1) for result in one) or 0.0
        deep = median(measure(result, steps) for result in last) or 0.0
        rows.append([name, f"{low:.2f}", f"{deep:.2f}", f"{deep / low:.2f}" if low else "-"])
    columns = ("what", "alone, s", f"as the last of {steps}, s", "ratio")
    return Block(f"One step executed, on the base and on {steps - 1} layers of steps, medians", columns, rows)


def _course(many: Sequence[Result], steps: int) -> Block:
    """Whether the steps of a long build cost more as it goes on: layers below, and work beside it."""
    measures: list[tuple[str, Callable[[Result, int], float]]] = [
        ("a step and its layer, wall clock", lambda result, step: result.steps[step - 1])
    ]
    if any(_engine_of_step(result, 1) for result in many):
        measures.append(("the engine's phases of a step", _engine_of_step))
    whole = [result for result in many if len(result.steps) == steps]
    groups = [range(first, first + GROUP) for first in range(1, steps - GROUP + 2, GROUP)]
    rows = []
    for name, measure in measures if whole and len(groups) > 1 else ():
        found = [
            median(measure(result, step) for result in whole for step in group) or 0.0 for group in groups
        ]
        ratio = f"{found[-1] / found[0]:.2f}" if found[0] else "-"
        rows.append([name, *(f"{seconds:.2f}" for seconds in found), ratio])
    columns = ("what", *(f"steps {group[0]} to {group[-1]}, s" for group in groups), "last against first")
    return Block(f"The course of a build of {steps} steps, medians", columns, rows)


def _further(
    one: Sequence[Result], many: Sequence[Result], steps: int, measure: Callable[[Result], float]
) -> float:
    return ((median(map(measure, many)) or 0.0) - (median(map(measure, one)) or 0.0)) / (steps - 1)


def _beyond_guest(result: Result) -> float:
    """Wall clock without the guest's phases: what no phase names, such as start-up, is ours."""
    return result.seconds - sum(phase.seconds for phase in result.phases if phase.where == "guest")


def _engine(result: Result) -> float:
    return sum(phase.seconds for phase in result.phases if phase.where == "engine")


def _engine_of_step(result: Result, step: int) -> float:
    """Of customizer `step`; the other stages count theirs from 1, too."""
    own = (p for p in result.phases if p.where == "engine" and p.stage == "Customize")
    return sum(phase.seconds for phase in own if phase.index == step)


def _judged(value: float, limit: float) -> list[str]:
    return [f"<= {limit:.2f}", "met" if value <= limit else "MISSED"]
