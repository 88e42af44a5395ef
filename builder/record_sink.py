"""Turns the event stream into `run.json`, `events.jsonl` and AIB's two logs."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import asdict
from datetime import datetime
from typing import IO, TYPE_CHECKING, Any

from builder import events
from builder.phase_table import PhaseTable
from builder.run_record import SUB_STATE_OF_STAGE, PhaseRecord, RunOutput, StageRecord, StepRecord
from builder.ui.failure import one_line

if TYPE_CHECKING:
    from builder.runs import RunDirectory

# Progress is for eyes; a file needs one line a second of it.
_PROGRESS_SECONDS = 1.0


class RecordSink:
    """A sink of the event bus, and a context manager that closes its files.

    Events arrive scrubbed, so nothing secret reaches these files. A disk that fills up does not
    add a second error to the build's own: writing stops and `problem` says why.
    """

    def __init__(self, run: RunDirectory) -> None:
        self._run = run
        self._record = run.record
        self._files: dict[str, IO[str]] = {}
        self._stack = ExitStack()
        self._stage = ""
        self._phases = PhaseTable()
        self._last_progress = -_PROGRESS_SECONDS
        self.problem: OSError | None = None
        self._handlers: dict[str, Callable[[Any, datetime], None]] = {
            events.RunStarted.kind: self._run_started,
            events.StageStarted.kind: self._stage_started,
            events.StageFinished.kind: self._stage_finished,
            events.StepStarted.kind: self._step_started,
            events.StepOutput.kind: self._step_output,
            events.StepFinished.kind: self._step_finished,
            events.Note.kind: self._note,
            events.ArtifactProduced.kind: self._artifact,
            events.RunFinished.kind: self._run_finished,
        }

    def __enter__(self) -> RecordSink:
        return self

    def __exit__(self, *exc: object) -> None:
        try:
            if not self._record.finished:
                self._record.interrupt()
                self._run.save()
        except OSError as error:
            self.problem = self.problem or error
        finally:
            self._stack.close()

    def __call__(self, envelope: events.Envelope) -> None:
        """Record one event."""
        if self.problem is not None:
            return
        try:
            self._append(envelope)
            self._count(envelope)
            handler = self._handlers.get(envelope.event.kind)
            if handler is not None:
                handler(envelope.event, envelope.at)
        except OSError as error:
            self.problem = error

    def _append(self, envelope: events.Envelope) -> None:
        if isinstance(envelope.event, events.WaitProgress):
            if envelope.elapsed - self._last_progress < _PROGRESS_SECONDS:
                return
            self._last_progress = envelope.elapsed
        self._write("events.jsonl", json.dumps(envelope.to_json(), ensure_ascii=False))

    def _count(self, envelope: events.Envelope) -> None:
        """On disk with the next record: a phase of its own is not worth an fsync."""
        table, known = self._phases, len(self._phases.phases)
        table.take(envelope)
        new = table.phases[known:]
        if new:
            self._record.phases += [PhaseRecord.model_validate(asdict(phase)) for phase in new]
        if new or isinstance(envelope.event, events.RunFinished):
            self._record.guest_seconds = round(table.guest, 3)
            self._record.engine_seconds = round(table.engine, 3)

    def _run_started(self, event: events.RunStarted, _at: datetime) -> None:
        self._record.workspace = event.workspace
        self._run.save()

    def _stage_started(self, event: events.StageStarted, at: datetime) -> None:
        self._stage = event.stage
        self._record.run_sub_state = SUB_STATE_OF_STAGE.get(event.stage, self._record.run_sub_state)
        self._record.stages.append(StageRecord(name=event.stage, start_time=at))
        self._run.save()

    def _stage_finished(self, event: events.StageFinished, _at: datetime) -> None:
        stage = self._record.stage(event.stage)
        if stage is not None:
            stage.outcome, stage.seconds = event.outcome, event.seconds
        self._stage = ""
        self._run.save()

    def _step_started(self, event: events.StepStarted, at: datetime) -> None:
        stage = self._record.stage(event.stage)
        if stage is None:
            stage = StageRecord(name=event.stage, start_time=at)
            self._record.stages.append(stage)
        stage.steps.append(StepRecord(index=event.index, name=event.name, type=event.type))
        self._run.save()
        self._log(at, event.stage, "OUT", f"(telemetry) Starting provisioner {_aib_type(event.type)}")
        self._log(at, event.stage, "OUT", f"==> {event.index} of {event.total}: {event.name}")

    def _step_output(self, event: events.StepOutput, at: datetime) -> None:
        self._log(at, event.stage, "ERR" if event.stream == "stderr" else "OUT", event.line)

    def _step_finished(self, event: events.StepFinished, at: datetime) -> None:
        step = self._step(event)
        step.outcome, step.seconds, step.detail = event.outcome, event.seconds, event.detail
        self._run.save()
        result = f"==> {event.name}: {event.outcome} after {event.seconds:.1f} s"
        self._log(at, event.stage, "OUT", f"{result} ({event.detail})" if event.detail else result)
        self._log(at, event.stage, "OUT", f"(telemetry) ending {_aib_type(step.type)}")

    def _step(self, event: events.StepFinished) -> StepRecord:
        stage = self._record.stage(event.stage)
        if stage is None:
            stage = StageRecord(name=event.stage, start_time=self._record.start_time)
            self._record.stages.append(stage)
        for step in reversed(stage.steps):
            if step.index == event.index:
                return step
        step = StepRecord(index=event.index, name=event.name)  # skipped or cached: it never started
        stage.steps.append(step)
        return step

    def _note(self, event: events.Note, at: datetime) -> None:
        if event.level == "warning":
            self._record.warnings.append(event.message)
        self._log(at, self._stage, "OUT", f"{event.level}: {event.message}")

    def _artifact(self, event: events.ArtifactProduced, at: datetime) -> None:
        self._record.run_outputs.append(
            RunOutput(
                name=event.run_output,
                type=event.type,
                path=event.path,
                artifact_id=event.id,
                artifact_uri=event.uri,
                version=event.version,
                size=event.size,
                size_on_disk=event.size_on_disk,
                data_disks=list(event.data_disks),
            )
        )
        self._run.save()
        self._log(
            at,
            "Distribute",
            "OUT",
            f"==> {event.run_output}: {event.type} {event.id or event.uri or event.path}",
        )

    def _run_finished(self, event: events.RunFinished, at: datetime) -> None:
        record = self._record
        record.run_state, record.exit_code, record.error, record.end_time = (
            event.state,
            event.exit_code,
            event.error,
            at,
        )
        record.message = "" if event.error is None else one_line(event.error)
        if event.state == "Succeeded":
            record.run_sub_state = ""
        self._run.save()
        for line in _last_words(event.error):
            self._log(at, "", "ERR", line)
        self._log(at, "", "OUT", "(telemetry) Finalizing.")

    def _log(self, at: datetime, stage: str, stream: str, text: str) -> None:
        """One line as AIB's log has it (`[<operation id>] PACKER OUT ...`), with the time in front."""
        name = "validation.log" if stage == "Validate" else "customization.log"
        stamp = at.strftime("%Y-%m-%dT%H:%M:%S.") + f"{at.microsecond // 1000:03d}Z"
        for line in text.splitlines() or [""]:
            self._write(name, f"{stamp} [{self._record.run_id}] PACKER {stream} {line}")

    def _write(self, name: str, line: str) -> None:
        file = self._files.get(name)
        if file is None:
            # Line by line to the kernel: a SIGKILL of ours loses nothing, `runs logs --follow` sees it.
            opened = (self._run.path / name).open("a", encoding="utf-8", buffering=1, errors="replace")
            file = self._files[name] = self._stack.enter_context(opened)
        file.write(line + "\n")


def _aib_type(kind: str) -> str:
    """AIB writes shell, powershell, file, windows-restart."""
    return {"WindowsRestart": "windows-restart", "x-LinuxRestart": "linux-restart"}.get(kind, kind.lower())


def _last_words(error: Mapping[str, Any] | None) -> list[str]:
    """The error for the log, which has the output of steps already."""
    from builder.ui.failure import error_lines

    if error is None:
        return []
    prefixes = {"error": "", "hint": "hint: "}
    lines = error_lines({**error, "details": (), "tail": ()})
    return [prefixes.get(kind, "  ") + text for kind, text in lines]
