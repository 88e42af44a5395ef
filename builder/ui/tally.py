"""What a face remembers of a run to close it with: steps, artifacts, warnings, the failing output."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import Any

from builder.cli.output import human_seconds, human_size
from builder.events import (
    ArtifactProduced,
    Envelope,
    Note,
    RunFinished,
    RunStarted,
    StageFinished,
    StageStarted,
    StepFinished,
    StepOutput,
    StepStarted,
)
from builder.phase_table import PhaseTable
from builder.ui.failure import pick
from builder.ui.text import clean

LAST_LINES = 20

OUTCOME_WORDS = {"timedout": "timed out"}


@dataclass(slots=True)
class Row:
    """A line of the closing table: a stage (index 0) or one of its steps. `seconds` None: not ended."""

    stage: str
    index: int = 0
    total: int = 0
    name: str = ""
    type: str = ""
    outcome: str = ""
    seconds: float | None = None
    detail: str = ""

    @property
    def label(self) -> str:
        """How the row is called: "Customize", or "2/5 install nginx (Shell)"."""
        if not self.index:
            return self.stage
        number = f"{self.index}/{self.total}" if self.total else str(self.index)
        kind = f" ({self.type})" if self.type and self.type != self.name else ""
        return clean(f"{number} {self.name}{kind}")

    @property
    def time(self) -> str:
        """Its duration, as a person says it."""
        return "" if self.seconds is None else human_seconds(self.seconds)

    @property
    def result(self) -> str:
        """Its outcome in words."""
        return OUTCOME_WORDS.get(self.outcome, self.outcome)


@dataclass(slots=True)
class Tally:
    """Filled event by event with `take`; starts afresh at every RunStarted."""

    started: RunStarted | None = None
    finished: RunFinished | None = None
    rows: list[Row] = field(default_factory=list)
    artifacts: list[ArtifactProduced] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    phases: PhaseTable = field(default_factory=PhaseTable)
    last_lines: deque[str] = field(default_factory=lambda: deque(maxlen=LAST_LINES))

    def take(self, envelope: Envelope) -> None:
        """Remember one event."""
        event = envelope.event
        if self.finished is not None and isinstance(event, RunStarted):
            self.phases = PhaseTable()
        self.phases.take(envelope)
        match event:
            case RunStarted():
                self.started, self.finished = event, None
                for kept in (self.rows, self.artifacts, self.warnings, self.last_lines):
                    kept.clear()
            case StageStarted():
                self.rows.append(Row(event.stage))
            case StageFinished():
                self._end(self._row(event.stage, 0), event.outcome, event.seconds)
            case StepStarted():
                self.last_lines.clear()
                self._row(event.stage, event.index, event.name, event.type, event.total)
            case StepOutput():
                self.last_lines.append(clean(event.line))
            case StepFinished():
                row = self._row(event.stage, event.index, event.name)
                self._end(row, event.outcome, event.seconds, event.detail)
            case Note(level="warning"):
                self.warnings.append(event.message)
            case ArtifactProduced():
                self.artifacts.append(event)
            case RunFinished():
                self.finished = event

    def failure(self) -> dict[str, Any] | None:
        """The error of the run with what the tally knows besides: failing step and its last lines."""
        if self.finished is None or self.finished.error is None:
            return None
        data = dict(self.finished.error)
        failed = next((r for r in self.rows if r.index and r.outcome in ("failed", "timedout")), None)
        if failed is not None:
            data.setdefault("stage", failed.stage)
            data.setdefault("step", failed.index)
            data.setdefault("name", failed.name)
            said = "\n".join(map(str, data.get("details") or ()))
            told = pick(data, "tail", "lastLines", "last_lines") or any(
                x in said for x in self.last_lines if x
            )
            if self.last_lines and not told:
                data["tail"] = list(self.last_lines)
        return data

    def detail_of(self, row: Row) -> str:
        """What a table says of a row. The place or id of what a target made stands with the artifacts, on
        a line of its own: folded in a cell nobody can copy it.
        """
        made = {clean(text) for item in self.artifacts for text in (item.path, item.uri, item.id)}
        return "" if row.detail in made else row.detail

    def _row(self, stage: str, index: int, name: str = "", kind: str = "", total: int = 0) -> Row:
        for row in reversed(self.rows):
            if (row.stage, row.index) == (stage, index) and row.seconds is None:
                return row
        row = Row(stage, index, total, name, kind)
        # Steps of one stage stand together although stages may overlap.
        places = [n for n, other in enumerate(self.rows) if other.stage == stage]
        self.rows.insert(places[-1] + 1 if places else len(self.rows), row)
        return row

    @staticmethod
    def _end(row: Row, outcome: str, seconds: float, detail: str = "") -> None:
        row.outcome, row.seconds, row.detail = outcome, seconds, clean(detail)


def sizes(artifact: ArtifactProduced) -> str:
    """The sizes of an artifact: "1.2 GiB on disk, 4.0 GiB virtual, 2 data disks"; empty when it has none."""
    parts = []
    if artifact.size_on_disk:
        parts.append(f"{human_size(artifact.size_on_disk)} on disk")
    if artifact.size:
        parts.append(f"{human_size(artifact.size)} virtual")
    if artifact.data_disks:
        count = len(artifact.data_disks)
        parts.append(f"{count} data disk{'s' if count > 1 else ''}")
    return ", ".join(parts)


def closing_line(tally: Tally) -> str:
    """The last line: state, total time, where the logs are."""
    if tally.finished is None:
        return ""
    line = f"{tally.finished.state} in {human_seconds(tally.finished.seconds)}"
    return line + (f", logs in {tally.started.log_dir}" if tally.started and tally.started.log_dir else "")


def progress_text(done: int, total: int, unit: str) -> str:
    """How far a wait is: "120.0 MiB of 2.0 GiB (6 %)", "3 of 7", "12"."""
    show = human_size if unit == "bytes" else str
    if not total:
        return show(done)
    return f"{show(done)} of {show(total)} ({min(100, done * 100 // total)} %)"
