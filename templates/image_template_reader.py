"""An image template's computed values, checked."""

from __future__ import annotations

from typing import TYPE_CHECKING

from templates.checks import validate
from templates.effects import warn_no_effect
from templates.model import ImageTemplate
from templates.pointers import join
from templates.rules import check_placeholders, check_properties
from templates.versions import check_api_version

if TYPE_CHECKING:
    from templates.arm.resources import Resource
    from templates.arm.scope import DeploymentScope
    from templates.report import Report


def read_image_template(resource: Resource, report: Report, scope: DeploymentScope) -> ImageTemplate | None:
    """The checked template, or None; every problem goes to the report."""
    data, pointer = dict(resource.data), resource.pointer
    check_placeholders(data, pointer, report)
    data["apiVersion"] = check_api_version(data, pointer, report)
    if "identity" not in data:
        message = "the field 'identity' is missing; Azure requires it, here it is not used"
        report.lenient("MissingIdentity", message, pointer)
    if data.get("location") is None and not report.is_failed(join(pointer, "location")):
        message = f"the field 'location' is missing; taken to be '{scope.location}'"
        report.lenient("MissingLocation", message, pointer)
        data["location"] = scope.location
    properties = data.get("properties")
    if isinstance(properties, dict):
        check_properties(properties, join(pointer, "properties"), report)
    warn_no_effect(data, pointer, report)
    found = validate(ImageTemplate, data, pointer, report)
    return found if isinstance(found, ImageTemplate) else None
