"""The types of parameters: ARM's own and those a template defines (`definitions`, languageVersion 2.0).

Rules after "Definitions in ARM templates" and "Understand the structure and syntax of ARM templates".
What is checked is what ARM would certainly refuse: where it might not, nothing is said.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping
from typing import Any

from templates.arm.syntax import Json, kind_of

SECURE = ("securestring", "secureobject")
_TYPES: dict[str, tuple[type, ...]] = {
    "string": (str,),
    "securestring": (str,),
    "int": (int,),
    "bool": (bool,),
    "object": (dict,),
    "secureobject": (dict,),
    "array": (list,),
}
_LOCAL = "#/definitions/"
_MAX_REFERENCES = 32
_LEAST_NUMBER_SHOWN_AS_SECRET = 1000  # masking every "7" would tell more than it hides


class ParameterError(Exception):
    """What is wrong with one parameter. `key` is the part of its definition that says so, or `""`."""

    def __init__(self, code: str, message: str, *, key: str = "", hint: str | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.key = key
        self.hint = hint


def type_of(definition: Mapping[str, Any]) -> str:
    """The declared type, lower case; `""` when there is none or an unknown one."""
    kind = definition.get("type")
    lowered = kind.casefold() if isinstance(kind, str) else ""
    return lowered if lowered in _TYPES else ""


def is_secure(definition: Mapping[str, Any]) -> bool:
    """Whether the value must never be shown."""
    return type_of(definition) in SECURE


def secrets_in(value: Json) -> list[str]:
    """Every text in the value of a secure parameter that must not be shown; long numbers, too."""
    if isinstance(value, str):
        return [value] if value else []
    if isinstance(value, dict):
        return [secret for item in value.values() for secret in secrets_in(item)]
    if isinstance(value, list):
        return [secret for item in value for secret in secrets_in(item)]
    if isinstance(value, int) and abs(value) >= _LEAST_NUMBER_SHOWN_AS_SECRET:
        return [str(value)]
    return []


class Types:
    """The definitions of one template, and what they ask of values."""

    def __init__(self, definitions: Json) -> None:
        self._definitions = definitions if isinstance(definitions, dict) else {}

    def follow(self, definition: Mapping[str, Any]) -> dict[str, Any]:
        """`definition` with its `$ref` replaced by what it names. Raises ParameterError."""
        result = dict(definition)
        for _ in range(_MAX_REFERENCES):
            if "$ref" not in result:
                return result
            target = self._named(result.pop("$ref"))
            result = {**target, **result}
        raise ParameterError("BadParameter", "the definitions refer to each other in a circle", key="$ref")

    def check_definition(self, name: str, definition: Json) -> None:
        """Raise ParameterError when a definition has no known `type`."""
        if not isinstance(definition, dict):
            raise ParameterError("BadParameter", f"the parameter '{name}' must be an object with a type")
        followed = self.follow(definition)
        if "$ref" in definition or type_of(followed):
            return
        kind = followed.get("type")
        close = difflib.get_close_matches(str(kind).casefold(), _TYPES, n=1)
        hint = f"did you mean '{close[0]}'?" if close else f"the types are {', '.join(_TYPES)}"
        if kind is None:
            raise ParameterError("BadParameter", f"the parameter '{name}' has no type", hint=hint)
        raise ParameterError("BadParameter", f"'{kind}' is no type of a parameter", key="type", hint=hint)

    def check_value(self, name: str, definition: Mapping[str, Any], value: Json) -> None:
        """Raise ParameterError when `value` breaks a rule of its definition. Secrets are never quoted."""
        self._check(f"the parameter '{name}'", "", definition, value, hidden=False)

    def secrets(self, definition: Mapping[str, Any], value: Json) -> list[str]:
        """Every text in `value` that its definition calls secure, however deep."""
        try:
            definition = self.follow(definition)
        except ParameterError:
            return []
        # A mistake in the word must not show what it was to hide.
        if str(definition.get("type")).casefold().startswith("secure"):
            return secrets_in(value)
        parts = self._parts(definition, value)
        return [secret for _, part, item in parts for secret in self.secrets(part, item)]

    # -- one value ----------------------------------------------------------------------------------

    def _check(
        self, owner: str, path: str, definition: Mapping[str, Any], value: Json, *, hidden: bool
    ) -> None:
        definition = self.follow(definition)
        hidden = hidden or is_secure(definition)
        subject = f"'{path}' of {owner}" if path else owner
        if value is None and path:
            return  # ARM takes a null for a property that is not there
        expected = _TYPES.get(type_of(definition))
        if expected and (
            not isinstance(value, expected) or (isinstance(value, bool) and bool not in expected)
        ):
            message = f"{subject} must be {_article(str(definition['type']))}, not {kind_of(value)}"
            raise ParameterError("BadParameter", message)
        _check_allowed(subject, definition, value, hidden=hidden)
        _check_limits(subject, definition, value, hidden=hidden)
        if isinstance(value, dict):
            self._check_properties(subject, definition, value)
        if isinstance(value, list):
            _check_count(subject, definition, value)
        for step, part, item in self._parts(definition, value):
            self._check(owner, f"{path}{step}".removeprefix("."), part, item, hidden=hidden)

    def _check_properties(self, subject: str, definition: Mapping[str, Any], value: dict[str, Json]) -> None:
        definition = self._variant(subject, definition, value)
        declared = definition.get("properties")
        declared = declared if isinstance(declared, dict) else {}
        there = {name.casefold() for name, item in value.items() if item is not None}
        for name, part in declared.items():
            optional = not isinstance(part, dict) or self.follow(part).get("nullable") is True
            if name.casefold() not in there and not optional and "defaultValue" not in part:
                raise ParameterError("BadParameter", f"{subject} has no '{name}'")
        if definition.get("additionalProperties") is False:
            known = {name.casefold() for name in declared}
            tag = _tag_name(definition)
            extra = [name for name in value if name.casefold() not in known and name != tag]
            if extra:
                close = difflib.get_close_matches(extra[0], declared, n=1)
                hint = f"did you mean '{close[0]}'?" if close else f"there are: {', '.join(declared)}"
                message = f"{subject} has no property '{extra[0]}' in its type"
                raise ParameterError("BadParameter", message, hint=hint)

    def _variant(
        self, subject: str, definition: Mapping[str, Any], value: dict[str, Json]
    ) -> Mapping[str, Any]:
        """The one of a tagged union's types that the value says it is; others stay as they are."""
        tag, mapping = _tag_name(definition), _mapping(definition)
        if not tag or not mapping:
            return definition
        found = next((item for name, item in value.items() if name.casefold() == tag.casefold()), None)
        for name, part in mapping.items():
            if isinstance(found, str) and name.casefold() == found.casefold() and isinstance(part, dict):
                return self.follow(part)
        known = ", ".join(mapping)
        message = f"{subject} needs '{tag}' to be one of: {known}"
        raise ParameterError("BadParameter", message)

    def _parts(
        self, definition: Mapping[str, Any], value: Json
    ) -> Iterator[tuple[str, Mapping[str, Any], Json]]:
        """The parts of a value that have a definition: the step to it, the definition, the part."""
        if isinstance(value, dict):
            try:
                definition = self._variant("", definition, value)
            except ParameterError:
                return
            declared = definition.get("properties")
            folded = {k.casefold(): v for k, v in declared.items()} if isinstance(declared, dict) else {}
            others = definition.get("additionalProperties")
            for name, item in value.items():
                part = folded.get(name.casefold(), others)
                if isinstance(part, dict):
                    yield f".{name}", part, item
        elif isinstance(value, list):
            first, rest = definition.get("prefixItems"), definition.get("items")
            first = first if isinstance(first, list) else []
            for index, item in enumerate(value):
                part = first[index] if index < len(first) else rest
                if isinstance(part, dict):
                    yield f"[{index}]", part, item

    def _named(self, reference: Json) -> Mapping[str, Any]:
        if not isinstance(reference, str) or not reference.startswith(_LOCAL):
            return {}  # a type of somewhere else: nothing is known about it
        name = reference.removeprefix(_LOCAL).replace("~1", "/").replace("~0", "~")
        found = self._definitions.get(name)
        if isinstance(found, dict):
            return found
        close = difflib.get_close_matches(name, self._definitions, n=1)
        hint = f"did you mean '{close[0]}'?" if close else None
        raise ParameterError("BadParameter", f"there is no definition '{name}'", key="$ref", hint=hint)


