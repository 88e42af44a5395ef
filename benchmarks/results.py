"""What was measured, one record a build, and the file that keeps it while the run goes on."""

from __future__ import annotations

import json
import statistics
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Phase:
    """A part of a build. `where`: engine or guest, empty when nobody said; `index` of a step, else 0."""

    name: str
    seconds: float
    where: str = ""
    stage: str = ""
    index: int = 0

    @property
    def label(self) -> str:
        """As a table names it."""
        place = f"{self.stage} {self.index}" if self.index else self.stage
        return f"{place}: {self.name}" if place and place != self.name else self.name


@dataclass(frozen=True)
class Result:
    """One timed run. `seconds` is wall clock around everything up to the finished VHD.

    `doubts`: in what it was not what its case claims. `error`: why there is no time. `steps`: seconds
    from the start of each step to the next one's. `peak_kib` is our own process without QEMU.
    """

    tool: str
    case: str
    round: int
    seconds: float = 0.0
    phases: tuple[Phase, ...] = ()
    vhd_bytes: int = 0
    peak_kib: int = 0
    steps: tuple[float, ...] = ()
    doubts: tuple[str, ...] = ()
    error: str = ""


@dataclass
class Results:
    """All results of a run, written to `file` after each, so that a crash costs one build."""

    facts: dict[str, str]
    file: Path | None = None
    items: list[Result] = field(default_factory=list)

    def add(self, result: Result) -> None:
        """Keep it."""
        self.items.append(result)
        self.save()

    def drop(self, tool: str, cases: Iterable[str], number: int) -> None:
        """Forget what a round measured of these cases: it is measured anew."""
        gone = set(cases)
        self.items = [r for r in self.items if (r.tool, r.round) != (tool, number) or r.case not in gone]

    def has(self, tool: str, cases: Iterable[str], number: int) -> bool:
        """Whether a round has a time for every one of these cases."""
        there = {r.case for r in self.good() if (r.tool, r.round) == (tool, number)}
        return set(cases) <= there

    def good(self) -> list[Result]:
        """Those with a time."""
        return [result for result in self.items if not result.error]

    def of(self, tool: str, case: str) -> list[Result]:
        """Those of one row and side, with a time."""
        return [result for result in self.good() if (result.tool, result.case) == (tool, case)]

    def median(self, tool: str, case: str) -> float | None:
        """Seconds; None when nothing was measured."""
        return median(result.seconds for result in self.of(tool, case))

    def save(self) -> None:
        """Write the raw numbers; the file is whole at every moment."""
        if self.file is None:
            return
        data = {"facts": self.facts, "results": [asdict(result) for result in self.items]}
        part = self.file.with_name(self.file.name + ".part")
        part.write_text(json.dumps(data, indent=2) + "\n")
        part.replace(self.file)

    def load(self, file: Path) -> None:
        """Go on from what an earlier run left. Its facts stay visible beside ours where they differ."""
        data = json.loads(file.read_text())
        self.items += [_result(item) for item in data["results"]]
        for key, value in data["facts"].items():
            if self.facts.get(key, value) != value:
                self.facts[f"{key} (earlier part)"] = value


def median(values: Iterable[float]) -> float | None:
    """The median; None of nothing."""
    listed = list(values)
    return statistics.median(listed) if listed else None


def _result(item: dict[str, Any]) -> Result:
    tuples = {key: tuple(value) for key, value in item.items() if isinstance(value, list)}
    return Result(**{**item, **tuples, "phases": tuple(Phase(**phase) for phase in item["phases"])})
