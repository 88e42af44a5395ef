"""One call of the registry: its caller's roles, looked up in the same transaction as what it does."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, TypeVar, cast

from sqlalchemy import Select, and_, bindparam, or_, select

from builder.registry.access import (
    ASSIGNMENT,
    ROOT,
    Assignment,
    Role,
    Verdict,
    chain,
    decide,
    denied,
    is_below,
)
from builder.registry.caller import Caller, Kind, Principal
from builder.registry.errors import AuthorizationError, RegistryError
from builder.registry.part import Part, now
from builder.registry.schema import AuditRow, GalleryRow, ImageRow, RoleAssignmentRow
from templates.arm_id import LATEST, ResourceId, ResourceIdError

if TYPE_CHECKING:
    from builder.registry.watch import WatchedSession

T = TypeVar("T")
_DETAILS = 2000
_OWNING = f"{ASSIGNMENT}/write"


@dataclass(frozen=True, slots=True)
class Need:
    """What a method demands of its caller. `kind` says over which scope:

    scope: that of the argument `arg` (default: the first), an ARM id or something that has one as `id`
    result: the same, or that of the record it returns when the argument names none (a name, `latest`)
    each: a list, of which a caller gets what they may see
    free: nothing, for the reason `why`; what it changes is audited when there is an `action`
    """

    action: str
    kind: Literal["scope", "result", "each", "free"] = "scope"
    arg: str = ""
    why: str = ""


class Guard:
    """What is known of one call. `scope` is what its argument names, when it does so `exactly`."""

    def __init__(self, need: Need, caller: Caller, given: object, *, what: str) -> None:
        self.need = need
        self.caller = caller
        self.scope, self.exactly = scope_of(given)
        self.denial: AuthorizationError | None = None
        self.partial = False
        self._asked = self.scope != ROOT
        name = given if isinstance(given, str) else getattr(given, "name", "")
        # What an id says already is said by the scope.
        self._what = what if self.exactly or not isinstance(name, str) else f"{what} {name}".rstrip()
        self._known: tuple[Assignment, ...] = ()

    def enter(self, session: WatchedSession, *, writes: bool) -> None:
        """Look up the roles and refuse what they do not permit. Raises AuthorizationError."""
        session.watch(self)
        if self.need.kind == "free":
            return
        self._known = deciding(session, self.caller, self.scope)
        unclaimed = not any(one.role == "Owner" and one.scope == ROOT for one in self._known)
        if unclaimed and writes:
            self._claim(session)
        elif unclaimed:
            return  # until somebody has written to it, it is nobody's
        verdict = decide(self._known, self.caller, self.need.action, self.scope)
        if verdict.allowed:
            return
        self._known += load(session, of_caller(self.caller)) + load(session, at_scope(self.scope))
        if self.need.kind == "each":
            self._enter_list()
        elif self.need.kind == "result" and not self.exactly:
            self.partial = True
        elif not self._allows(self.scope):
            raise self._refuse(self.scope)

    def leave(self, session: WatchedSession) -> None:
        """Note what was done, in the transaction that did it."""
        session.flush()
        if not session.touched or not self.need.action:
            return
        changed = "; ".join(session.changes)
        session.add(audit_row(self.caller, self.need.action, self.scope, "Allowed", self.told(changed)))

    def checked(self, result: T) -> T:
        """What of a result its caller may see. Raises AuthorizationError for one thing that they may not."""
        if not self.partial:
            return result
        if self.need.kind == "each":
            return cast("T", [one for one in cast("Iterable[Any]", result) if self._allows(_id_of(one))])
        found = _id_of(result)
        if not self._allows(found):
            raise self._refuse(found)
        return result

    def told(self, more: str) -> str:
        """The method, who called it from where, and what came of it."""
        origin = f" ({self.caller.origin})" if self.caller.origin else ""
        return f"{self._what}{origin}{': ' if more else ''}{more}"[:_DETAILS]

    def make_owner(self, session: WatchedSession, scope: str) -> None:
        """Who makes something owns it: by an assignment, unless they are Owner anyway."""
        if decide(self._known, self.caller, _OWNING, scope).allowed:
            return
        session.add(assignment_row(self.caller.principal, "Owner", scope, str(self.caller)))

    def _enter_list(self) -> None:
        self.partial = True
        beneath = any(
            is_below(one.scope, self.scope) and self.caller.is_meant(one.principal) for one in self._known
        )
        if self._asked and not beneath:
            raise self._refuse(self.scope)

    def _allows(self, scope: str) -> bool:
        return self.verdict(self.need.action, scope).allowed

    def verdict(self, action: str, scope: str) -> Verdict:
        """By what is known."""
        return decide(self._known, self.caller, action, scope)

    def _refuse(self, scope: str) -> AuthorizationError:
        self.denial = denied(self.caller, self.need.action, scope, self._known)
        self.scope = scope
        return self.denial

    def _claim(self, session: WatchedSession) -> None:
        """A registry without an Owner gets its first: who comes first to a new one; whom the file belongs
        to, of one that is older than roles.
        """
        used = any(session.execute(select(table.key).limit(1)).first() for table in (GalleryRow, ImageRow))
        first = (self.caller.landlord if used else None) or self.caller.principal
        session.add(assignment_row(first, "Owner", ROOT, str(self.caller)))
        session.flush()
        self._known = deciding(session, self.caller, self.scope)


def ask(registry: Part, guard: Guard, act: Callable[[], T]) -> T:
    """`act()` in the name of the caller; a refusal is recorded, though what was begun is undone."""
    database = registry._db
    try:
        with database.under(guard):
            return act()
    except AuthorizationError as error:
        if error is guard.denial:
            row = audit_row(guard.caller, guard.need.action, guard.scope, "Denied", guard.told(""))
            # Of who may not even write to the file there is no record; the refusal matters more.
            with suppress(RegistryError), database.write() as session:
                session.add(row)
        raise


def load(
    session: WatchedSession, rows: Select[*tuple[Any, ...]], values: dict[str, Any] | None = None
) -> tuple[Assignment, ...]:
    """Assignments as the pure rules take them."""
    return tuple(
        Assignment(
            id=row.id,
            scope=row.scope,
            principal=Principal(cast("Kind", row.principal_type), row.principal),
            role=cast("Role", row.role),
            created_at=row.created_at,
            created_by=row.created_by,
        )
        for row in session.execute(rows, values)
    )


_COLUMNS = (
    RoleAssignmentRow.id,
    RoleAssignmentRow.scope,
    RoleAssignmentRow.principal_type,
    RoleAssignmentRow.principal,
    RoleAssignmentRow.role,
    RoleAssignmentRow.created_at,
    RoleAssignmentRow.created_by,
)


# Made once: this is asked in every call.
_DECIDING = select(*_COLUMNS).where(
    RoleAssignmentRow.scope_key.in_(bindparam("keys", expanding=True)),
    or_(
        RoleAssignmentRow.principal_type == "Group",
        and_(
            RoleAssignmentRow.principal_type == bindparam("kind"),
            RoleAssignmentRow.principal_key == bindparam("name"),
        ),
        # Whether there is one at all.
        and_(RoleAssignmentRow.scope_key == ROOT, RoleAssignmentRow.role == "Owner"),
    ),
)


def deciding(session: WatchedSession, who: Caller, scope: str) -> tuple[Assignment, ...]:
    """What at a scope and above may be the caller's, and who owns everything."""
    return load(session, _DECIDING, {"keys": chain(scope), "kind": who.kind, "name": who.name})


