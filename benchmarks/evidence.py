"""What a build says about itself: its events, and the phases of its run record."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from results import Phase

_REST = "start-up and rest"


@dataclass
class Evidence:
    """`ran`: customizers that were executed, not restored. `notes`: what the build chose and said."""

    stages: dict[str, float] = field(default_factory=dict)
    ran: list[int] = field(default_factory=list)
    starts: list[float] = field(default_factory=list)
    customized: float = 0.0
    notes: list[str] = field(default_factory=list)
    phases: tuple[Phase, ...] = ()

    @property
    def steps(self) -> tuple[float, ...]:
        """Seconds from the start of each customizer to the next one's, so that what is written between
        two steps counts, on whichever side of `step.finished` it happens.
        """
        ends = [*self.starts[1:], self.customized] if self.starts else []
        return tuple(end - start for start, end in zip(self.starts, ends, strict=True))


def read(events: Path, total: float) -> Evidence:
    """Read the events of one build that took `total` seconds."""
    found = Evidence()
    log_dir = ""
    for line in events.read_text().splitlines():
        event = json.loads(line)
        _take(found, event)
        log_dir = event.get("logDir", log_dir)
    recorded = _recorded(Path(log_dir) / "run.json") if log_dir else ()
    by_stage = tuple(Phase(name, seconds) for name, seconds in found.stages.items())
    found.phases = recorded or found.phases or by_stage
    spent = sum(phase.seconds for phase in found.phases)
    found.phases += (Phase(_REST, max(0.0, total - spent)),)
    return found


def _take(found: Evidence, event: dict[str, Any]) -> None:
    kind, stage = event["kind"], event.get("stage", "")
    if kind == "stage.started":
        found.stages.setdefault(stage, 0.0)
    elif kind == "stage.finished":
        found.stages[stage] = found.stages.get(stage, 0.0) + event["seconds"]
        if stage == "Customize":
            found.customized = event["elapsed"]
    elif kind == "step.started" and stage == "Customize":
        found.starts.append(event["elapsed"])
    elif kind == "step.finished" and stage == "Customize" and event["outcome"] == "succeeded":
        found.ran.append(event["index"])
    elif kind == "phase.finished":
        found.phases += (_phase(event),)
    elif kind == "note":
        found.notes.append(event["message"])


def _recorded(record: Path) -> tuple[Phase, ...]:
    """The phase table of the run record; empty when this version writes none."""
    if not record.is_file():
        return ()
    return tuple(map(_phase, json.loads(record.read_text()).get("phases") or []))


def _phase(item: Mapping[str, Any]) -> Phase:
    index, stage = int(item.get("index") or 0), item.get("stage") or ""
    return Phase(item["name"], float(item["seconds"]), item.get("where") or "", stage, index)
