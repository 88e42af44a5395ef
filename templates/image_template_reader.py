"""An image template's computed values, checked."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from templates.checks import validate
from templates.edits import value_at
from templates.effects import warn_no_effect
from templates.lenient import to_newest
from templates.model import ImageTemplate
from templates.pointers import join
from templates.repairs import Insert, Replace
from templates.rules import check_identity, check_properties
from templates.versions import check_api_version

if TYPE_CHECKING:
    from templates.arm.resources import Resource
    from templates.arm.scope import DeploymentScope
    from templates.report import Report


def in_newest_form(resource: Resource, report: Report, scope: DeploymentScope) -> Resource:
    """The image template as the newest API version would write it; what differs goes to the report.

    `apiVersion` stays the declared one: it says by which rules the template was written.
    """
    data, pointer = dict(resource.data), resource.pointer
    _note_envelope(resource, report)
    version = check_api_version(data, pointer, report)
    data = to_newest(data, pointer, version, report, scope)
    data["apiVersion"] = version
    if data.get("location") is None and not report.is_failed(join(pointer, "location")):
        message = f"the field 'location' is missing; taken to be '{scope.location}'"
        hint = 'add "location": "westeurope", or another region'
        report.lenient("MissingLocation", message, pointer, hint=hint)
        data["location"] = scope.location
    return replace(resource, data=data)


def read_image_template(resource: Resource, report: Report, scope: DeploymentScope) -> ImageTemplate | None:
    """The checked template of `in_newest_form`, or None; every problem goes to the report."""
    data, pointer = resource.data, resource.pointer
    properties = data.get("properties")
    if isinstance(properties, dict):
        check_properties(properties, join(pointer, "properties"), report)
    check_identity(data.get("identity"), join(pointer, "identity"), report)
    warn_no_effect(data, pointer, report)
    found = validate(ImageTemplate, data, pointer, report)
    return found if isinstance(found, ImageTemplate) else None


def _note_envelope(resource: Resource, report: Report) -> None:
    """Note the repairs of what the finder of resources filled in: the type, and the name from the file's."""
    pointer = report.written_at(resource.pointer)
    try:
        written = value_at(report.document.value, pointer)
    except KeyError:
        return
    if not isinstance(written, dict):
        return
    kind = written.get("type")
    if kind is None:
        report.repairs.append(Insert(pointer, "type", resource.type))
    elif isinstance(kind, str) and kind != resource.type and not kind.startswith("["):
        report.repairs.append(Replace(join(pointer, "type"), kind, resource.type))
    if written.get("name") is None and not report.is_failed(join(pointer, "name")):
        report.repairs.append(Insert(pointer, "name", resource.names[-1]))
