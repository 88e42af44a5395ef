"""Values for what real templates leave open: placeholders, and parameters without a default.

Nothing here knows a file: a value comes from the declared type (allowedValues, limits, user-defined
types) and from the field of the image template that the parameter or placeholder ends in.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from samples import KINDS, kind_of, sample
from uses import Use, uses_of

from templates.diagnostics import TemplateError
from templates.json_reader import parse_json

_PLACEHOLDER = re.compile(r"<([A-Za-z][\w .-]*)>")


def variables_for(text: str) -> dict[str, str]:
    """A value for each `<placeholder>` of a file: its own name, where its place asks for no more."""
    fields = {name: (name,) for name in _PLACEHOLDER.findall(text)}
    try:
        for field, written in _texts(parse_json(text, "placeholders").value, ""):
            whole = _PLACEHOLDER.fullmatch(written)
            if whole:
                fields[whole[1]] = (field, whole[1])
    except TemplateError:  # its text is told about by whoever reads it
        pass
    return {name: _word(name, sample("string", *names), names) for name, names in fields.items()}


def _word(name: str, value: str, names: tuple[str, ...]) -> str:
    """The sample, or the placeholder's own name: an id within an id is none."""
    is_part = len(names) == 1
    return re.sub(r"\W", "", name) if value == "x" or (is_part and "/" in value) else value


def _texts(value: Any, field: str) -> Iterator[tuple[str, str]]:
    """Each text of a document with the field it stands in; of a list, the list's."""
    if isinstance(value, str):
        yield field, value
    elif isinstance(value, list):
        for item in value:
            yield from _texts(item, field)
    elif isinstance(value, dict):
        for key, item in value.items():
            yield field, key
            yield from _texts(item, key)


def arguments_for(document: Any) -> dict[str, Any]:
    """Values for the parameters of a deployment that have none."""
    if not isinstance(document, dict) or "$schema" not in document:
        return {}
    parameters = document.get("parameters") or {}
    uses = uses_of(document)
    made = Maker(document.get("definitions") or {})
    return {
        name: made.value(definition, (name,), uses.get(name.casefold(), []))
        for name, definition in parameters.items()
        if isinstance(definition, dict) and "defaultValue" not in definition and not made.optional(definition)
    }


class Maker:
    """Makes values of declared types."""

    def __init__(self, definitions: Mapping[str, Any]) -> None:
        self._definitions = definitions

    def optional(self, definition: Mapping[str, Any]) -> bool:
        """Whether nothing is a good value."""
        return bool(self._whole(definition).get("nullable"))

    def value(self, definition: Mapping[str, Any], names: tuple[str, ...], uses: list[Use]) -> Any:
        """A value of a type. `names` are what it is called, `uses` where it ends in the template."""
        definition = self._whole(definition)
        if definition.get("allowedValues"):
            allowed = definition["allowedValues"]
            return allowed[:1] if kind_of(definition.get("type")) == "array" else allowed[0]
        steps = [type(use.path[0]) for use in uses if use.path]
        read_as = "object" if str in steps else "array" if steps else "string"
        kind = kind_of(definition.get("type", read_as))
        if kind == "object":
            return self._object(definition, names, uses)
        if kind == "array":
            return self._array(definition, names, uses)
        fields = [use.field for use in uses if not use.path]
        prefixes = [use.value for use in uses if not use.path and isinstance(use.value, KINDS.get(kind, str))]
        return _within(definition, prefixes[0] if prefixes else sample(kind, *fields, *names))

    def _object(self, definition: Mapping[str, Any], names: tuple[str, ...], uses: list[Use]) -> Any:
        tag = definition.get("discriminator")
        if tag:
            word, chosen = next(iter(tag["mapping"].items()))
            return {**self._object(self._whole(chosen), names, uses), tag["propertyName"]: word}
        declared = definition.get("properties")
        if declared is None:
            whole = sample("object", *[use.field for use in uses if not use.path])
            wanted = {use.path[0] for use in uses if use.path and isinstance(use.path[0], str)}
            return whole or {name: self.value({}, (name,), _below(uses, name)) for name in sorted(wanted)}
        required = [name for name, inner in declared.items() if not self.optional(inner)]
        # One that is asked for and may hold nothing holds its first.
        return {
            name: self.value(declared[name], (name, *names), _below(uses, name))
            for name in required or list(declared)[:1]
        }

    def _array(self, definition: Mapping[str, Any], names: tuple[str, ...], uses: list[Use]) -> list[Any]:
        if "prefixItems" in definition:
            return [self.value(item, names, []) for item in definition["prefixItems"]]
        inside = [Use(use.field, use.path[1:]) for use in uses if use.path]
        if "items" in definition:
            items = [self.value(definition["items"], names, inside)]
        else:
            items = sample("array", *[use.field for use in uses if not use.path])
            if not items and any(use.path for use in uses):
                items = [self.value({"type": "object"}, names, inside)]
        missing = int(definition.get("minLength", 0)) - len(items)
        return [*items, *(items[:1] or ["x"]) * max(missing, 0)]

    def _whole(self, definition: Mapping[str, Any]) -> dict[str, Any]:
        """The definition with what its `$ref` says."""
        for _ in range(20):
            if "$ref" not in definition:
                break
            target = self._definitions.get(str(definition["$ref"]).rpartition("/")[2], {})
            rest = {key: value for key, value in definition.items() if key != "$ref"}
            definition = {**target, **rest}
        return dict(definition)


def _below(uses: list[Use], name: str) -> list[Use]:
    found = [use for use in uses if use.path and str(use.path[0]).casefold() == name.casefold()]
    return [Use(use.field, use.path[1:], use.value) for use in found]


def _within(definition: Mapping[str, Any], value: Any) -> Any:
    """The value, moved into the limits of its type."""
    if isinstance(value, bool):
        return value
    if isinstance(value, int):
        at_least = max(value, definition.get("minValue", value))
        return min(at_least, definition.get("maxValue", at_least))
    value = value.ljust(definition.get("minLength", 0), "x")
    return value[: definition.get("maxLength", len(value))]
