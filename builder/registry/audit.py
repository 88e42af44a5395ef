"""Who did what, and who was not allowed to: written where it happens, read and forgotten here."""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import Select, delete, func, or_, select

from builder.registry.access import ROOT
from builder.registry.part import Part, now
from builder.registry.records import AuditRecord
from builder.registry.schema import AuditRow


class Audit(Part):
    """The registry's part for its audit."""

    def list_audit(
        self,
        scope: str | None = None,
        *,
        since: datetime | None = None,
        denied: bool = False,
        limit: int | None = None,
    ) -> list[AuditRecord]:
        """What happened at a scope and beneath it (None: wherever the caller may read it), the newest
        first: writes, and what was denied.
        """
        query: Select[AuditRow] = select(AuditRow).order_by(AuditRow.at.desc(), AuditRow.id.desc())
        if scope is not None and scope != ROOT:
            key = scope.casefold()
            beneath = AuditRow.scope_key.startswith(f"{key}/", autoescape=True)
            query = query.where(or_(AuditRow.scope_key == key, beneath))
        if since is not None:
            query = query.where(AuditRow.at >= since)
        if denied:
            query = query.where(AuditRow.outcome == "Denied")
        with self._db.read() as session:
            return [_record(row) for row in session.scalars(query.limit(limit))]

    def prune_audit(self, days: float, *, dry_run: bool = False) -> int:
        """Forget (with `dry_run`: only count) what is older; how many lines that were."""
        older = AuditRow.at < now() - timedelta(days=days)
        with self._db.read() as session:
            count = session.scalar(select(func.count()).select_from(AuditRow).where(older)) or 0
        if count and not dry_run:
            with self._db.write() as session:
                session.execute(delete(AuditRow).where(older))
        return count


def _record(row: AuditRow) -> AuditRecord:
    return AuditRecord(
        at=row.at,
        caller=row.caller,
        action=row.action,
        scope=row.scope,
        outcome=row.outcome,
        details=row.details,
    )
