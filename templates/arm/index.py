"""Finds a resource of the file by what expressions and `dependsOn` call it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from templates.arm.known import DEPLOYMENT_TYPE, GROUP_TYPE
from templates.arm.syntax import ExpressionError

if TYPE_CHECKING:
    from templates.arm.deployment import Deployment
    from templates.arm.entries import Entry

_PROVIDERS = "/providers/"


class Index:
    """The resources of one deployment by name. `is_complete`: every one of them could be named."""

    def __init__(self, entries: list[Entry]) -> None:
        self.is_complete = True
        self._exact: dict[str, list[Entry]] = {}
        self._names: dict[str, list[Entry]] = {}
        self._ids: dict[str, Entry] = {}
        for entry in entries:
            for key in _symbols(entry):
                self._exact.setdefault(key.casefold(), []).append(entry)
            try:
                self._add_names(entry)
            except ExpressionError:
                self.is_complete = False

    def _add_names(self, entry: Entry) -> None:
        names = entry.names
        for name in dict.fromkeys(("/".join(names), names[-1])):
            self._names.setdefault(name.casefold(), []).append(entry)
        folded = entry.id.casefold()
        self._ids.setdefault(folded, entry)
        if entry.type == GROUP_TYPE:  # subscriptionResourceId() makes this of it
            subscription = entry.place.scope.subscription_path
            self._ids.setdefault(f"{subscription}/providers/{entry.type}/{names[-1]}".casefold(), entry)
        self._exact.setdefault(folded, []).append(entry)
        tail = tail_of(folded)
        if tail != folded:
            self._exact.setdefault(tail, []).append(entry)

    def by_id(self, arm_id: str) -> Entry | None:
        """The resource with exactly this id (lower case)."""
        return self._ids.get(arm_id)

    def find(self, called: str) -> list[Entry]:
        """The resources meant by a symbolic name, a loop's name, an id or part of it, or a name alone."""
        folded = called.casefold()
        return self._exact.get(folded) or self._exact.get(tail_of(folded)) or self._names.get(folded) or []

    def known(self) -> list[str]:
        """What there is, for a hint."""
        return [*self._names, *self._exact]


def tail_of(arm_id: str) -> str:
    """The `type/name` of an id without what says where it is: `dependsOn` may leave that out."""
    _, found, tail = arm_id.rpartition(_PROVIDERS)
    if not found and "/resourcegroups/" in arm_id:
        return "microsoft.resources/resourcegroups/" + arm_id.rpartition("/")[2]
    return tail if found else arm_id


def index_of(home: Deployment) -> Index:
    """The index of one deployment; made anew as long as it is not complete. Raises ExpressionError."""
    if home.index is None or not home.index.is_complete:
        with home.shared.memo.trial():
            home.index = Index(home.entries)
    return home.index


def find_by_id(home: Deployment, arm_id: str) -> Entry | None:
    """The resource with this id, in this deployment or anywhere in the file. Raises ExpressionError."""
    folded, looked = arm_id.casefold().rstrip("/"), set()
    near: Deployment | None = home
    while near is not None:
        looked.add(near)
        found = index_of(near).by_id(folded)
        if found is not None:
            return found
        near = near.parent
    for other in _all(home.root):
        if other not in looked:
            found = index_of(other).by_id(folded)
            if found is not None:
                return found
    return None


def _all(home: Deployment) -> Iterator[Deployment]:
    """A deployment and those nested in it that can be computed."""
    yield home
    for entry in home.entries:
        if entry.type == DEPLOYMENT_TYPE and not entry.is_existing:
            try:
                with home.shared.memo.trial():
                    nested = entry.nested
            except ExpressionError:
                continue
            yield from _all(nested)


def _symbols(entry: Entry) -> list[str]:
    result = [entry.symbol] if entry.symbol else []
    if entry.loop is not None:
        result.append(entry.loop.name)
        if entry.symbol:
            result.append(f"{entry.symbol}[{entry.loop.index}]")
    return list(dict.fromkeys(result))
