"""Who has which role where: given, taken, listed, checked."""

from __future__ import annotations

from sqlalchemy import delete, select

from builder.errors import ConflictError, NotFoundError
from builder.registry.access import ROOT, Assignment, Role, Verdict, chain, decide, is_below, short
from builder.registry.caller import Caller, Principal
from builder.registry.guard import Guard, Need, ask, assignment_row, at_scope, everywhere, load, scope_of
from builder.registry.part import Part
from builder.registry.schema import DefinitionRow, GalleryRow, ImageRow, RoleAssignmentRow, VersionRow
from builder.registry.watch import WatchedSession
from templates.arm_id import ResourceIdError

_TABLES = (GalleryRow, DefinitionRow, VersionRow, ImageRow)


class Roles(Part):
    """The registry's part for role assignments."""

    def assign_role(self, scope: str, role: Role, principal: Principal) -> Assignment:
        """Give a role; one that is there already is returned as it is. Raises NotFoundError for a scope
        that names nothing, ResourceIdError for one that is none.
        """
        scope = _checked(scope)
        with self._db.write() as session:
            _require(session, scope)
            for one in load(session, at_scope(scope)):
                if one.scope_key == scope.casefold() and (one.principal, one.role) == (principal, role):
                    return one
            session.add(assignment_row(principal, role, scope, str(self.caller)))
            session.changes.append(f"{role} to {principal} on {scope}")
            session.flush()
            return next(
                one
                for one in load(session, at_scope(scope))
                if one.scope_key == scope.casefold() and (one.principal, one.role) == (principal, role)
            )

    def remove_role(
        self, scope: str, role: Role | None, principal: Principal, *, below: bool = False
    ) -> list[Assignment]:
        """Take a role (None: every role) from somebody; with `below` also what they have beneath the scope.
        What was taken; raises NotFoundError when that is nothing, ConflictError for the last Owner of "/".
        """
        scope = _checked(scope)
        with self._db.write() as session:
            found = [
                one
                for one in load(session, everywhere())
                if one.principal == principal
                and (role is None or one.role == role)
                and (is_below(one.scope, scope) if below else one.scope_key == scope.casefold())
            ]
            if not found:
                raise NotFoundError(
                    f"{principal} has no role {role or ''}{' ' if role else ''}on {short(scope)} itself.",
                    hint=f"See 'build access list {short(scope)} --inherited'.",
                )
            gone = {one.id for one in found}
            session.execute(delete(RoleAssignmentRow).where(RoleAssignmentRow.id.in_(gone)))
            _keep_an_owner(session, had=any(one.scope == ROOT and one.role == "Owner" for one in found))
            session.changes.extend(f"{one.role} from {one.principal} on {one.scope}" for one in found)
            return found

    def list_roles(self, scope: str = ROOT, *, inherited: bool = False) -> list[Assignment]:
        """Assignments at the scope and beneath it; with `inherited` also those that hold there from above."""
        scope = _checked(scope)
        with self._db.read() as session:
            return [
                one
                for one in load(session, everywhere())
                if is_below(one.scope, scope) or (inherited and one.scope_key in chain(scope))
            ]

    def check_access(self, principal: Principal, action: str, scope: str) -> Verdict:
        """Whether somebody may do something, and why. Asks in the caller's own name for themselves; for
        another one the caller has to be allowed to read assignments. Raises AuthorizationError.
        """
        scope = _checked(scope)
        who = self.caller if principal == self.caller.principal else self._other(principal)
        if who is not self.caller:
            self.require_access("Microsoft.Authorization/roleAssignments/read", scope)
        with self._db.read() as session:
            found = load(session, everywhere() if action.endswith("/read") else at_scope(scope))
            if not any(one.role == "Owner" and one.scope == ROOT for one in load(session, at_scope(ROOT))):
                return Verdict(allowed=True, why="the registry has no Owner yet: who writes to it first is")
            return decide(found, who, action, scope)

    def locate_gallery(self, name: str) -> str:
        """The id of the gallery called `name`. Raises NotFoundError."""
        with self._db.read() as session:
            query = select(GalleryRow.id).where(GalleryRow.name_key == name.casefold())
            found = session.scalar(query)
            if found is None:
                raise NotFoundError(f"There is no gallery '{name}'.", hint="See 'build gallery list'.")
            return found

    def is_known(self, principal: Principal) -> bool:
        """Whether this machine, or the database, knows somebody of that name. Of service principals
        there is no list.
        """
        return principal.kind == "ServicePrincipal" or self._db.knows(principal)

    def require_access(self, action: str, scope: str) -> None:
        """Raise AuthorizationError, and record it, unless the caller may do `action` over `scope`."""
        need = Need(action if action.startswith("Microsoft.") else f"Microsoft.Compute/{action}")
        ask(self, Guard(need, self.caller, scope, what="require_access"), self._open)

    def _open(self) -> None:
        with self._db.read():
            pass

    def _other(self, principal: Principal) -> Caller:
        user = principal.kind == "User"
        return Caller(
            principal.kind,
            principal.name,
            find_groups=lambda: self._db.groups_of(principal.name) if user else (),
            owns_store=user and self._db.owns(principal.name),
        )


def _checked(scope: str) -> str:
    found, exactly = scope_of(scope)
    if not exactly or (found == ROOT and scope != ROOT):
        raise ResourceIdError(
            f"'{scope}' is nothing a role can be given on.",
            hint="/ for everything, a resource group, gallery, definition, version or managed image.",
        )
    return found


def _require(session: WatchedSession, scope: str) -> None:
    key = scope.casefold()
    if "/providers/" in key and not any(session.get(table, key) for table in _TABLES):
        raise NotFoundError(f"There is no '{scope}' to give a role on.", hint="See 'build gallery list'.")


def _keep_an_owner(session: WatchedSession, *, had: bool) -> None:
    left = [one for one in load(session, at_scope(ROOT)) if one.role == "Owner"]
    if had and not left:
        raise ConflictError(
            "The last Owner of '/' cannot be removed.",
            hint="Make somebody else Owner first: build access grant Owner --to user:NAME --on /",
        )
