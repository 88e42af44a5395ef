"""Where the parameters of a deployment end: the fields of resources that their values become."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from samples import sample

from templates.arm.syntax import Access, Call, ExpressionError, Literal, Node, is_expression, parse

_DEPLOYMENTS = "microsoft.resources/deployments"
# Functions that give one of their arguments back, and from which on.
_SAME = {
    "if": 1,
    "coalesce": 0,
    "union": 0,
    "shallowmerge": 0,
    "tolower": 0,
    "toupper": 0,
    "string": 0,
    "trim": 0,
}
_MAX_STEPS = 20_000


@dataclass(frozen=True)
class Use:
    """A parameter, or the part of it at `path`, becomes the value of a field; `value` is one that fits."""

    field: str
    path: tuple[str | int, ...] = ()
    value: Any = None


def uses_of(document: dict[str, Any]) -> dict[str, list[Use]]:
    """Parameter, in small letters -> its uses, those that are a field's whole value first."""
    found: dict[str, list[Use]] = defaultdict(list)
    for name, use in _Finder(document).uses():
        if use not in found[name]:
            found[name].append(use)
    return found


class _Finder:
    def __init__(self, document: dict[str, Any]) -> None:
        self._variables = {k.casefold(): v for k, v in (document.get("variables") or {}).items()}
        self._resources = document.get("resources") or []
        self._steps = 0

    def uses(self) -> Iterator[tuple[str, Use]]:
        items = self._resources.values() if isinstance(self._resources, dict) else self._resources
        for resource in items:
            if str(resource.get("type")).casefold() == _DEPLOYMENTS:
                yield from self._nested(resource)
            else:
                yield from self._written(resource, "")

    def _nested(self, resource: dict[str, Any]) -> Iterator[tuple[str, Use]]:
        """What is handed to a nested deployment ends where that one puts it."""
        properties = resource.get("properties") or {}
        inner = properties.get("template")
        arguments = properties.get("parameters")
        if not isinstance(inner, dict) or not isinstance(arguments, dict):
            return
        there = uses_of(inner)
        for name, argument in arguments.items():
            for use in there.get(name.casefold(), []):
                if not use.path and isinstance(argument, dict):
                    yield from self._written(argument.get("value"), use.field)

    def _written(self, value: Any, field: str) -> Iterator[tuple[str, Use]]:
        self._steps += 1
        if self._steps > _MAX_STEPS:
            return
        if isinstance(value, dict):
            for key, inner in value.items():
                yield from self._written(key, field)
                # The `input` of a loop becomes the field that the loop is named after.
                yield from self._written(inner, value.get("name", key) if key == "input" else key)
        elif isinstance(value, list):
            for item in value:
                yield from self._written(item, field)
        elif isinstance(value, str) and is_expression(value):
            try:
                tree = parse(value)
            except ExpressionError:
                return
            yield from self._computed(tree, field, ())

    def _computed(self, node: Node, field: str, path: tuple[str | int, ...]) -> Iterator[tuple[str, Use]]:
        """Uses in an expression whose value, at `path`, becomes the field's."""
        self._steps += 1
        if self._steps > _MAX_STEPS:
            return
        if isinstance(node, Access):
            key = node.key.value if isinstance(node.key, Literal) else 0
            yield from self._computed(node.target, field, (key, *path))
        elif isinstance(node, Call):
            yield from self._called(node, node.name.casefold(), field, path)

    def _called(
        self, node: Call, name: str, field: str, path: tuple[str | int, ...]
    ) -> Iterator[tuple[str, Use]]:
        arguments = node.arguments
        first = arguments[0] if arguments else None
        text = str(first.value) if isinstance(first, Literal) else ""
        if name == "parameters":
            yield text.casefold(), Use(field, path)
        elif name == "variables":
            variable = self._variables.get(text.casefold())
            if not path:
                yield from self._written(variable, field)
        elif name == "tryget" and len(arguments) > 1 and isinstance(arguments[1], Literal):
            yield from self._computed(arguments[0], field, (arguments[1].value, *path))
        elif name == "createobject":
            for key, value in zip(arguments[::2], arguments[1::2], strict=False):
                if isinstance(key, Literal):
                    yield from self._computed(value, str(key.value), ())
        elif name in ("concat", "format"):
            yield from self._joined(arguments if name == "concat" else arguments[1:], field, text)
        else:
            for argument in arguments[_SAME.get(name, 0) :]:
                yield from self._computed(argument, field if name in {*_SAME, "createarray"} else "", ())

    def _joined(self, parts: tuple[Node, ...], field: str, pattern: str) -> Iterator[tuple[str, Use]]:
        """Parts of a text. What an id begins with goes up to where the next part takes it on."""
        whole = sample("string", field)
        for index, part in enumerate(parts):
            fits = None
            if pattern == "{0}":
                yield from self._computed(part, field, ())
                continue
            is_start = index == 0 and isinstance(part, Call) and (not pattern or pattern.startswith("{0}"))
            if is_start and whole.startswith("/"):
                fits = _start(whole, parts[1:], pattern.removeprefix("{0}"))
            for name, use in self._computed(part, "", ()):
                yield name, Use("", use.path, fits if not use.path else None)


def _start(whole: str, rest: tuple[Node, ...], after: str) -> str:
    following = after or (str(rest[0].value) if rest and isinstance(rest[0], Literal) else "")
    if following.startswith("/"):
        return whole.partition("/" + following.split("/")[1] + "/")[0]
    return whole.rpartition("/")[0] + "/"
