"""Functions of arrays, and those that take a string as an array of characters."""

from __future__ import annotations

from typing import TYPE_CHECKING

from templates.arm.budget import refuse_above
from templates.arm.functions.registry import function
from templates.arm.functions.values import (
    array,
    bad,
    display,
    find_key,
    identity,
    integer,
    is_int,
    same,
    text,
)
from templates.arm.syntax import Json, Node, kind_of

if TYPE_CHECKING:
    from templates.arm.expressions import Evaluation

_MOST_OF_RANGE = 10_000  # the two limits of range() in Microsoft's reference
_END_OF_RANGE = 2**31 - 1


@function("array", 1)
def _array(value: Json) -> Json:
    return value if isinstance(value, list) else [value]


@function("createArray", 0, None)
def _create_array(*items: Json) -> Json:
    return list(items)


@function("range", 2)
def _range(start: Json, count: Json) -> Json:
    first, length = integer(start, "the start of range()"), integer(count, "the count of range()")
    if not 0 <= length <= _MOST_OF_RANGE or first + length > _END_OF_RANGE:
        hint = f"the count is 0 to {_MOST_OF_RANGE}, start and count together at most {_END_OF_RANGE}"
        raise bad(f"range(): start {first} and count {length} are out of bounds", hint=hint)
    return list(range(first, first + length))


@function("length", 1)
def _length(value: Json) -> Json:
    if not isinstance(value, str | list | dict):
        raise bad(f"length(): {kind_of(value)} has no length")
    return len(value)


@function("empty", 1)
def _empty(value: Json) -> Json:
    if value is not None and not isinstance(value, str | list | dict):
        raise bad(f"empty() takes an array, an object or a string, not {kind_of(value)}")
    return not value


@function("first", 1, part=True)
def _first(value: Json) -> Json:
    items = _sequence(value, "first()")
    return items[0] if items else items if isinstance(items, str) else None


@function("last", 1, part=True)
def _last(value: Json) -> Json:
    items = _sequence(value, "last()")
    return items[-1] if items else items if isinstance(items, str) else None


@function("skip", 2)
def _skip(value: Json, count: Json) -> Json:
    return _sequence(value, "skip()")[max(integer(count, "the count of skip()"), 0) :]


@function("take", 2)
def _take(value: Json, count: Json) -> Json:
    return _sequence(value, "take()")[: max(integer(count, "the count of take()"), 0)]


@function("contains", 2, deep=True)
def _contains(container: Json, item: Json) -> Json:
    """Keys are compared without case, parts of strings and items of arrays with their case."""
    if isinstance(container, list):
        return any(same(item, other) for other in container)
    if isinstance(container, dict):
        return find_key(container, text(item, "the key for contains()")) is not None
    if isinstance(container, str) and (isinstance(item, str) or is_int(item)):
        return display(item) in container
    wrong = item if isinstance(container, str) else container
    raise bad(f"contains(): {kind_of(wrong)} is not possible here")


@function("indexOf", 2, deep=True)
def _index_of(container: Json, item: Json) -> Json:
    """The first place, -1 when there is none; in strings without case, in arrays with it."""
    if isinstance(container, list):
        return next((index for index, other in enumerate(container) if same(item, other)), -1)
    whole = text(container, "the first argument of indexOf()")
    return whole.casefold().find(text(item, "the text to find").casefold())


@function("lastIndexOf", 2, deep=True)
def _last_index_of(container: Json, item: Json) -> Json:
    if isinstance(container, list):
        places = range(len(container) - 1, -1, -1)
        return next((index for index in places if same(item, container[index])), -1)
    whole = text(container, "the first argument of lastIndexOf()")
    return whole.casefold().rfind(text(item, "the text to find").casefold())


@function("flatten", 1, None)
def _flatten(*arrays: Json) -> Json:
    """One level less: `flatten(array of arrays)`, or several of them."""
    inner = [array(item, "each item in flatten()") for outer in arrays for item in array(outer, "flatten()")]
    refuse_above(8 * sum(map(len, inner)))
    return [item for items in inner for item in items]


@function("indexFromEnd", 2, part=True)
def _index_from_end(items: Json, index: Json) -> Json:
    """`array[^index]` of Bicep: 1 is the last item."""
    whole = array(items, "the first argument of indexFromEnd()")
    place = integer(index, "the index of indexFromEnd()")
    if not 1 <= place <= len(whole):
        raise bad(f"indexFromEnd(): {place} is outside of an array of {len(whole)}")
    return whole[-place]


@function("tryIndexFromEnd", 2, None, lazy=True, part=True)
def _try_index_from_end(evaluation: Evaluation, items: Node, index: Node, *keys: Node) -> Json:
    """`array[?^index].key` of Bicep: null where `indexFromEnd()` would fail."""
    return _try_keys(evaluation, _from_end(evaluation.value(items), evaluation.value(index)), keys)


@function("tryGet", 2, None, lazy=True, part=True)
def _try_get(evaluation: Evaluation, target: Node, *keys: Node) -> Json:
    """`target.?key` of Bicep; more keys go on from there (`target.?key.next`), null ends the way."""
    return _try_keys(evaluation, evaluation.value(target), keys)


def _try_keys(evaluation: Evaluation, target: Json, keys: tuple[Node, ...]) -> Json:
    from templates.arm.expressions import try_property

    for node in keys:
        if target is None:
            return None
        key = evaluation.value(node)
        # Bicep compiles `[?^2]` further down a chain to {'value': 2, 'fromEnd': true}.
        if isinstance(key, dict):
            place = key.get("value")
            target = _from_end(target, place) if key.get("fromEnd") is True else try_property(target, place)
        else:
            target = try_property(target, key)
    return target


def _from_end(items: Json, index: Json) -> Json:
    inside = isinstance(items, list) and is_int(index) and 1 <= index <= len(items)
    return items[-index] if inside else None


def without_doubles(items: list[Json]) -> list[Json]:
    """`items`, each value once, at its first place."""
    seen: dict[str, Json] = {}
    for item in items:
        seen.setdefault(identity(item), item)
    return list(seen.values())


def _sequence(value: Json, what: str) -> str | list[Json]:
    if not isinstance(value, str | list):
        raise bad(f"{what} takes an array or a string, not {kind_of(value)}")
    return value
