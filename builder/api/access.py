"""`build access` and `build gallery audit` for programs."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from builder.api.verbs import Verbs
from builder.registry.access import ROOT, parse_role
from builder.registry.caller import Principal

if TYPE_CHECKING:
    from builder.registry.access import Assignment, Verdict
    from builder.registry.records import AuditRecord


class Access(Verbs):
    """Roles at scopes: `/`, or the ARM id of a resource group, gallery, definition, version or image. Who is
    said as on the command line: `user:alice`, `group:devs`, `sp:ci` (docs/access.md).
    """

    def grant(self, role: str, who: str, scope: str = ROOT) -> Assignment:
        """Give a role. Raises UsageError, NotFoundError for a scope that is not there."""
        return self._registry.assign_role(scope, parse_role(role), Principal.parse(who))

    def revoke(self, role: str | None, who: str, scope: str = ROOT) -> tuple[Assignment, ...]:
        """Take a role (None: every one). Raises NotFoundError, ConflictError for the last Owner of `/`."""
        known = None if role is None else parse_role(role)
        return tuple(self._registry.remove_role(scope, known, Principal.parse(who)))

    def list(self, scope: str = ROOT, *, inherited: bool = False) -> list[Assignment]:
        """Who has which role at a scope and beneath it."""
        return self._registry.list_roles(scope, inherited=inherited)

    def check(self, who: str, action: str, scope: str) -> Verdict:
        """Whether somebody may do `action` (as Azure names it), and why."""
        return self._registry.check_access(Principal.parse(who), action, scope)

    def audit(
        self,
        scope: str | None = None,
        *,
        since: datetime | None = None,
        denied: bool = False,
        limit: int | None = None,
    ) -> tuple[AuditRecord, ...]:
        """What happened, and what was refused, the newest first."""
        return tuple(self._registry.list_audit(scope, since=since, denied=denied, limit=limit))
