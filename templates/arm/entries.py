"""The resources of a deployment as declared: found, counted and named, nothing else computed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from templates.arm.copies import Loop, count_of
from templates.arm.failures import causes_of
from templates.arm.known import DEPLOYMENT_TYPE, GROUP_TYPE, canonical, matters
from templates.arm.scope import Place
from templates.arm.spelling import note_spelling, spell_resource
from templates.arm.syntax import ExpressionError, Json, kind_of
from templates.pointers import join

if TYPE_CHECKING:
    from templates.arm.deployment import Deployment
    from templates.arm.resolver import Resolver


class Entry:
    """One resource, in one turn of its copy loop. What it is called is computed when asked for.

    `type` is the full one, in the usual spelling; `symbol` its key in a template of symbolic names.
    """

    def __init__(
        self,
        home: Deployment,
        body: dict[str, Any],
        pointer: str,
        kind: str,
        resolver: Resolver,
        *,
        symbol: str = "",
        parent: Entry | None = None,
        loop: Loop | None = None,
    ) -> None:
        self.home = home
        self.body = body
        self.pointer = pointer
        self.type = kind
        self.resolver = resolver
        self.symbol = symbol
        self.parent = parent
        self.loop = loop

    @property
    def is_existing(self) -> bool:
        """Whether it only refers to something that is there already."""
        return self.body.get("existing") is True

    @property
    def names(self) -> tuple[str, ...]:
        """The names of its parents and its own. Raises ExpressionError."""
        found: tuple[str, ...] = self._once("names", self._names)
        return found

    @property
    def id(self) -> str:
        """Its full ARM id. Raises ExpressionError."""
        found: str = self._once("id", self._id)
        return found

    @property
    def place(self) -> Place:
        """Where it lands; of a deployment: where its resources land. Raises ExpressionError."""
        found: Place = self._once("place", self._place)
        return found

    @property
    def nested(self) -> Deployment:
        """The deployment that it is. Raises ExpressionError."""
        found: Deployment = self._once("nested", lambda: self.home.nested(self))
        return found

    @property
    def is_wanted(self) -> bool:
        """Whether its condition holds. Raises ExpressionError."""
        if "condition" not in self.body:
            return True
        condition = self.value("condition")
        if isinstance(condition, bool):
            return condition
        error = ExpressionError("WrongType", f"a condition must be a bool, not {kind_of(condition)}")
        error.pointer = join(self.pointer, "condition")
        raise error

    def value(self, key: str) -> Json:
        """One of its fields, computed. Raises ExpressionError."""
        at = join(self.pointer, key)
        return self._once(f"field {key}", lambda: self.resolver.compute(self.body.get(key), at))

    def _once(self, what: str, compute: Any) -> Any:  # noqa: ANN401 - the properties above know the type
        label = self.symbol or str(self.body.get("name"))
        return self.home.shared.memo.once((self, what), label, compute)

    def _names(self) -> tuple[str, ...]:
        name = self.value("name")
        names = tuple(name.split("/")) if isinstance(name, str) else ()
        depth = self.type.count("/")
        if len(names) < depth and self.parent is not None:
            names = (*self.parent.names, *names)
        if depth and len(names) == depth and all(names):
            return names
        form = "/".join(f"<{part}>" for part in self.type.split("/")[1:])
        error = ExpressionError(
            "BadName", f"'{name}' is not a name of a {self.type}", hint=f"the form is {form}"
        )
        if name is None:
            error = ExpressionError("MissingField", "the resource has no 'name'")
        elif not isinstance(name, str):
            error = ExpressionError("WrongType", f"a name must be a string, not {kind_of(name)}")
        error.pointer = join(self.pointer, "name")
        raise error

    def _id(self) -> str:
        if self.type == GROUP_TYPE:
            return f"{self.place.scope.subscription_path}/resourceGroups/{self.names[-1]}"
        provider, *types = self.type.split("/")
        pairs = "/".join(f"{kind}/{name}" for kind, name in zip(types, self.names, strict=True))
        return f"{self._base()}/providers/{provider}/{pairs}"

    def _base(self) -> str:
        scope = self.value("scope") if self.type != DEPLOYMENT_TYPE else None
        if not isinstance(scope, str):
            return self.place.path
        return scope.rstrip("/") if scope.startswith("/") else f"{self.place.path}/providers/{scope}"

    def _place(self) -> Place:
        place = self.home.place
        if self.parent is not None:
            return self.parent.place
        subscription, group = self.value("subscriptionId"), self.value("resourceGroup")
        if isinstance(subscription, str):
            place = Place(replace(place.scope, subscription_id=subscription), "subscription")
        if isinstance(group, str):
            return Place(replace(place.scope, resource_group=group), "group")
        scope = self.value("scope") if self.type == DEPLOYMENT_TYPE else None
        if scope == "/":
            return Place(place.scope, "tenant")
        if isinstance(scope, str) and "managementgroups" in scope.casefold():
            return Place(place.scope, "managementGroup")
        return place


def find_entries(home: Deployment) -> Iterator[Entry]:
    """All resources of a deployment, without those of deployments nested in it.

    What is no resource at all is reported. Raises ExpressionError when there are too many.
    """
    resources, pointer = home.body.get("resources"), join(home.pointer, "resources")
    yield from _many(home, resources, pointer, home.resolver, None)


def _many(
    home: Deployment, resources: Json, pointer: str, resolver: Resolver, parent: Entry | None
) -> Iterator[Entry]:
    # Bicep writes an object of symbolic names (languageVersion 2.0), people write a list.
    if isinstance(resources, dict):
        items: list[tuple[str | int, Json]] = list(resources.items())
    elif isinstance(resources, list):
        items = list(enumerate(resources))
    else:
        message = f"'resources' must be an array, not {kind_of(resources)}"
        home.shared.report.error("WrongType", message, pointer)
        return
    for key, item in items:
        at = join(pointer, key)
        if not isinstance(item, dict):
            home.shared.report.error("WrongType", f"a resource must be an object, not {kind_of(item)}", at)
            continue
        symbol = key if isinstance(key, str) else ""
        yield from _one(home, item, at, resolver, symbol=symbol, parent=parent)


def _one(
    home: Deployment,
    item: dict[str, Any],
    pointer: str,
    resolver: Resolver,
    *,
    symbol: str,
    parent: Entry | None,
) -> Iterator[Entry]:
    written, item = item, spell_resource(item, pointer, home.shared.report)
    kind = resolver.resolve(item.get("type"), join(pointer, "type"))
    if not isinstance(kind, str):
        home.shared.report.error("MissingField", "the resource has no 'type'", pointer)
        return
    if matters(item):
        note_spelling(written, pointer, home.shared.report)
    full = canonical(kind if "/" in kind or parent is None else f"{parent.type}/{kind}")
    for turn, loop in _turns(home, item, pointer, resolver):
        entry = Entry(home, item, pointer, full, turn, symbol=symbol, parent=parent, loop=loop)
        yield entry
        if "resources" in item and not entry.is_existing:
            yield from _many(home, item["resources"], join(pointer, "resources"), turn, entry)


def _turns(
    home: Deployment, item: dict[str, Any], pointer: str, resolver: Resolver
) -> list[tuple[Resolver, Loop | None]]:
    """What computes each copy of a resource, and its turn of the loop."""
    loop, at, shared = item.get("copy"), join(pointer, "copy"), home.shared
    if loop is None:
        shared.count_resources(1)
        return [(resolver, None)]
    try:
        if not isinstance(loop, dict) or not isinstance(loop.get("name"), str):
            raise ExpressionError("BadCopy", "the copy loop of a resource is an object with name and count")
        count = count_of(resolver, loop, at)
        shared.pay_copies(count, item)
    except ExpressionError as error:
        if not matters(item):
            return [(resolver, None)]
        for cause in causes_of(error):
            shared.report.fail(
                cause.code, cause.message, cause.pointer or at, hint=cause.hint, inside=cause.offset
            )
        return []
    shared.count_resources(count)
    turns = [Loop(loop["name"], index, of_resource=True) for index in range(count)]
    return [(resolver.inside(turn), turn) for turn in turns]
