"""Who calls: a user, known by the operating system or by the database, or a service principal."""

from __future__ import annotations

import os
import shlex
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal, get_args

from builder.errors import UsageError

Kind = Literal["User", "Group", "ServicePrincipal"]
_SHORT = {"user": "User", "group": "Group", "sp": "ServicePrincipal"}
_FORM = "Write user:alice, group:devs or sp:ci."


@dataclass(frozen=True, slots=True)
class Principal:
    """Whom a role is given to. Names are compared as they are: Linux and PostgreSQL tell cases apart."""

    kind: Kind
    name: str

    @classmethod
    def parse(cls, text: str) -> Principal:
        """`user:alice`, `group:devs`, `sp:ci`; the kinds also in full. Raises UsageError.

        >>> Principal.parse("sp:ci")
        Principal(kind='ServicePrincipal', name='ci')
        """
        word, _, name = text.partition(":")
        kinds: dict[str, Kind] = {one.casefold(): one for one in get_args(Kind)}
        kind = kinds.get(_SHORT.get(word.casefold(), word).casefold())
        if kind is None or not name.strip():
            raise UsageError(f"'{text}' names nobody a role can be given to.", hint=_FORM)
        return cls(kind, name.strip())

    @property
    def typed(self) -> str:
        """As it is typed in a shell: a directory's groups may have spaces."""
        return shlex.quote(str(self))

    def __str__(self) -> str:
        short = next(word for word, kind in _SHORT.items() if kind == self.kind)
        return f"{short}:{self.name}"


@dataclass(frozen=True)
class Caller:
    """Somebody who uses the registry. `object_id` is what the operating system or the database calls
    them, `origin` who and where they are beside that, `owns_store` whether the registry's file or
    database is theirs: they could do anything to it without us. `landlord` is whose file it is.
    """

    kind: Kind
    name: str
    find_groups: Callable[[], Iterable[str]] = field(default=tuple, repr=False, compare=False)
    object_id: str = ""
    origin: str = ""
    owns_store: bool = False
    landlord: Principal | None = None

    @cached_property
    def groups(self) -> frozenset[str]:
        """The names of their groups. Looked up when an assignment asks: a directory may be slow."""
        return frozenset(self.find_groups())

    @property
    def principal(self) -> Principal:
        """What assignments are made to."""
        return Principal(self.kind, self.name)

    def is_meant(self, principal: Principal) -> bool:
        """Whether an assignment to `principal` holds for them."""
        if principal.kind == "Group":
            return principal.name in self.groups
        return principal == self.principal

    def __str__(self) -> str:
        return str(self.principal)


def claimed(setting: str) -> Principal:
    """The setting `caller`. Only a service principal can be claimed. Raises UsageError."""
    principal = Principal.parse(setting)
    if principal.kind != "ServicePrincipal":
        raise UsageError(
            f"The setting caller names {setting}; only a service principal can be set.",
            hint="Write ServicePrincipal:ci, or leave it out: then you are who you are logged in as.",
        )
    return principal


def of_system(file_owner: int | None) -> Caller:
    """The user this process runs as. `file_owner` is the uid that owns the registry's file."""
    uid = os.getuid()
    return Caller(
        "User",
        user_name(uid),
        find_groups=lambda: map(_group_name, {os.getegid(), *os.getgroups()}),
        object_id=str(uid),
        origin=f"{user_name(uid)}@{os.uname().nodename}",
        owns_store=uid in (0, file_owner),
        landlord=None if file_owner is None else Principal("User", user_name(file_owner)),
    )


def user_name(uid: int) -> str:
    """A user's name; `#1234` for a number without one, as sudo writes it."""
    import pwd

    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"#{uid}"


def user_id(name: str) -> int | None:
    """The number of the user called `name`, None when this machine knows none."""
    import pwd

    if name.startswith("#") and name[1:].isdecimal():
        return int(name[1:])
    try:
        return pwd.getpwnam(name).pw_uid
    except KeyError:
        return None


def groups_of(name: str) -> list[str]:
    """The groups that this machine knows of the user called `name`."""
    import pwd

    try:
        first = pwd.getpwnam(name).pw_gid
    except KeyError:
        return []
    return [_group_name(gid) for gid in os.getgrouplist(name, first)]


def is_known(principal: Principal) -> bool:
    """Whether this machine knows a user or group of that name."""
    import grp

    if principal.kind == "User":
        return user_id(principal.name) is not None
    try:
        grp.getgrnam(principal.name)
    except KeyError:
        return False
    return True


def _group_name(gid: int) -> str:
    import grp

    try:
        return grp.getgrgid(gid).gr_name
    except KeyError:
        return f"#{gid}"
