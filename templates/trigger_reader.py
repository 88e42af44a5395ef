"""Triggers that a deployment declares, checked with the template they belong to.

Rules: aib-template section 1 (names), aib-behaviour section 1, rule 10.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from templates.arm_id import ResourceIdError, parse_gallery_image, parse_image_version
from templates.checks import validate
from templates.model import (
    ImageTemplate,
    PlatformImageSource,
    SharedImageDistributor,
    SharedImageVersionSource,
    Trigger,
)
from templates.pointers import join

if TYPE_CHECKING:
    from templates.arm.resources import Resource
    from templates.report import Report

_NAME = re.compile(r"[A-Za-z0-9\-_.]{1,64}", re.ASCII)
_FIRST = "2022-07-01"
_LATEST = "latest"


def read_trigger(resource: Resource, report: Report) -> Trigger | None:
    """The checked trigger, or None; every problem goes to the report."""
    template, name = resource.names
    pointer = resource.pointer
    version = resource.data.get("apiVersion")
    if isinstance(version, str) and version < _FIRST:
        message = f"API version {version} has no triggers; they came with {_FIRST}"
        report.lenient("WrongVersion", message, join(pointer, "apiVersion"))
    if not _NAME.fullmatch(name):
        hint = "letters, digits, '-', '_' and '.', at most 64"
        report.error("BadName", f"'{name}' cannot be the name of a trigger", join(pointer, "name"), hint=hint)
    data = {key: resource.data[key] for key in ("name", "properties") if key in resource.data}
    found = validate(Trigger, {**data, "template": template}, pointer, report)
    return found if isinstance(found, Trigger) else None


def check_triggers(
    triggers: Sequence[tuple[Trigger, str]],
    templates: Mapping[str, tuple[ImageTemplate, str]],
    report: Report,
) -> None:
    """What fits together: `triggers` with their pointers, `templates` by their names in lower case."""
    seen: dict[str, str] = {}
    for trigger, pointer in triggers:
        key = trigger.template.casefold()
        if key in seen:
            report.lenient(
                "TooManyTriggers",
                f"the template '{trigger.template}' has a trigger already; it can have one",
                join(pointer, "name"),
                hint=f"the first is '{seen[key]}'",
            )
            continue
        seen[key] = trigger.name
        template = templates.get(key)
        if template is not None:
            _check_source(*template, report)
            _check_targets(*template, report)
        report.warn(
            "Noted",
            f"the trigger '{trigger.name}' builds nothing by itself here",
            join(pointer, "type"),
            hint="schedule it: build schedule add FILE",
        )


def _check_source(template: ImageTemplate, pointer: str, report: Report) -> None:
    source, at = template.properties.source, join(pointer, "properties", "source")
    if isinstance(source, PlatformImageSource):
        if source.version.casefold() == _LATEST:
            return
        at, what = join(at, "version"), f"version {source.version}"
    elif isinstance(source, SharedImageVersionSource):
        try:
            version = parse_image_version(source.image_version_id).version or ""
        except ResourceIdError:
            return  # said by itself
        if version.casefold() == _LATEST:
            return
        at, what = join(at, "imageVersionId"), f"version {version}"
    else:
        what = f"type {source.type}"
    report.lenient(
        "TriggerSource",
        "a template with a trigger starts from a PlatformImage or a gallery image in version Latest, "
        f"not {what}",
        at,
        hint="what is fixed never has something newer",
    )


def _check_targets(template: ImageTemplate, pointer: str, report: Report) -> None:
    source = template.properties.source
    own = ""
    if isinstance(source, SharedImageVersionSource):
        try:
            own = parse_image_version(source.image_version_id).definition.key
        except ResourceIdError:
            own = ""
    for number, target in enumerate(template.properties.distribute):
        if not isinstance(target, SharedImageDistributor):
            continue
        at = join(pointer, "properties", "distribute", number, "galleryImageId")
        try:
            image = parse_gallery_image(target.gallery_image_id)
        except ResourceIdError:
            continue
        if image.version is not None:
            report.lenient(
                "TriggerTarget",
                f"a template with a trigger cannot name version {image.version}: it can be made once only",
                at,
                hint="leave /versions/... out, and each build gets the next number",
            )
        if own and image.definition.key == own:
            report.lenient(
                "TriggerTarget",
                "the image definitions of source and target are the same: in Azure each build would start "
                "the next",
                at,
                hint="here what a build made itself starts none; for Azure use two definitions",
            )
