"""Finds the resources of a file: a bare image template, or those of an ARM deployment."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any

from templates.arm.dependencies import in_order
from templates.arm.deployment import Deployment
from templates.arm.entries import Entry
from templates.arm.failures import causes_of
from templates.arm.known import (
    DEPLOYMENT_TYPE,
    IMAGE_TEMPLATE_TYPE,
    MADE,
    SHORT_TYPE,
    canonical,
    matters,
    note_for,
)
from templates.arm.resolver import Resolver
from templates.arm.scope import DeploymentScope
from templates.arm.spelling import note_spelling, spell_resource
from templates.arm.syntax import ExpressionError, kind_of
from templates.pointers import join
from templates.report import Report

# What ARM itself reads of a resource; the image template knows nothing of it. "$schema" is an editor's.
_ENVELOPE = frozenset(
    {
        *("dependsOn", "comments", "condition", "copy", "scope", "resources", "metadata", "existing"),
        *("asserts", "$schema"),
    }
)
_NO_NAME = "unknown"


@dataclass(frozen=True, slots=True)
class Resource:
    """A resource whose values are computed. `names` are those of its parents and its own.

    `scope` is where it is deployed to: a nested deployment may name another resource group.
    """

    type: str
    names: tuple[str, ...]
    data: dict[str, Any]
    pointer: str
    scope: DeploymentScope


def is_deployment(value: Any) -> bool:  # noqa: ANN401 - any JSON value
    """Whether a file is an ARM deployment (and so its strings may be expressions)."""
    if not isinstance(value, dict):
        return False
    schema, fields = value.get("$schema"), {key.casefold() for key in value}
    return (
        "contentversion" in fields
        or ("resources" in fields and "properties" not in fields)
        or (isinstance(schema, str) and "deploymenttemplate" in schema.casefold())
    )


def find_resources(home: Deployment, report: Report) -> list[Resource]:
    """The resources that Goldsmith knows. The others, and what is wrong, go to the report."""
    value = report.document.value
    if not isinstance(value, dict):
        report.error("WrongType", f"a template is a JSON object, not {kind_of(value)}", "")
        return []
    if not home.shared.arm:
        note_spelling(value, "", report)
        return _bare(spell_resource(value, "", report), home, report)
    schema = value.get("$schema")
    if isinstance(schema, str) and "deploymentparameters" in schema.casefold():
        hint = "give it with --parameters, and the template as the argument"
        report.error("NotATemplate", "this is a parameter file, not a template", "", hint=hint)
        return []
    if "resources" not in home.body:
        report.error("NotATemplate", "the deployment has no 'resources'", "")
        return []
    finder = _Finder(report)
    try:
        return list(finder.deployment(home))
    except ExpressionError as error:  # too many: to compute and check them all would take too long
        report.error(error.code, error.message, "/resources", hint=error.hint, key=True)
        return []


def _bare(value: dict[str, Any], home: Deployment, report: Report) -> list[Resource]:
    if "builders" in value and "properties" not in value:
        hint = "turn it into a template: build import packer FILE"
        report.error("NotATemplate", "this is a Packer template", "", hint=hint)
        return []
    if "properties" not in value:
        hint = (
            f"expected 'properties' (a resource of type {IMAGE_TEMPLATE_TYPE}) or 'resources' (a deployment)"
        )
        report.error("NotATemplate", "this file holds no image template", "", hint=hint)
        return []
    data = _data(home.resolver, value, "", report)
    kind = data.get("type")
    if kind is None:
        message = f"the field 'type' is missing; taken to be {IMAGE_TEMPLATE_TYPE}"
        report.lenient("MissingType", message, "")
        kind = IMAGE_TEMPLATE_TYPE
    known = canonical(str(kind))
    if known != IMAGE_TEMPLATE_TYPE:
        report.error(
            "NotATemplate",
            f"'{kind}' is not the type of an image template",
            "/type",
            hint=f"write {IMAGE_TEMPLATE_TYPE}",
        )
        return []
    _check_spelling(str(kind), known, "/type", report)
    if data.get("name") is None and not report.is_failed("/name"):
        stem = re.sub(r"[^A-Za-z0-9\-_.]", "-", PurePath(report.document.file).stem)[:64] or "template"
        report.lenient(
            "MissingName", f"the template has no name; taken to be '{stem}'", "", hint=f'add "name": "{stem}"'
        )
        data["name"] = stem
    return [Resource(known, (str(data["name"]),), {**data, "type": known}, "", home.place.scope)]


def _data(resolver: Resolver, body: dict[str, Any], pointer: str, report: Report) -> dict[str, Any]:
    """What an image template or gallery is made of, computed."""
    data = {k: resolver.resolve(v, join(pointer, k)) for k, v in body.items() if k not in _ENVELOPE}
    found: dict[str, Any] = _without_nulls(data, pointer, report)
    return found


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


def _check_spelling(kind: str, known: str, pointer: str, report: Report) -> None:
    if kind.casefold() == SHORT_TYPE.casefold():
        message = f"'{kind}' is short for {IMAGE_TEMPLATE_TYPE}"
        report.lenient("ShortType", message, pointer, hint=f"write {IMAGE_TEMPLATE_TYPE}")
    elif "/" in kind and known != kind and known.casefold() == kind.casefold():
        message = f"the type is written '{known}', not '{kind}'"
        report.lenient("WrongCase", message, pointer, hint=f"write '{known}'")


class _Finder:
    """Walks a deployment and those nested in it, and computes what is made here."""

    def __init__(self, report: Report) -> None:
        self.report = report
        self.told: set[str] = set()
        self.made: dict[tuple[Deployment, str], str] = {}

    def deployment(self, home: Deployment) -> Iterator[Resource]:
        if home.around is None:
            home.parameters.check()
        try:
            entries = in_order(home)
        except ExpressionError as error:
            if error.code == "TooManyResources":
                raise
            self._report(error, join(home.pointer, "resources"))
            return
        for entry in entries:
            if entry.is_existing:  # a reference to something that is there already
                continue
            if entry.type.casefold() in MADE:
                yield from self._made(entry)
            elif entry.type == DEPLOYMENT_TYPE:
                yield from self._nested(entry)
            else:
                self._other(entry)

    def _made(self, entry: Entry) -> Iterator[Resource]:
        type_at = join(entry.pointer, "type")
        _check_spelling(str(entry.body["type"]), entry.type, type_at, self.report)
        if not self._is_wanted(entry):
            return
        if entry.home.place.level != "group":
            level = entry.home.place.level
            message = f"a {entry.type} belongs into a resource group, this template is for a {level}"
            self.report.lenient("NotInGroup", message, type_at)
        names = self._names(entry)
        if names is None:
            return
        self._check_twice(entry)
        data = _data(entry.resolver, entry.body, entry.pointer, self.report)
        data.update(type=entry.type, name=names[-1])
        yield Resource(entry.type, names, data, entry.pointer, entry.home.place.scope)

    def _nested(self, entry: Entry) -> Iterator[Resource]:
        properties = entry.body.get("properties")
        is_linked = isinstance(properties, dict) and "templateLink" in properties
        if not is_linked and not matters(entry.body):
            self._skim(entry)
            return
        if not self._is_wanted(entry):
            return
        try:
            nested = entry.nested
        except ExpressionError as error:
            if not self._is_linked(error, entry):
                self._report(error, entry.pointer)
            return
        yield from self.deployment(nested)

    def _is_linked(self, error: ExpressionError, entry: Entry) -> bool:
        """Whether a deployment has no template because it links to one: that is told, and no mistake."""
        if error.code != "LinkedTemplate":
            return False
        self.report.warn(error.code, error.message, error.pointer or entry.pointer, hint=error.hint, key=True)
        return True

    def _skim(self, entry: Entry) -> None:
        """Tell what a deployment holds that has nothing to be made here; its mistakes are nobody's."""
        try:
            entries = entry.nested.entries if entry.is_wanted else []
        except ExpressionError as error:
            self._is_linked(error, entry)
            return
        for inner in entries:
            if inner.type == DEPLOYMENT_TYPE:
                self._skim(inner)
            elif not inner.is_existing:
                self._other(inner)

    def _other(self, entry: Entry) -> None:
        """Tell about each type once: what a hundred role assignments say is the same."""
        if entry.type.casefold() in self.told:
            return
        try:
            if not entry.is_wanted:
                return
        except ExpressionError:
            pass  # whoever cannot be left out for certain is told about
        self.told.add(entry.type.casefold())
        type_at, note = join(entry.pointer, "type"), note_for(entry.type)
        if note is not None:
            self.report.warn("Noted", f"{entry.type}: {note}", type_at)
        else:
            message = f"the resource of type '{entry.type}' is left alone"
            self.report.warn("OtherResource", message, type_at, hint="Goldsmith builds image templates")

    def _is_wanted(self, entry: Entry) -> bool:
        try:
            wanted = entry.is_wanted
        except ExpressionError as error:
            self._report(error, join(entry.pointer, "condition"))
            return False
        if not wanted:
            message = f"skipped: the condition of this {entry.type} is false"
            self.report.warn("ConditionFalse", message, join(entry.pointer, "condition"))
        return wanted

    def _names(self, entry: Entry) -> tuple[str, ...] | None:
        try:
            return entry.names
        except ExpressionError as error:
            self._report(error, join(entry.pointer, "name"))
            # Without a name the rest of the resource is still worth checking.
            return None if error.code == "BadName" else (_NO_NAME,) * entry.type.count("/")

    def _check_twice(self, entry: Entry) -> None:
        try:
            key = (entry.home, entry.id.casefold())
        except ExpressionError:
            return  # its name has been reported
        if key in self.made:
            message = f"the {entry.type} '{'/'.join(entry.names)}' is declared twice"
            hint = f"it stands at {self.made[key]}, too"
            if self.made[key] == entry.pointer:
                hint = "the name of each copy must differ: use copyIndex() in it"
            self.report.error("DuplicateResource", message, join(entry.pointer, "name"), hint=hint)
        self.made.setdefault(key, entry.pointer)

    def _report(self, error: ExpressionError, pointer: str) -> None:
        for cause in causes_of(error):
            at = cause.pointer or pointer
            self.report.fail(cause.code, cause.message, at, hint=cause.hint, inside=cause.offset)
        self.report.failed.add(self.report.written_at(pointer))
