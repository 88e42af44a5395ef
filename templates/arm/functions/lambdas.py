"""Functions that take a lambda: `map(array, lambda('x', lambdaVariables('x')))`, as Bicep compiles them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NoReturn

from templates.arm.budget import measure, refuse_above
from templates.arm.functions.objects import object_of
from templates.arm.functions.registry import function
from templates.arm.functions.values import array, bad, boolean, obj, text
from templates.arm.syntax import Call, Json, Node

if TYPE_CHECKING:
    from templates.arm.expressions import Evaluation


@dataclass(frozen=True, slots=True)
class _Lambda:
    names: tuple[str, ...]
    body: Node
    evaluation: Evaluation

    def __call__(self, *values: Json) -> Json:
        """The value of the body; a lambda may name fewer variables than it is given (item, index)."""
        from templates.arm.expressions import Evaluation

        known = dict(zip(self.names, values, strict=False))
        around = self.evaluation
        return Evaluation(around.context, {**around.variables, **known}).value(self.body)


class _Held:
    """Adds up the results of a loop, so that it ends before they fill the memory."""

    def __init__(self) -> None:
        self.size = 0

    def __call__(self, value: Json) -> Json:
        self.size += measure(value)
        refuse_above(self.size)
        return value


@function("lambda", 1, None, lazy=True)
def _stray_lambda(_evaluation: Evaluation, *_parts: Node) -> NoReturn:
    raise bad("lambda() stands only as an argument of map(), filter(), reduce() and their kin")


@function("lambdaVariables", 1, lazy=True, part=True)
def _lambda_variables(evaluation: Evaluation, name: Node) -> Json:
    wanted = text(evaluation.value(name), "the name of a lambda's variable")
    known = evaluation.variables
    if wanted.casefold() not in known:
        hint = f"here are known: {', '.join(known)}" if known else "there is no lambda around it"
        raise bad(f"no lambda has a variable '{wanted}'", hint=hint)
    return known[wanted.casefold()]


@function("map", 2, lazy=True)
def _map(evaluation: Evaluation, items: Node, body: Node) -> Json:
    change = _read(body, evaluation, "map()", 2)
    held = _Held()
    return [held(change(item, index)) for index, item in _numbered(items, evaluation, "map()")]


@function("filter", 2, lazy=True)
def _filter(evaluation: Evaluation, items: Node, body: Node) -> Json:
    wanted = _read(body, evaluation, "filter()", 2)
    pairs = _numbered(items, evaluation, "filter()")
    return [item for index, item in pairs if boolean(wanted(item, index), "the lambda of filter()")]


@function("reduce", 3, lazy=True)
def _reduce(evaluation: Evaluation, items: Node, initial: Node, body: Node) -> Json:
    combine = _read(body, evaluation, "reduce()", 3)
    result = evaluation.value(initial)
    for index, item in _numbered(items, evaluation, "reduce()"):
        result = combine(result, item, index)
    return result


@function("sort", 2, lazy=True)
def _sort(evaluation: Evaluation, items: Node, body: Node) -> Json:
    """The lambda says whether its first argument comes before the second."""
    before = _read(body, evaluation, "sort()", 2)

    class Key:
        def __init__(self, item: Json) -> None:
            self.item = item

        def __lt__(self, other: Key) -> bool:
            return boolean(before(self.item, other.item), "the lambda of sort()")

    return sorted(array(evaluation.value(items), "the first argument of sort()"), key=Key)


@function("toObject", 2, 3, lazy=True)
def _to_object(evaluation: Evaluation, items: Node, key: Node, value: Node | None = None) -> Json:
    name = _read(key, evaluation, "toObject()", 1)
    content = _read(value, evaluation, "toObject()", 1) if value is not None else None
    pairs = _numbered(items, evaluation, "toObject()")
    held = _Held()
    return object_of(
        [
            (text(name(item), "a key of toObject()"), held(content(item)) if content is not None else item)
            for _, item in pairs
        ]
    )


@function("mapValues", 2, lazy=True)
def _map_values(evaluation: Evaluation, target: Node, body: Node) -> Json:
    change = _read(body, evaluation, "mapValues()", 1)
    given = obj(evaluation.value(target), "the first argument of mapValues()")
    held = _Held()
    return {key: held(change(item)) for key, item in given.items()}


@function("groupBy", 2, lazy=True)
def _group_by(evaluation: Evaluation, items: Node, body: Node) -> Json:
    """An object with an array for each key that the lambda gives."""
    key_of = _read(body, evaluation, "groupBy()", 2)
    groups: dict[str, list[Json]] = {}
    names: dict[str, str] = {}
    for index, item in _numbered(items, evaluation, "groupBy()"):
        key = text(key_of(item, index), "a key of groupBy()")
        groups.setdefault(names.setdefault(key.casefold(), key), []).append(item)
    return groups


def _numbered(items: Node, evaluation: Evaluation, what: str) -> list[tuple[int, Json]]:
    return list(enumerate(array(evaluation.value(items), f"the first argument of {what}")))


def _read(node: Node, evaluation: Evaluation, what: str, most: int) -> _Lambda:
    """The lambda in an argument: names of up to `most` variables, then the body."""
    if not isinstance(node, Call) or node.name.casefold() != "lambda" or node.namespace:
        raise bad(f"{what} needs a lambda", hint="for example lambda('item', lambdaVariables('item'))")
    if not node.arguments:
        raise bad(f"the lambda of {what} has no body")
    *given, body = node.arguments
    names = [text(evaluation.value(name), "the name of a lambda's variable") for name in given]
    if len(names) > most:
        raise bad(f"the lambda of {what} has at most {most} variable(s), not {len(names)}")
    return _Lambda(tuple(name.casefold() for name in names), body, evaluation)
