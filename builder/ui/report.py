"""A run as one HTML file that needs nothing else: `runs/<id>/report.html`."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from builder.cli.output import human_seconds, human_size
from builder.errors import NotFoundError
from builder.run_record import RunRecord, StageRecord, StepRecord
from builder.ui.failure import error_lines
from builder.ui.phases import COLUMNS, phase_rows
from builder.ui.tally import OUTCOME_WORDS
from builder.ui.text import clean

LOG_TAIL_LINES = 200
LAST_LINES = 20
# Bars thinner than this would not be seen.
_LEAST_PERCENT = 0.4


def write_report(run_dir: Path) -> Path:
    """Write `report.html` from `run.json` (and `events.jsonl`, logs, when there) and return its path.

    Raises NotFoundError when there is no run.json.
    """
    target = run_dir / "report.html"
    text = render_report(run_dir)
    draft = target.with_suffix(".html.new")
    draft.write_text(text, encoding="utf-8")
    draft.replace(target)
    return target


def render_report(run_dir: Path) -> str:
    """The report's HTML. Raises NotFoundError when there is no run.json."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    file = run_dir / "run.json"
    if not file.exists():
        raise NotFoundError(f"There is no run in {run_dir}.", hint="'build runs list' shows the runs.")
    record = RunRecord.model_validate_json(file.read_bytes())
    templates = Environment(
        loader=PackageLoader("builder.ui", "."), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
    templates.filters.update(clean=clean, seconds=human_seconds, size=human_size, moment=_moment)
    return templates.get_template("report.html.j2").render(
        run=record,
        stages=list(_timeline(record)),
        phase_columns=COLUMNS,
        phases=phase_rows(record.phases, record.guest_seconds, record.engine_seconds),
        error=error_of_run(record, run_dir),
        word=lambda outcome: OUTCOME_WORDS.get(outcome or "", outcome or "not finished"),
        logs=list(_logs(run_dir)),
        files=sorted(path.name for path in run_dir.iterdir() if path.is_file() and path.suffix != ".new"),
        folder=run_dir,
    )


def _timeline(record: RunRecord) -> Iterator[dict[str, Any]]:
    """Stages and steps with the place and width of their bars in percent of the whole run."""
    whole = max(record.seconds, 0.001)
    for stage in record.stages:
        begin = max(0.0, (stage.start_time - record.start_time).total_seconds())
        seconds = _seconds_of(stage, record)
        yield {"stage": stage, "seconds": seconds, **_bar(begin, seconds, whole), "steps": []}
        after = begin
        for step in stage.steps:
            yield {"step": step, "seconds": step.seconds, **_bar(after, step.seconds, whole)}
            after += step.seconds


def _seconds_of(stage: StageRecord, record: RunRecord) -> float:
    if stage.outcome is None and record.end_time is not None:
        return max(0.0, (record.end_time - stage.start_time).total_seconds())
    return stage.seconds


def _bar(begin: float, seconds: float, whole: float) -> dict[str, float]:
    width = min(100.0, max(_LEAST_PERCENT, 100 * seconds / whole))
    return {"left": round(min(100 * begin / whole, 100 - width), 2), "width": round(width, 2)}


def error_of_run(record: RunRecord, run_dir: Path) -> list[tuple[str, str]]:
    """The lines of `error_lines` for a run on disk, with the step that failed and its last output."""
    if record.error is None:
        return []
    data: dict[str, Any] = dict(record.error)
    found = _failed_step(record)
    if found is not None:
        stage, step = found
        data.setdefault("stage", stage.name)
        data.setdefault("step", step.index)
        data.setdefault("name", step.name)
        said = "\n".join(map(str, data.get("details") or ()))
        last = _last_output(run_dir / "events.jsonl", stage.name, step.index)
        if last and "tail" not in data and not any(line in said for line in last if line):
            data["tail"] = last
    return error_lines(data)


def _failed_step(record: RunRecord) -> tuple[StageRecord, StepRecord] | None:
    for stage in record.stages:
        for step in stage.steps:
            if step.outcome in ("failed", "timedout"):
                return stage, step
    return None


def _last_output(events: Path, stage: str, index: int) -> list[str]:
    lines: deque[str] = deque(maxlen=LAST_LINES)
    for event in _events(events):
        if event.get("kind") == "step.output" and (event.get("stage"), event.get("index")) == (stage, index):
            lines.append(str(event.get("line", "")))
    return list(lines)


def _events(file: Path) -> Iterator[Mapping[str, Any]]:
    if not file.exists():
        return
    with file.open(encoding="utf-8", errors="replace") as stream:
        for line in stream:
            try:
                event = json.loads(line)
            except ValueError:  # the last line of a killed build
                continue
            if isinstance(event, dict):
                yield event


def _logs(run_dir: Path) -> Iterator[tuple[str, list[str], bool]]:
    """(name, last lines, whether there is more) of every log that has lines."""
    for name in ("customization.log", "validation.log", "serial.log"):
        file = run_dir / name
        if not file.exists():
            continue
        tail: deque[str] = deque(maxlen=LOG_TAIL_LINES)
        count = 0
        with file.open(encoding="utf-8", errors="replace", newline="\n") as stream:
            for line in stream:
                tail.append(clean(line.rstrip("\r\n")))
                count += 1
        if tail:
            yield name, list(tail), count > len(tail)


def _moment(value: datetime | None) -> str:
    return f"{value:%Y-%m-%d %H:%M:%S} UTC" if value else ""
