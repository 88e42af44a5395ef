"""`dependsOn`: checked, and turned into the order in which resources are made."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING

from templates.arm.index import Index, index_of
from templates.arm.known import matters
from templates.arm.syntax import ExpressionError, Json, kind_of
from templates.pointers import join

if TYPE_CHECKING:
    from templates.arm.deployment import Deployment
    from templates.arm.entries import Entry

_SHOWN = 6


def in_order(home: Deployment) -> list[Entry]:
    """The resources of a deployment as written, but each after those it depends on.

    Unknown names are a warning; resources that wait for each other an error. Raises ExpressionError
    when the resources cannot be counted.
    """
    entries = home.entries
    if not any("dependsOn" in entry.body for entry in entries):
        return entries
    index = index_of(home)
    edges: dict[Entry | str, list[Entry | str]] = {}
    for entry in entries:
        edges[entry] = _edges(entry, index, edges)
    return _sorted(entries, edges)


def _edges(entry: Entry, index: Index, edges: dict[Entry | str, list[Entry | str]]) -> list[Entry | str]:
    """What an entry waits for: entries, or the name of a loop, which waits for all of its own."""
    result: list[Entry | str] = [entry.parent] if entry.parent is not None else []
    for name, pointer in _written(entry):
        found = index.find(name)
        if not found:
            if index.is_complete:
                _report_unknown(entry, name, pointer, index)
            continue
        if len(found) == 1:
            result.append(found[0])
        elif entry not in found:
            if name not in edges:
                edges[name] = list(found)
            result.append(name)
    return result


def _written(entry: Entry) -> list[tuple[str, str]]:
    """The names in `dependsOn` with their places."""
    at, value = join(entry.pointer, "dependsOn"), entry.body.get("dependsOn")
    if isinstance(value, str):
        value = _computed(entry, value, at)
    if value is None:
        return []
    report = entry.home.shared.report
    if not isinstance(value, list):
        report.error("WrongType", f"'dependsOn' must be an array, not {kind_of(value)}", at)
        return []
    result = []
    for number, item in enumerate(value):
        place = join(at, number)
        name = _computed(entry, item, place)
        if isinstance(name, str):
            result.append((name, place))
    return result


def _computed(entry: Entry, value: Json, pointer: str) -> Json:
    if matters(entry.body):
        return entry.resolver.resolve(value, pointer)
    try:
        return entry.resolver.compute(value, pointer)
    except ExpressionError:
        return None


def _report_unknown(entry: Entry, name: str, pointer: str, index: Index) -> None:
    close = difflib.get_close_matches(name.casefold(), index.known(), n=1, cutoff=0.8)
    hint = f"did you mean '{close[0]}'?" if close else "Azure refuses this"
    message = f"'{name}' is not a resource of this deployment"
    entry.home.shared.report.warn("UnknownDependency", message, pointer, hint=hint)


def _sorted(entries: list[Entry], edges: dict[Entry | str, list[Entry | str]]) -> list[Entry]:
    """A depth-first walk, without recursion: a chain may be as long as there are resources."""
    result: list[Entry] = []
    done: set[Entry | str] = set()
    for start in entries:
        path: dict[Entry | str, int] = {} if start in done else {start: 0}
        while path:
            node, turn = next(reversed(path.items()))
            waits_for = edges.get(node, [])
            if turn < len(waits_for):
                path[node] = turn + 1
                other = waits_for[turn]
                if other in path:
                    _report_cycle([*path][list(path).index(other) :], other)
                elif other not in done:
                    path[other] = 0
                continue
            del path[node]
            done.add(node)
            if not isinstance(node, str):
                result.append(node)
    return result


def _report_cycle(path: list[Entry | str], back: Entry | str) -> None:
    names = [_shown(node) for node in path]
    if len(names) > _SHOWN:
        names = [*names[: _SHOWN - 1], "…", names[-1]]
    message = f"the resources wait for each other: {' -> '.join([*names, _shown(back)])}"
    last = next(node for node in reversed(path) if not isinstance(node, str))
    last.home.shared.report.error("Cycle", message, join(last.pointer, "dependsOn"), key=True)


def _shown(node: Entry | str) -> str:
    if isinstance(node, str):
        return node
    try:
        return node.symbol or "/".join(node.names)
    except ExpressionError:
        return str(node.body.get("name"))
