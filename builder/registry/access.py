"""Azure's built-in roles: what each may do, and how an assignment is inherited downwards. Pure.

Sources: gallery.md ("Sharing") of the references; actions and the message of a denial as Azure Resource
Manager has them (AuthorizationFailed).
"""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, get_args

from builder.errors import UsageError
from builder.registry.caller import Caller, Principal
from builder.registry.errors import AuthorizationError

Role = Literal["Reader", "Contributor", "Owner"]
ROLES: tuple[Role, ...] = get_args(Role)
ROOT = "/"

GALLERY = "Microsoft.Compute/galleries"
DEFINITION = "Microsoft.Compute/galleries/images"
VERSION = "Microsoft.Compute/galleries/images/versions"
IMAGE = "Microsoft.Compute/images"
ASSIGNMENT = "Microsoft.Authorization/roleAssignments"
AUDIT_READ = "Microsoft.Insights/eventtypes/values/read"
# Who may see a version sees what it lies in: otherwise a version alone could not be shared.
_ON_THE_WAY = (f"{GALLERY}/read", f"{DEFINITION}/read")


@dataclass(frozen=True, slots=True)
class Assignment:
    """A role that somebody has at a scope and below it."""

    id: str
    scope: str
    principal: Principal
    role: Role
    created_at: datetime
    created_by: str

    @property
    def scope_key(self) -> str:
        """What scopes are compared by."""
        return self.scope.casefold()


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether somebody may do something, and why (or why not)."""

    allowed: bool
    why: str
    by: Assignment | None = None


def parse_role(text: str) -> Role:
    """A role's name, without case. Raises UsageError."""
    for role in ROLES:
        if role.casefold() == text.casefold():
            return role
    raise UsageError(f"There is no role '{text}'.", hint=f"One of {', '.join(ROLES)}.")


def permits(role: Role, action: str) -> bool:
    """What Azure's role definitions say: Reader reads, Contributor does everything but giving roles.

    >>> permits("Reader", "Microsoft.Compute/galleries/images/versions/read")
    True
    >>> permits("Contributor", "Microsoft.Authorization/roleAssignments/write")
    False
    """
    if role == "Owner" or action.endswith("/read"):
        return True
    return role == "Contributor" and not action.startswith("Microsoft.Authorization/")


def actions_at(scope: str) -> dict[str, str]:
    """What can be done at a scope: in words, and as Azure names it."""
    parts = scope.casefold().strip("/").split("/")
    types = parts[6::2]
    if types == ["images"]:
        found = {verb: f"{IMAGE}/{verb}" for verb in ("read", "write", "delete")}
    else:
        kind = (GALLERY, DEFINITION, VERSION)[max(len(types), 1) - 1]
        found = {verb: f"{kind}/{verb}" for verb in ("read", "write", "delete")}
        if kind != VERSION:
            found["publish versions"] = f"{VERSION}/write"
        if not types:
            found["write managed images"] = f"{IMAGE}/write"
    return {**found, "give roles": f"{ASSIGNMENT}/write"}


def least_role(action: str) -> Role:
    """The smallest role that permits `action`."""
    return next(role for role in ROLES if permits(role, action))


def chain(scope: str) -> tuple[str, ...]:
    """The keys of `scope` and of all it lies in, "/" first.

    >>> chain("/subscriptions/S/resourceGroups/g")
    ('/', '/subscriptions/s', '/subscriptions/s/resourcegroups/g')
    """
    parts = scope.casefold().strip("/").split("/")
    if parts == [""]:
        return (ROOT,)
    ends = [2, 4, *range(8, len(parts) + 1, 2)]
    return (ROOT, *("/" + "/".join(parts[:end]) for end in ends if end <= len(parts)))


def is_below(scope: str, other: str) -> bool:
    """Whether `scope` lies in `other`, or is it."""
    return other.casefold() in chain(scope)


def decide(assignments: Iterable[Assignment], who: Caller, action: str, scope: str) -> Verdict:
    """Whether `who` may do `action` over `scope`, by `assignments` (others' and elsewhere's do no harm)."""
    if who.owns_store:
        return _yes(f"the registry itself belongs to {who}: Owner of everything")
    keys = chain(scope)
    mine = [one for one in assignments if who.is_meant(one.principal)]
    for one in sorted(mine, key=lambda one: -len(one.scope)):
        if one.scope_key in keys and permits(one.role, action):
            return _yes(_told(one, who, scope), one)
    if action in _ON_THE_WAY:
        for one in mine:
            if is_below(one.scope, scope):
                return _yes(f"{_told(one, who, scope)}, which lies in it", one)
    held = ", ".join(_told(one, who, scope) for one in mine if one.scope_key in keys)
    why = f"{held}, which does not permit it" if held else f"{who} has no role there"
    return Verdict(allowed=False, why=why)


def denied(who: Caller, action: str, scope: str, assignments: Sequence[Assignment]) -> AuthorizationError:
    """Azure's words, and who could change it with which command."""
    keys = chain(scope)
    owners = sorted(
        {str(one.principal) for one in assignments if one.role == "Owner" and one.scope_key in keys}
    )
    asked = " or ".join(owners[:3]) if owners else "an Owner of it"
    command = f"build access grant {least_role(action)} --to {who.principal.typed} --on {typed(scope)}"
    return AuthorizationError(
        f"The client '{who.name}' with object id '{who.object_id or who.name}' does not have authorization "
        f"to perform action '{action}' over scope '{scope}' or the scope is invalid. If access was recently "
        "granted, please refresh your credentials.",
        hint=f"Ask {asked} for it: {command}",
    )


def short(scope: str) -> str:
    """A scope as it is typed: `gallery/definition/1.0.0`, or its ARM id.

    >>> short("/subscriptions/s/resourceGroups/g/providers/Microsoft.Compute/galleries/team/images/web")
    'team/web'
    """
    parts = scope.strip("/").split("/")
    if len(parts) >= 8 and parts[6].casefold() == "galleries":
        return "/".join(parts[7::2])
    return scope


def _yes(why: str, by: Assignment | None = None) -> Verdict:
    return Verdict(allowed=True, why=why, by=by)


def typed(scope: str) -> str:
    """`short`, as it is typed in a shell."""
    return shlex.quote(short(scope))


def _told(one: Assignment, who: Caller, scope: str) -> str:
    through = f" through {one.principal}" if one.principal.kind == "Group" else ""
    place = "" if one.scope_key == scope.casefold() else f" of {short(one.scope)}"
    return f"{who} is {one.role}{place}{through}"
