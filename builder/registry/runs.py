"""Runs: what was built, by which process, how it went, and what came out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, cast

from sqlalchemy import select
from sqlalchemy.orm import Session

from builder.errors import ConflictError, NotFoundError
from builder.registry.owner import current_owner, is_alive, owner_pid
from builder.registry.part import Part, now
from builder.registry.records import OutputRecord, Reclaimed, RunRecord, RunState, StageTiming
from builder.registry.schema import OutputRow, RunRow, VersionRow

RUNNING = "Running"
DIED = "The process that ran this build ended without finishing it."


class Runs(Part):
    """The registry's part for runs."""

    def start_run(self, run_id: str, *, template: str, workspace: str, log_dir: Path) -> RunRecord:
        """Record that this process starts a run. Raises ConflictError when the id is taken."""
        with self._db.write() as session:
            if session.get(RunRow, run_id) is not None:
                raise ConflictError(f"There is a run {run_id} already.")
            row = RunRow(
                id=run_id,
                template=template,
                workspace=workspace,
                log_dir=self._stored(log_dir),
                state=RUNNING,
                sub_state="Queued",
                message="",
                owner=current_owner(),
                source="",
                started_at=now(),
                stages=[],
            )
            session.add(row)
            session.flush()
            return self._run(row)

    def update_run(
        self,
        run_id: str,
        *,
        sub_state: str | None = None,
        source: str | None = None,
        stage: StageTiming | None = None,
        output: OutputRecord | None = None,
    ) -> None:
        """Record progress: AIB's sub-state, the exact source, a finished stage, a run output."""
        with self._db.write() as session:
            row = _require(session, run_id)
            if sub_state is not None:
                row.sub_state = sub_state
            if source is not None:
                row.source = source
            if stage is not None:
                timing = {"stage": stage.stage, "outcome": stage.outcome, "seconds": stage.seconds}
                row.stages = [*row.stages, timing]
            if output is not None:
                row.outputs = [o for o in row.outputs if o.name != output.name]
                session.flush()
                row.outputs.append(self._output_row(output))

    def finish_run(
        self, run_id: str, state: RunState, *, message: str = "", outputs: Sequence[OutputRecord] = ()
    ) -> RunRecord:
        """Record how a run ended."""
        for output in outputs:
            self.update_run(run_id, output=output)
        with self._db.write() as session:
            row = _require(session, run_id)
            row.state, row.sub_state, row.message = state, "", message
            row.finished_at = now()
            return self._run(row)

    def find_run(self, run_id: str) -> RunRecord:
        """The run with that id, or the only one whose id starts so. Raises NotFoundError."""
        with self._db.read() as session:
            row = session.get(RunRow, run_id)
            if row is None:
                query = select(RunRow).where(RunRow.id.startswith(run_id, autoescape=True)).limit(2)
                close = list(session.scalars(query)) if run_id else []
                if len(close) != 1:
                    raise NotFoundError(f"There is no run '{run_id}'.", hint="See 'build runs list'.")
                row = close[0]
            return self._run(row)

    def list_runs(self, *, limit: int | None = None, state: RunState | None = None) -> list[RunRecord]:
        """The runs, the newest first."""
        query = select(RunRow).order_by(RunRow.started_at.desc(), RunRow.id.desc()).limit(limit)
        if state is not None:
            query = query.where(RunRow.state == state)
        with self._db.read() as session:
            return [self._run(row) for row in session.scalars(query)]

    def delete_run(self, run_id: str) -> None:
        """Forget a run; its logs are the caller's to remove."""
        with self._db.write() as session:
            session.delete(_require(session, run_id))

    def reclaim(self, dead: Callable[[RunRecord], bool] | None = None) -> Reclaimed:
        """Mark runs of dead processes as Failed and give their reserved versions back (for gc).

        `dead` decides about a run; by default its process is gone. A reservation goes with its run,
        and when its own process is gone.
        """
        decide = dead or _process_is_gone
        with self._db.write() as session:
            gone: list[str] = []
            for row in session.scalars(select(RunRow).where(RunRow.state == RUNNING)):
                if decide(self._run(row)):
                    row.state, row.message, row.finished_at = "Failed", DIED, now()
                    gone.append(row.id)
            versions: list[str] = []
            for version in session.scalars(select(VersionRow).where(VersionRow.state == "Creating")):
                if version.run_id in gone or not is_alive(version.owner):
                    versions.append(version.id)
                    session.delete(version)
            return Reclaimed(tuple(gone), tuple(versions))

    def _output_row(self, output: OutputRecord) -> OutputRow:
        return OutputRow(
            name=output.name,
            type=output.type,
            path=self._stored(output.path),
            artifact_id=output.artifact_id,
            version=output.version,
            size=output.size,
            size_on_disk=output.size_on_disk,
            tags=dict(output.tags),
        )

    def _run(self, row: RunRow) -> RunRecord:
        return RunRecord(
            id=row.id,
            template=row.template,
            workspace=row.workspace,
            log_dir=self._loaded(row.log_dir),
            state=cast("Any", row.state),
            sub_state=row.sub_state,
            message=row.message,
            owner=row.owner,
            pid=owner_pid(row.owner),
            source=row.source,
            started_at=row.started_at,
            finished_at=row.finished_at,
            stages=tuple(StageTiming(s["stage"], s["outcome"], s["seconds"]) for s in row.stages),
            outputs=tuple(self._output(output) for output in row.outputs),
        )

    def _output(self, row: OutputRow) -> OutputRecord:
        return OutputRecord(
            name=row.name,
            type=row.type,
            path=self._loaded(row.path),
            artifact_id=row.artifact_id,
            version=row.version,
            size=row.size,
            size_on_disk=row.size_on_disk,
            tags=dict(row.tags),
        )


def _process_is_gone(run: RunRecord) -> bool:
    return not is_alive(run.owner)


def _require(session: Session, run_id: str) -> RunRow:
    row = session.get(RunRow, run_id)
    if row is None:
        raise NotFoundError(f"There is no run '{run_id}'.", hint="See 'build runs list'.")
    return row
