"""Schedules: templates that are built by themselves, each by one process at a time."""

from __future__ import annotations

from datetime import datetime
from typing import Any, cast

from sqlalchemy import select
from sqlalchemy.orm import Session

from builder.errors import ConflictError, InUseError, NotFoundError
from builder.owner import current_owner
from builder.registry import holder
from builder.registry.part import Part
from builder.registry.schema import ScheduleRow
from builder.schedule.decision import Decision, decide, standing
from builder.schedule.record import Ended, Schedule
from builder.schedule.trigger import Trigger


class Schedules(Part):
    """The registry's part for schedules."""

    def add_schedule(self, schedule: Schedule) -> Schedule:
        """Record a new one. Raises ConflictError when there is one of that name."""
        with self._db.write() as session:
            if session.get(ScheduleRow, schedule.name.casefold()) is not None:
                raise ConflictError(
                    f"There is a schedule '{schedule.name}' already.",
                    hint=f"Choose another --name, or 'build schedule remove {schedule.name}' first.",
                )
            row = ScheduleRow(
                key=schedule.name.casefold(),
                name=schedule.name,
                template=schedule.template,
                arguments=dict(schedule.arguments),
                kind=schedule.trigger.kind,
                spec=schedule.trigger.spec,
                zone=schedule.trigger.zone,
                jitter=schedule.trigger.jitter,
                on_change=schedule.on_change,
                host=schedule.host,
                created_at=schedule.created_at,
                created_by=schedule.created_by,
                handled_at=schedule.handled_at,
                reason="",
                failures=0,
                run_id="",
                outcome="",
                message="",
                source=schedule.source,
                source_version=schedule.source_version,
                owner="",
            )
            session.add(row)
            return _schedule(row)

    def find_schedule(self, name: str) -> Schedule:
        """The schedule of that name, without case. Raises NotFoundError."""
        with self._db.read() as session:
            return _schedule(_require(session, name))

    def list_schedules(self, host: str | None = None) -> list[Schedule]:
        """All schedules, by name; those of one machine when `host` says so."""
        query = select(ScheduleRow).order_by(ScheduleRow.key)
        if host is not None:
            query = query.where(ScheduleRow.host == host)
        with self._db.read() as session:
            return [_schedule(row) for row in session.scalars(query)]

    def remove_schedule(self, name: str) -> Schedule:
        """Forget it. Raises NotFoundError, InUseError while it is being built."""
        with self._db.write() as session:
            row = _require(session, name)
            record = _schedule(row)
            if record.running:
                raise InUseError(
                    f"'{row.name}' is being built since {row.started_at:%Y-%m-%d %H:%M} UTC.",
                    hint="Wait for it, or 'build runs cancel latest' first.",
                )
            session.delete(row)
            return record

    def pause_schedule(self, name: str, now: datetime) -> Schedule:
        """It is not built until it is resumed; a build under way goes on. Raises NotFoundError."""
        with self._db.write() as session:
            row = _require(session, name)
            row.paused_at = row.paused_at or now
            return _schedule(row)

    def resume_schedule(self, name: str, now: datetime) -> Schedule:
        """Neither paused, nor deactivated, nor held back any more. What was due meanwhile is not caught up:
        it was not wanted. Raises NotFoundError.
        """
        with self._db.write() as session:
            row = _require(session, name)
            if row.paused_at is not None or row.deactivated_at is not None:
                row.handled_at = now
            row.paused_at = row.deactivated_at = row.not_before = None
            row.reason, row.failures = "", 0
            return _schedule(row)

    def claim_schedule(self, name: str, now: datetime) -> tuple[Schedule, Decision] | None:
        """Take it when it is due at `now`: this process is to build it, and the time it was due at is dealt
        with, whatever comes of it. None when it is not due, gone, or another process has it.
        """
        self._show_life()
        with self._db.write() as session:
            row = session.get(ScheduleRow, name.casefold())
            if row is None:
                return None
            decision = decide(_schedule(row), now)
            if decision.action != "due" or decision.due is None:
                return None
            _take(row, now)
            row.handled_at = decision.due
            return _schedule(row), decision

    def claim_schedule_now(self, name: str, now: datetime) -> Schedule:
        """Take it though it is not due. Raises NotFoundError, InUseError while another process has it, and
        ConflictError for one of another machine: its files are there, and that machine builds it by itself.
        """
        self._show_life()
        with self._db.write() as session:
            row = _require(session, name)
            if row.host != holder.this_host():
                raise ConflictError(
                    f"The schedule '{row.name}' belongs to another machine: its /etc/machine-id is "
                    f"{row.host or 'empty'}, this one's is {holder.this_host() or 'empty'}.",
                    details=(f"Its template is {row.template} there.",),
                    hint=f"Run it there. To move it here: 'build schedule remove {row.name}', then 'build "
                    f"schedule add' with a template of this machine; or build that once: 'build TEMPLATE'.",
                )
            if _schedule(row).running:
                raise InUseError(f"'{row.name}' is being built since {row.started_at:%Y-%m-%d %H:%M} UTC.")
            _take(row, now)
            return _schedule(row)

    def finish_schedule(self, name: str, ended: Ended, now: datetime, most: int) -> Schedule | None:
        """Give it back with how it ended; `most` failures in a row deactivate it. None when it is gone."""
        with self._db.write() as session:
            row = session.get(ScheduleRow, name.casefold())
            if row is None or row.owner != current_owner():
                return None
            stands = standing(_schedule(row), ended, now, most)
            row.failures, row.not_before = stands.failures, stands.not_before
            if stands.deactivated:
                row.deactivated_at, row.reason = now, stands.reason
            elif ended.outcome == "Succeeded":
                row.deactivated_at, row.reason = None, ""
            row.owner, row.ended_at = "", now
            row.outcome, row.message = ended.outcome, ended.message
            row.run_id = ended.run_id or row.run_id
            if ended.source:
                row.source, row.source_version = ended.source, ended.source_version
            return _schedule(row)

    def reactivate_schedule(self, name: str, run_id: str, now: datetime) -> Schedule:
        """A good manual build of the template came after it was deactivated. Raises NotFoundError."""
        with self._db.write() as session:
            row = _require(session, name)
            row.deactivated_at = row.not_before = None
            row.failures, row.run_id, row.outcome = 0, run_id, "Succeeded"
            row.reason, row.handled_at = "", now
            row.message = f"activated again by the build {run_id}"
            return _schedule(row)


def _take(row: ScheduleRow, now: datetime) -> None:
    row.owner, row.host = current_owner(), holder.this_host()
    row.started_at, row.ended_at = now, None


def _require(session: Session, name: str) -> ScheduleRow:
    row = session.get(ScheduleRow, name.casefold())
    if row is None:
        raise NotFoundError(f"There is no schedule '{name}'.", hint="See 'build schedule list'.")
    return row


def _schedule(row: ScheduleRow) -> Schedule:
    return Schedule(
        name=row.name,
        template=row.template,
        trigger=Trigger(cast("Any", row.kind), row.spec, row.zone, row.jitter),
        host=row.host,
        created_at=row.created_at,
        handled_at=row.handled_at,
        arguments=dict(row.arguments),
        on_change=row.on_change,
        created_by=row.created_by,
        paused_at=row.paused_at,
        deactivated_at=row.deactivated_at,
        reason=row.reason,
        failures=row.failures,
        not_before=row.not_before,
        run_id=row.run_id,
        started_at=row.started_at,
        ended_at=row.ended_at,
        outcome=row.outcome,
        message=row.message,
        source=row.source,
        source_version=row.source_version,
        running=bool(row.owner) and holder.lives(row.owner, row.host, row.started_at),
    )