def _check_allowed(subject: str, definition: Mapping[str, Any], value: Json, *, hidden: bool) -> None:
    allowed = definition.get("allowedValues")
    if not isinstance(allowed, list) or _allowed(value, allowed):
        return
    shown = "the value" if hidden else f"{value!r}"
    hint = None if hidden else f"allowed are: {', '.join(map(str, allowed))}"
    raise ParameterError("BadParameter", f"{shown} is not allowed for {subject}", hint=hint)


def _check_limits(subject: str, definition: Mapping[str, Any], value: Json, *, hidden: bool) -> None:
    if isinstance(value, bool) or not isinstance(value, int | str | list | dict):
        return
    number = isinstance(value, int)
    measured = value if isinstance(value, int) else len(value)
    noun, unit = ("Value", "") if number else ("Length", " long")
    least, most = definition.get(f"min{noun}"), definition.get(f"max{noun}")
    for limit, wrong, word in (
        (least, isinstance(least, int) and measured < least, "at least"),
        (most, isinstance(most, int) and measured > most, "at most"),
    ):
        if wrong:
            found = "" if hidden else f", not {measured}"
            raise ParameterError("BadParameter", f"{subject} must be {word} {limit}{unit}{found}")


def _check_count(subject: str, definition: Mapping[str, Any], value: list[Json]) -> None:
    first = definition.get("prefixItems")
    if definition.get("items") is False and isinstance(first, list) and len(value) > len(first):
        raise ParameterError("BadParameter", f"{subject} must have {len(first)} items, not {len(value)}")


def _allowed(value: Json, allowed: list[Json]) -> bool:
    if isinstance(value, list):  # an array may hold any subset
        return value in allowed or all(_allowed(item, allowed) for item in value)
    if isinstance(value, str):  # ARM compares texts without case here
        return value.casefold() in (item.casefold() for item in allowed if isinstance(item, str))
    return value in allowed


def _tag_name(definition: Mapping[str, Any]) -> str:
    discriminator = definition.get("discriminator")
    name = discriminator.get("propertyName") if isinstance(discriminator, dict) else None
    return name if isinstance(name, str) else ""


def _mapping(definition: Mapping[str, Any]) -> dict[str, Any]:
    discriminator = definition.get("discriminator")
    mapping = discriminator.get("mapping") if isinstance(discriminator, dict) else None
    return mapping if isinstance(mapping, dict) else {}


def _article(word: str) -> str:
    return f"an {word}" if word[:1].casefold() in "aio" else f"a {word}"
