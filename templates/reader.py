"""`templates.read`: from a file to checked image templates."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from templates.checks import validate
from templates.diagnostics import Diagnostic, Location, TemplateError
from templates.effects import warn_no_effect
from templates.files import read_text
from templates.json_reader import JsonDocument, parse_json
from templates.model import Gallery, ImageDefinition, ImageTemplate
from templates.pointers import join
from templates.report import Report
from templates.resolver import Resolver
from templates.resources import IMAGE_TEMPLATE_TYPE, Resource, find_resources, is_deployment
from templates.rules import check_placeholders, check_properties
from templates.scope import DeploymentScope
from templates.versions import check_api_version

# aib-behaviour, section 8.
_GALLERY_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9_.]{0,78}[A-Za-z0-9])?", re.ASCII)
_DEFINITION_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9_.-]{0,78}[A-Za-z0-9_])?", re.ASCII)


@dataclass(frozen=True)
class Document:
    """A template file, read and checked.

    `diagnostics` are the warnings; `secrets` are the values of secure parameters, for the redactor.
    """

    file: str
    text: str
    templates: tuple[ImageTemplate, ...]
    galleries: tuple[Gallery, ...]
    definitions: tuple[ImageDefinition, ...]
    diagnostics: tuple[Diagnostic, ...]
    secrets: tuple[str, ...] = field(default=(), repr=False)
    _json: JsonDocument | None = field(default=None, repr=False, compare=False)
    _pointers: Mapping[int, str] = field(default_factory=dict, repr=False, compare=False)

    def locate(self, pointer: str) -> Location:
        """Where the value at a JSON pointer stands, or its nearest ancestor in the file."""
        if self._json is None:
            return Location(self.file, 1, 1, pointer)
        return self._json.locate(pointer)

    def pointer_of(self, resource: BaseModel) -> str:
        """The JSON pointer of one of this document's templates, galleries or definitions.

        Raises KeyError for an object that is not of this document.
        """
        return self._pointers[id(resource)]


def read(
    path: Path,
    *,
    variables: Mapping[str, str] | None = None,
    parameters: Mapping[str, Any] | None = None,
    strict: bool = False,
    defaults: DeploymentScope,
) -> Document:
    """Read and check a template file.

    `variables` fill `{{ name }}` (and `<name>`), `parameters` those of an ARM deployment, `defaults`
    answers subscription() and resourceGroup(). Raises UnreadableFile, or TemplateError with every
    problem found, warnings included, when one of them is an error.
    """
    document = parse_json(read_text(path), str(path), strict=strict)
    report = Report(document, strict=strict)
    resolver = Resolver(
        report, defaults, variables=variables or {}, parameters=parameters, arm=is_deployment(document.value)
    )
    if parameters and not resolver.arm:
        hint = "parameters belong to ARM deployments; use --var for {{ name }}"
        report.error("UnknownParameter", "parameters are given, but the template has none", "", hint=hint)
    found: list[tuple[BaseModel, str]] = []
    resources = find_resources(resolver, report)
    for resource in resources:
        model = _read_one(resource, report, defaults)
        if model is not None:
            found.append((model, resource.pointer))
    if not any(r.type == IMAGE_TEMPLATE_TYPE for r in resources) and resolver.arm:
        _report_empty(report)
    diagnostics = report.finish()
    if any(d.severity == "error" for d in diagnostics):
        raise TemplateError(diagnostics)
    return Document(
        file=str(path),
        text=document.text,
        templates=tuple(m for m, _ in found if isinstance(m, ImageTemplate)),
        galleries=tuple(m for m, _ in found if isinstance(m, Gallery)),
        definitions=tuple(m for m, _ in found if isinstance(m, ImageDefinition)),
        diagnostics=diagnostics,
        secrets=tuple(dict.fromkeys(report.secrets)),
        _json=document,
        _pointers={id(m): pointer for m, pointer in found},
    )


def _report_empty(report: Report) -> None:
    if not any(d.severity == "error" for d in report.diagnostics):
        hint = f"add a resource of type {IMAGE_TEMPLATE_TYPE}"
        report.error(
            "NoImageTemplate",
            "the deployment holds no image template to build",
            "/resources",
            hint=hint,
            key=True,
        )


def _read_one(resource: Resource, report: Report, scope: DeploymentScope) -> BaseModel | None:
    if resource.type == IMAGE_TEMPLATE_TYPE:
        return _read_template(resource, report, scope)
    return _read_gallery_resource(resource, report, scope)


def _read_template(resource: Resource, report: Report, scope: DeploymentScope) -> ImageTemplate | None:
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


def _read_gallery_resource(
    resource: Resource, report: Report, scope: DeploymentScope
) -> Gallery | ImageDefinition | None:
    names, pointer = resource.names, resource.pointer
    check_placeholders(resource.data, pointer, report)
    data = {key: value for key, value in resource.data.items() if key not in ("type", "apiVersion")}
    data.setdefault("location", scope.location)
    gallery = f"{scope.group_path}/providers/Microsoft.Compute/galleries/{names[0]}"
    at = join(pointer, "name")
    if not _GALLERY_NAME.fullmatch(names[0]):
        hint = "letters, digits, and '_' or '.' in the middle, at most 80; no '-'"
        report.error("BadName", f"'{names[0]}' cannot be the name of a gallery", at, hint=hint)
    if len(names) == 1:
        data["id"] = gallery
        found = validate(Gallery, data, pointer, report)
        return found if isinstance(found, Gallery) else None
    if not _DEFINITION_NAME.fullmatch(names[1]):
        hint = "letters, digits, and '-', '_' or '.' in the middle, at most 80"
        report.error("BadName", f"'{names[1]}' cannot be the name of an image definition", at, hint=hint)
    data["id"] = f"{gallery}/images/{names[1]}"
    defined = validate(ImageDefinition, data, pointer, report)
    return defined if isinstance(defined, ImageDefinition) else None
