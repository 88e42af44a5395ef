"""An image template's computed values, checked."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from templates.checks import validate
from templates.effects import warn_no_effect
from templates.lenient import to_newest
from templates.model import ImageTemplate
from templates.pointers import join
from templates.rules import check_placeholders, check_properties
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
    version = check_api_version(data, pointer, report)
    data = to_newest(data, pointer, version, report, scope)
    data["apiVersion"] = version
    if data.get("location") is None and not report.is_failed(join(pointer, "location")):
        message = f"the field 'location' is missing; taken to be '{scope.location}'"
        report.lenient("MissingLocation", message, pointer)
        data["location"] = scope.location
    return replace(resource, data=data)


def read_image_template(resource: Resource, report: Report, scope: DeploymentScope) -> ImageTemplate | None:
    """The checked template of `in_newest_form`, or None; every problem goes to the report."""
    data, pointer = resource.data, resource.pointer
    check_placeholders(data, pointer, report)
    properties = data.get("properties")
    if isinstance(properties, dict):
        check_properties(properties, join(pointer, "properties"), report)
    warn_no_effect(data, pointer, report)
    found = validate(ImageTemplate, data, pointer, report)
    return found if isinstance(found, ImageTemplate) else None
