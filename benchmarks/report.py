"""What the results say: medians, ratios and targets, and whatever makes them doubtful."""

from __future__ import annotations

from collections.abc import Iterable

import flatten
from cases import CASES, Case
from overhead import blocks as overhead_blocks
from results import Phase, Result, Results, median
from tables import Block

OURS, PACKER = "goldsmith", "packer"
MEMORY_LIMIT_MIB = 150


def blocks(results: Results, steps: int) -> list[Block]:
    """The whole report; sections without results are left out."""
    listed = [
        Block("Facts", ("what", "value"), list(results.facts.items()), words=2),
        _cases(results),
        _every(results),
        *(_where_time_goes(results, tool) for tool in (OURS, PACKER)),
        *overhead_blocks(results, steps),
        _memory(results),
        _flatten(results),
        _problems(results),
    ]
    return [block for block in listed if block.rows or block.remarks]


def _cases(results: Results) -> Block:
    rows = [_case(results, case) for case in CASES if results.of(OURS, case.name)]
    if not rows:
        rows = _packer_alone(results)
    columns = ("case", "goldsmith, s", "n", "packer, s", "n", "ratio", "target", "verdict")
    heading = "Goldsmith against packer: wall clock of the whole build to a fixed VHD, medians"
    return Block(heading, columns, rows)


def _case(results: Results, case: Case) -> list[str]:
    ours, theirs = results.median(OURS, case.name), results.median(PACKER, case.set.name)
    ratio = ours / theirs if ours is not None and theirs else None
    doubtful = any(
        result.doubts for result in results.of(OURS, case.name) + results.of(PACKER, case.set.name)
    )
    return [
        case.name,
        _seconds(ours),
        str(len(results.of(OURS, case.name))),
        _seconds(theirs),
        str(len(results.of(PACKER, case.set.name))),
        "-" if ratio is None else f"{ratio:.3f}",
        f"<= {case.target:.2f}",
        verdict(ratio, case.target, doubtful=doubtful),
    ]


def _packer_alone(results: Results) -> list[list[str]]:
    sets = dict.fromkeys(case.set.name for case in CASES)
    return [
        [name, "-", "0", _seconds(results.median(PACKER, name)), str(len(results.of(PACKER, name))), *"---"]
        for name in sets
        if results.of(PACKER, name)
    ]


def verdict(value: float | None, limit: float, *, doubtful: bool = False) -> str:
    """In words. A figure of a build that was not what its case claims meets nothing."""
    if value is None:
        return "-"
    if doubtful:
        return "not as claimed"
    return "met" if value <= limit else "MISSED"


def _every(results: Results) -> Block:
    rows = [
        [f"{tool}: {case}", " ".join(f"{result.seconds:.2f}" for result in listed)]
        for (tool, case), listed in _grouped(results.good()).items()
    ]
    return Block("Every time, in seconds, in the order of the rounds", ("build", "times"), rows, words=2)


def _where_time_goes(results: Results, tool: str) -> Block:
    named = {case.name for case in CASES} | {case.set.name for case in CASES}
    rows = [
        [case, name, where or "-", f"{value:.2f}"]
        for (who, case), listed in _grouped(results.good()).items()
        if who == tool and case in named
        for (name, where), value in _phases(listed).items()
    ]
    columns = ("build", "phase", "where", "seconds")
    return Block(f"Where {tool}'s time goes, median seconds", columns, rows, words=3)


def _phases(results: Iterable[Result]) -> dict[tuple[str, str], float]:
    """The median of each phase; one that a run did not have took no time there."""
    runs = [_summed(result.phases) for result in results]
    names = dict.fromkeys(key for run in runs for key in run)
    return {key: median(run.get(key, 0.0) for run in runs) or 0.0 for key in names}


def _summed(phases: Iterable[Phase]) -> dict[tuple[str, str], float]:
    total: dict[tuple[str, str], float] = {}
    for phase in phases:
        key = (phase.label, phase.where)
        total[key] = total.get(key, 0.0) + phase.seconds
    return total


def _memory(results: Results) -> Block:
    rows = []
    for (tool, case), listed in _grouped(results.good()).items():
        peak = max(result.peak_kib for result in listed) / 1024
        if tool == OURS and peak:
            rows.append([case, f"{peak:.0f}", f"<= {MEMORY_LIMIT_MIB}", verdict(peak, MEMORY_LIMIT_MIB)])
    heading = "Peak memory of our own process (VmHWM, without QEMU), largest of all rounds"
    return Block(heading, ("case", "MiB", "target", "verdict"), rows)


def _flatten(results: Results) -> Block:
    heading = "A fixed VHD from the same qcow2 chain: our flatten against qemu-img convert alone, medians"
    ours, theirs = (results.median(tool, flatten.CASE) for tool in (flatten.OURS, flatten.THEIRS))
    if ours is None or not theirs:
        return Block(heading)
    ratio = ours / theirs
    count = len(results.of(flatten.OURS, flatten.CASE))
    row = ["flatten", f"{ours:.3f}", f"{theirs:.3f}", f"{ratio:.2f}", "<= 1.00", verdict(ratio, 1.0)]
    columns = ("what", "goldsmith, s", "qemu-img, s", "ratio", "target", "verdict")
    return Block(heading, columns, [row], [f"{count} in turn; every time is listed above"])


def _problems(results: Results) -> Block:
    remarks = [
        f"{result.tool}, {result.case}, round {result.round}: {what}"
        for result in results.items
        for what in ([f"failed: {result.error}"] if result.error else result.doubts)
    ]
    return Block("Failed, or not what the case claims", remarks=remarks)


def _grouped(results: Iterable[Result]) -> dict[tuple[str, str], list[Result]]:
    groups: dict[tuple[str, str], list[Result]] = {}
    for result in results:
        groups.setdefault((result.tool, result.case), []).append(result)
    return groups


def _seconds(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"
