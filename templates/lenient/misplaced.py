"""Fields that stand a level too high or too low, where only one place can be meant."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from templates.model import ImageTemplate, Properties, VmProfile
from templates.model.walk import fields_of
from templates.pointers import join

if TYPE_CHECKING:
    from templates.report import Report

_Path = tuple[str, ...]
_HOMES: dict[_Path, frozenset[str]] = {
    (): frozenset(fields_of(ImageTemplate)),
    ("properties",): frozenset(fields_of(Properties)),
    ("properties", "vmProfile"): frozenset(fields_of(VmProfile)),
}


def bring_home(data: dict[str, Any], pointer: str, report: Report) -> dict[str, Any]:
    """`data` with misplaced fields moved to where their model has them; each is told.

    A field moves only when its name is known in exactly one other place and is free there.
    """
    if not isinstance(data.get("properties"), dict):
        return data
    result = {**data, "properties": dict(data["properties"])}
    profile = result["properties"].get("vmProfile")
    if isinstance(profile, dict):
        result["properties"]["vmProfile"] = dict(profile)
    for path, known in _HOMES.items():
        here = _at(result, path)
        for key in [] if here is None else [k for k in here if k not in known]:
            homes = [home for home, names in _HOMES.items() if key in names]
            if len(homes) == 1 and here is not None:
                _move(key, here, (path, homes[0]), result, pointer, report)
    return result


def _move(
    key: str,
    here: dict[str, Any],
    way: tuple[_Path, _Path],
    data: dict[str, Any],
    pointer: str,
    report: Report,
) -> None:
    source, home = way
    there = _at(data, home)
    if there is None and home == ("properties", "vmProfile") and "vmProfile" not in data["properties"]:
        there = data["properties"]["vmProfile"] = {}
    if there is None or key in there:
        return
    at = join(pointer, *source, key)
    place = ".".join(home) or "the template itself"
    message = f"the field '{key}' belongs into {place}"
    report.lenient("Misplaced", message, at, hint="move it there", key=True)
    report.alias(join(pointer, *home, key), at)
    there[key] = here.pop(key)


def _at(data: dict[str, Any], path: _Path) -> dict[str, Any] | None:
    for part in path:
        inner = data.get(part)
        if not isinstance(inner, dict):
            return None
        data = inner
    return data
