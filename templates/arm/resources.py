"""Finds the resources of a file: a bare image template, or those of an ARM deployment."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any

from templates.arm.expressions import kind_of
from templates.arm.resolver import Resolver
from templates.arm_id import DEFINITION_TYPE, GALLERY_TYPE
from templates.pointers import join
from templates.report import Report

IMAGE_TEMPLATE_TYPE = "Microsoft.VirtualMachineImages/imageTemplates"
_SHORT_TYPE = "Microsoft.VirtualMachineImages"
_KNOWN_TYPES = {kind.casefold(): kind for kind in (IMAGE_TEMPLATE_TYPE, GALLERY_TYPE, DEFINITION_TYPE)}
# What ARM itself reads of a resource; the image template knows nothing of it.
_ENVELOPE = frozenset({"dependsOn", "comments", "condition", "copy", "scope", "resources", "metadata"})


@dataclass(frozen=True, slots=True)
class Resource:
    """A resource whose values are computed. `names` are those of its parents and its own."""

    type: str
    names: tuple[str, ...]
    data: dict[str, Any]
    pointer: str


def is_deployment(value: Any) -> bool:  # noqa: ANN401 - any JSON value
    """Whether a file is an ARM deployment (and so its strings may be expressions)."""
    if not isinstance(value, dict):
        return False
    schema = value.get("$schema")
    return (
        "contentVersion" in value
        or ("resources" in value and "properties" not in value)
        or (isinstance(schema, str) and "deploymentTemplate" in schema)
    )


def find_resources(resolver: Resolver, report: Report) -> list[Resource]:
    """The resources that Goldsmith knows. The others, and what is wrong, go to the report."""
    value = report.document.value
    if not isinstance(value, dict):
        report.error("WrongType", f"a template is a JSON object, not {kind_of(value)}", "")
        return []
    if resolver.arm:
        return list(_Finder(resolver, report).deployment(value))
    return _bare(value, resolver, report)


def _bare(value: dict[str, Any], resolver: Resolver, report: Report) -> list[Resource]:
    if "builders" in value and "properties" not in value:
        hint = "Goldsmith reads Azure Image Builder templates"
        report.error("NotATemplate", "this is a Packer template", "", hint=hint)
        return []
    if "properties" not in value:
        hint = (
            f"expected 'properties' (a resource of type {IMAGE_TEMPLATE_TYPE}) or 'resources' (a deployment)"
        )
        report.error("NotATemplate", "this file holds no image template", "", hint=hint)
        return []
    data = {k: resolver.resolve(v, join("", k)) for k, v in value.items() if k not in _ENVELOPE}
    data = _without_nulls(data, "", report)
    kind = data.get("type")
    if kind is None:
        message = f"the field 'type' is missing; taken to be {IMAGE_TEMPLATE_TYPE}"
        report.lenient("MissingType", message, "")
        kind = IMAGE_TEMPLATE_TYPE
    known = _known_type(str(kind), "/type", report)
    if known != IMAGE_TEMPLATE_TYPE:
        report.error(
            "NotATemplate",
            f"'{kind}' is not the type of an image template",
            "/type",
            hint=f"write {IMAGE_TEMPLATE_TYPE}",
        )
        return []
    if data.get("name") is None and not report.is_failed("/name"):
        stem = re.sub(r"[^A-Za-z0-9\-_.]", "-", PurePath(report.document.file).stem)[:64] or "template"
        report.lenient(
            "MissingName", f"the template has no name; taken to be '{stem}'", "", hint=f'add "name": "{stem}"'
        )
        data["name"] = stem
    return [Resource(known, (str(data["name"]),), {**data, "type": known}, "")]


def _without_nulls(value: Any, pointer: str, report: Report) -> Any:  # noqa: ANN401 - any JSON value
    """ARM takes a null for a field that is not there; Bicep writes many of them."""
    if isinstance(value, dict):
        return {
            key: _without_nulls(item, join(pointer, key), report)
            for key, item in value.items()
            if item is not None or report.is_failed(join(pointer, key))
        }
    if isinstance(value, list):
        return [_without_nulls(item, join(pointer, index), report) for index, item in enumerate(value)]
    return value


def _known_type(kind: str, pointer: str, report: Report) -> str | None:
    if kind.casefold() == _SHORT_TYPE.casefold():
        message = f"'{kind}' is short for {IMAGE_TEMPLATE_TYPE}"
        report.lenient("ShortType", message, pointer, hint=f"write {IMAGE_TEMPLATE_TYPE}")
        return IMAGE_TEMPLATE_TYPE
    known = _KNOWN_TYPES.get(kind.casefold())
    if known is not None and known != kind and report.strict:
        report.error("WrongCase", f"the type is written '{known}', not '{kind}'", pointer)
    return known


class _Finder:
    def __init__(self, resolver: Resolver, report: Report) -> None:
        self.resolver = resolver
        self.report = report

    def deployment(self, value: dict[str, Any]) -> Iterator[Resource]:
        schema = value.get("$schema")
        if isinstance(schema, str) and "deploymentParameters" in schema:
            hint = "give it with --parameters, and the template as the argument"
            self.report.error("NotATemplate", "this is a parameter file, not a template", "", hint=hint)
            return
        if "resources" not in value:
            self.report.error("NotATemplate", "the deployment has no 'resources'", "")
            return
        self.resolver.check_parameters()
        yield from self._many(value["resources"], "/resources", "", ())

    def _many(
        self,
        resources: Any,  # noqa: ANN401 - any JSON value
        pointer: str,
        parent: str,
        names: tuple[str, ...],
    ) -> Iterator[Resource]:
        # Bicep writes an object of symbolic names (languageVersion 2.0), people write a list.
        if isinstance(resources, dict):
            items: Any = resources.items()
        elif isinstance(resources, list):
            items = enumerate(resources)
        else:
            self.report.error("WrongType", f"'resources' must be an array, not {kind_of(resources)}", pointer)
            return
        for key, item in items:
            yield from self._one(item, join(pointer, key), parent, names)

    def _one(
        self,
        item: Any,  # noqa: ANN401 - any JSON value
        pointer: str,
        parent: str,
        parent_names: tuple[str, ...],
    ) -> Iterator[Resource]:
        if not isinstance(item, dict):
            self.report.error("WrongType", f"a resource must be an object, not {kind_of(item)}", pointer)
            return
        if item.get("existing") is True:  # a reference to something that is there already
            return
        type_at = join(pointer, "type")
        kind = self.resolver.resolve(item.get("type"), type_at)
        if not isinstance(kind, str):
            self.report.error("MissingField", "the resource has no 'type'", pointer)
            return
        full = kind if "/" in kind or not parent else f"{parent}/{kind}"
        known = _known_type(full, type_at, self.report)
        if known is None:
            message = f"the resource of type '{full}' is left alone"
            self.report.warn("OtherResource", message, type_at, hint="Goldsmith builds image templates")
            return
        if not self._is_wanted(item, pointer, known):
            return
        names = self._names(item, pointer, known, parent_names)
        if names is None:
            return
        data = {
            key: self.resolver.resolve(value, join(pointer, key))
            for key, value in item.items()
            if key not in _ENVELOPE
        }
        data = _without_nulls(data, pointer, self.report)
        yield Resource(known, names, {**data, "type": known, "name": names[-1]}, pointer)
        if "resources" in item:
            yield from self._many(item["resources"], join(pointer, "resources"), known, names)

    def _is_wanted(self, item: dict[str, Any], pointer: str, known: str) -> bool:
        if "copy" in item:
            hint = "write the resources out one by one"
            self.report.error(
                "NotSupported", "copy loops are not supported", join(pointer, "copy"), hint=hint, key=True
            )
            return False
        condition_at = join(pointer, "condition")
        condition = self.resolver.resolve(item.get("condition", True), condition_at)
        if condition is False:
            self.report.warn(
                "ConditionFalse", f"skipped: the condition of this {known} is false", condition_at
            )
        elif condition is not True:
            self.report.error(
                "WrongType", f"a condition must be a bool, not {kind_of(condition)}", condition_at
            )
        return condition is True

    def _names(
        self, item: dict[str, Any], pointer: str, known: str, parent_names: tuple[str, ...]
    ) -> tuple[str, ...] | None:
        name_at = join(pointer, "name")
        name = self.resolver.resolve(item.get("name"), name_at)
        if not isinstance(name, str):
            if name is None:
                self.report.error("MissingField", "the resource has no 'name'", name_at)
                self.report.failed.add(name_at)
            else:
                self.report.fail("WrongType", f"a name must be a string, not {kind_of(name)}", name_at)
            # The rest of the resource is still worth checking.
            return ("unknown",) * known.count("/")
        names = tuple(name.split("/"))
        depth = known.count("/")
        if len(names) < depth and parent_names:
            names = (*parent_names, *names)
        if len(names) != depth or not all(names):
            form = "/".join(f"<{part}>" for part in known.split("/")[1:])
            message = f"'{name}' is not a name of a {known}"
            self.report.error("BadName", message, name_at, hint=f"the form is {form}")
            return None
        return names