def at_scope(scope: str) -> Select[*tuple[Any, ...]]:
    """What holds at a scope: assignments there and above."""
    return select(*_COLUMNS).where(RoleAssignmentRow.scope_key.in_(chain(scope)))


def of_caller(caller: Caller) -> Select[*tuple[Any, ...]]:
    """What somebody has anywhere."""
    names = {caller.name, *caller.groups}
    return select(*_COLUMNS).where(RoleAssignmentRow.principal_key.in_(sorted(names)))


def everywhere() -> Select[*tuple[Any, ...]]:
    """All assignments, by scope."""
    return select(*_COLUMNS).order_by(RoleAssignmentRow.scope_key, RoleAssignmentRow.principal_key)


def assignment_row(principal: Principal, role: Role, scope: str, by: str) -> RoleAssignmentRow:
    """A new assignment."""
    return RoleAssignmentRow(
        id=str(uuid.uuid4()),
        scope=scope,
        scope_key=scope.casefold(),
        principal_type=principal.kind,
        principal=principal.name,
        principal_key=principal.name,
        role=role,
        created_at=now(),
        created_by=by,
    )


def audit_row(caller: Caller, action: str, scope: str, outcome: str, details: str) -> AuditRow:
    """A new line of the audit."""
    return AuditRow(
        at=now(),
        caller=str(caller),
        action=action,
        scope=scope,
        scope_key=scope.casefold(),
        outcome=outcome,
        details=details,
    )


def scope_of(given: object) -> tuple[str, bool]:
    """The scope that an argument names, and whether it does so exactly. What cannot be read means
    everything: then only who may do it everywhere gets as far as the error it deserves.
    """
    text = given if isinstance(given, str) else getattr(given, "id", None)
    if not isinstance(text, str) or not text.startswith("/"):
        return ROOT, False
    if text == ROOT or _is_container(text):
        return text, True
    try:
        resource = ResourceId.parse(text)
    except ResourceIdError:
        return ROOT, True
    return str(resource), resource.name.casefold() != LATEST


def _is_container(text: str) -> bool:
    parts = text.casefold().split("/")[1:]
    words = ("subscriptions", "resourcegroups")
    return len(parts) in (2, 4) and all(parts) and tuple(parts[::2]) == words[: len(parts) // 2]


def _id_of(record: object) -> str:
    found = getattr(record, "scope", None) or getattr(record, "id", None)
    return found if isinstance(found, str) else ROOT
