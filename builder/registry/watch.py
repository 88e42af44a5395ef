"""What a session changes, noticed where it is written: nobody who adds a method has to think of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import delete, event, inspect, or_
from sqlalchemy.orm import ORMExecuteState, Session

from builder.registry.schema import (
    Base,
    DefinitionRow,
    GalleryRow,
    ImageRow,
    RoleAssignmentRow,
    VersionRow,
)

if TYPE_CHECKING:
    from builder.registry.guard import Guard

_RESOURCES = (GalleryRow, DefinitionRow, VersionRow, ImageRow)
_GUARD, _CHANGES, _TOUCHED = "goldsmith_guard", "goldsmith_changes", "goldsmith_touched"


class WatchedSession(Session):
    """A session of the registry. What is made in it belongs to the caller; assignments on what is
    deleted go with it; `changes` says what happened.
    """

    @property
    def guard(self) -> Guard | None:
        """The call under way."""
        found: Guard | None = self.info.get(_GUARD)
        return found

    def watch(self, guard: Guard) -> None:
        """Work for this call from now on."""
        self.info[_GUARD] = guard

    @property
    def touched(self) -> bool:
        """Whether anything was written."""
        return bool(self.info.get(_TOUCHED))

    @property
    def changes(self) -> list[str]:
        """`created ID`, `changed ID`, `deleted ID`, each once."""
        found: list[str] = self.info.setdefault(_CHANGES, [])
        return found

    def note(self, verb: str, row: Base) -> None:
        """Add to `changes`."""
        self.info[_TOUCHED] = True
        if isinstance(row, _RESOURCES):
            text = f"{verb} {row.id}"
            if text not in self.changes and f"created {row.id}" not in self.changes:
                self.changes.append(text)


@event.listens_for(WatchedSession, "transient_to_pending")
def _on_add(session: WatchedSession, row: Base) -> None:
    """At once: records are often made of a row before it is flushed."""
    if session.guard is not None and isinstance(row, _RESOURCES):
        row.created_by = row.created_by or str(session.guard.caller)


@event.listens_for(WatchedSession, "before_flush")
def _before_flush(session: WatchedSession, _context: Any, _instances: Any) -> None:  # noqa: ANN401
    guard = session.guard
    if guard is None:
        return
    for row in list(session.deleted):
        session.note("deleted", row)
        if isinstance(row, _RESOURCES):
            _forget_roles(session, row.key)
    for row in list(session.dirty):
        if session.is_modified(row):
            session.note("changed", row)
            if isinstance(row, VersionRow) and inspect(row).attrs.state.history.added == ["Succeeded"]:
                guard.make_owner(session, row.id)
    for row in list(session.new):
        session.note("created", row)
        # A number that is only reserved is nothing to own yet: a role that is taken meanwhile counts.
        if isinstance(row, _RESOURCES) and getattr(row, "state", "") != "Creating":
            guard.make_owner(session, row.id)


@event.listens_for(WatchedSession, "do_orm_execute")
def _on_execute(state: ORMExecuteState) -> None:
    if state.is_insert or state.is_update or state.is_delete:
        state.session.info[_TOUCHED] = True


def _forget_roles(session: Session, key: str) -> None:
    scope = RoleAssignmentRow.scope_key
    below = scope.startswith(f"{key}/", autoescape=True)
    session.execute(
        delete(RoleAssignmentRow).where(or_(scope == key, below)),
        execution_options={"synchronize_session": False},
    )
