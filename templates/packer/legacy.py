"""Packer's JSON templates, the language it had before HCL2."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from templates.arm.expressions import kind_of
from templates.json_reader import JsonDocument, parse_json
from templates.packer.document import Build, PackerDocument, PackerError, Part, Remark, Variable
from templates.pointers import join

_PARTS = ("builders", "provisioners", "post-processors", "variables", "sensitive-variables")
_REMARKS: dict[str, tuple[str, str]] = {
    "min_packer_version": ("Packer does not run any more", "nothing to do"),
    "description": ("an AIB template has no description", "nothing to do; tags can hold one"),
    "push": ("Packer gave up this service itself", "nothing to do"),
}


def read_legacy(text: str, path: Path) -> PackerDocument:
    """A JSON template. Raises TemplateError (no JSON) or PackerError (no Packer template)."""
    document = parse_json(text, str(path))
    data = document.value
    if not isinstance(data, dict) or "builders" not in data:
        raise PackerError(f"{path}: this is no Packer template: it has no 'builders'", hint=_hint(data))
    builders = _list(data, "builders", document)
    parts = [_builder(item, index, document) for index, item in enumerate(builders)]
    if not parts:
        raise PackerError(f"{document.locate('/builders')}: the template has no builder")
    provisioners = tuple(_provisioners(_list(data, "provisioners", document)))
    after = tuple(_post_processors(_list(data, "post-processors", document)))
    _refuse_twins(parts, path)
    return PackerDocument(
        file=path,
        variables=_variables(data, document),
        builds=tuple(Build(part.name, part, provisioners, after) for part in parts),
        remarks=(*_remarks(data), *_doubts(document)),
        locate=document.locate,
    )


def _hint(data: Any) -> str:  # noqa: ANN401 - any JSON value
    if isinstance(data, dict):
        if "source" in data or "build" in data:
            return "it looks like HCL2 written as JSON (.pkr.json); give the .pkr.hcl form of it"
        if "resources" in data or "properties" in data:
            return "it looks like an AIB template already: build validate FILE"
    return "a Packer template is an object with 'builders', or a .pkr.hcl file"


def _list(data: Mapping[str, Any], key: str, document: JsonDocument) -> list[Any]:
    found = data.get(key)
    if found is None:
        return []
    if not isinstance(found, list):
        place = document.locate(join("", key))
        raise PackerError(f"{place}: '{key}' must be an array, it is {kind_of(found)}")
    return found


def _builder(item: Any, index: int, document: JsonDocument) -> Part:  # noqa: ANN401 - any JSON value
    pointer = join("", "builders", index)
    kind = item.get("type") if isinstance(item, dict) else None
    if not isinstance(kind, str):
        raise PackerError(f"{document.locate(pointer)}: a builder needs a 'type'")
    name = item.get("name")
    named = isinstance(name, str) and name != ""
    data = {key: value for key, value in item.items() if key != "type" and not (named and key == "name")}
    return Part(kind, data, pointer, str(name) if named else kind)


def _refuse_twins(parts: list[Part], path: Path) -> None:
    seen: set[str] = set()
    for part in parts:
        if part.name in seen:
            hint = "Packer refuses this, too: give each a 'name'"
            raise PackerError(f"{path}: two builders are called '{part.name}'", hint=hint)
        seen.add(part.name)


def _provisioners(items: list[Any]) -> Iterator[Part]:
    for index, item in enumerate(items):
        pointer = join("", "provisioners", index)
        if isinstance(item, dict) and isinstance(item.get("type"), str):
            data = {key: value for key, value in item.items() if key != "type"}
            yield Part(item["type"], data, pointer)
        else:
            yield Part("", {}, pointer)


def _post_processors(items: list[Any], pointer: str = "/post-processors") -> Iterator[Part]:
    """All of them; a list inside the list is a sequence, a text is a type without settings."""
    for index, item in enumerate(items):
        at = join(pointer, index)
        if isinstance(item, list):
            yield from _post_processors(item, at)
        elif isinstance(item, dict):
            yield Part(str(item.get("type", "")), item, at)
        else:
            yield Part(str(item), {}, at)


def _variables(data: Mapping[str, Any], document: JsonDocument) -> dict[str, Variable]:
    found = data.get("variables")
    if found is not None and not isinstance(found, dict):
        place = document.locate("/variables")
        raise PackerError(f"{place}: 'variables' must be an object, it is {kind_of(found)}")
    secret = _list(data, "sensitive-variables", document)
    return {
        name: Variable(name, default, join("", "variables", name), sensitive=name in secret)
        for name, default in (found or {}).items()
    }


def _doubts(document: JsonDocument) -> Iterator[Remark]:
    """What is odd about the JSON itself: of a key that stands twice, one value is lost."""
    for found in document.diagnostics:
        yield Remark("changed", found.location.pointer, found.message, found.hint or "correct it in the file")


def _remarks(data: Mapping[str, Any]) -> Iterator[Remark]:
    for key in data:
        pointer = join("", key)
        if key.startswith("_"):
            yield Remark("implied", pointer, "a comment", "nothing to do")
        elif key == "sensitive-variables":
            why = "the defaults of these variables are not written into the template"
            yield Remark("implied", pointer, why, "give their values by --var or as secrets of a step")
        elif key in _REMARKS:
            yield Remark("implied", pointer, *_REMARKS[key])
        elif key == "error-cleanup-provisioner":
            why = "there is no step that runs only after a failure"
            yield Remark("lost", pointer, why, "'build run --on-error keep' keeps the machine to look at")
        elif key not in _PARTS:
            yield Remark("lost", pointer, "Packer's JSON templates have no such field", "check its spelling")
