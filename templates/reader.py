"""`templates.read`: from a file to checked image templates."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path, PurePath
from typing import Any

from pydantic import BaseModel

from templates.arm.deployment import Deployment
from templates.arm.known import IMAGE_TEMPLATE_TYPE, TRIGGER_TYPE
from templates.arm.placeholders import check_placeholders
from templates.arm.resources import Resource, find_resources, is_deployment
from templates.arm.scope import DeploymentScope, Place, level_of
from templates.arm.sections import Argument
from templates.arm.shared import Shared
from templates.arm.spelling import spell_template
from templates.collector import paused_collector
from templates.diagnostics import Diagnostic, Location, TemplateError
from templates.files import UnreadableFile, read_text
from templates.gallery_reader import read_gallery_resource
from templates.image_template_reader import in_newest_form, read_image_template
from templates.json_reader import JsonDocument, parse_json
from templates.model import Gallery, ImageDefinition, ImageTemplate, Trigger
from templates.report import Report
from templates.trigger_reader import check_triggers, read_trigger


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
    triggers: tuple[Trigger, ...] = ()
    _data: Mapping[int, dict[str, Any]] = field(default_factory=dict, repr=False, compare=False)
    _json: JsonDocument | None = field(default=None, repr=False, compare=False)
    _pointers: Mapping[int, str] = field(default_factory=dict, repr=False, compare=False)
    _written_at: Callable[[str], str] = field(default=str, repr=False, compare=False)

    def locate(self, pointer: str) -> Location:
        """Where the value at a JSON pointer stands, or its nearest ancestor in the file.

        The pointer is one of the newest form; the place is where the file says it, under whatever name.
        """
        if self._json is None:
            return Location(self.file, 1, 1, pointer)
        return self._json.locate(self._written_at(pointer))

    def locate_in(self, pointer: str, text: str, offset: int) -> Location:
        """Where character `offset` of `text` stands, the string at `pointer`; its start, when the file
        holds an expression there.
        """
        if self._json is None:
            return Location(self.file, 1, 1, pointer)
        return self._json.locate_in(self._written_at(pointer), text, offset)

    def pointer_of(self, resource: BaseModel) -> str:
        """The JSON pointer of one of this document's templates, galleries or definitions.

        Raises KeyError for an object that is not of this document.
        """
        return self._pointers[id(resource)]

    def data_of(self, resource: BaseModel) -> dict[str, Any]:
        """The computed JSON of one of this document's resources, as the reader saw it: expressions
        evaluated, an image template in its newest form, defaults not filled in. Raises KeyError for an
        object that is not of this document.
        """
        return self._data[id(resource)]


@paused_collector()
def read(
    path: Path,
    *,
    variables: Mapping[str, str] | None = None,
    parameters: Mapping[str, Any] | None = None,
    strict: bool = False,
    defaults: DeploymentScope,
    buildable: bool = True,
) -> Document:
    """Read and check a template file.

    `variables` fill `{{ name }}`, `<name>` and parameters of that name (before `parameters` does, which
    holds those of an ARM deployment), `defaults` answers subscription() and resourceGroup(). Without
    `buildable` a deployment needs no image template.

    Raises UnreadableFile, or TemplateError with every problem found, warnings included, when one of them is
    an error.
    """
    if path.suffix.casefold() == ".bicep":
        hint = f"compile it first: bicep build {path.name}, which makes a JSON file"
        raise UnreadableFile(f"{path}: a Bicep file cannot be read as it is", hint=hint)
    document = parse_json(read_text(path), str(path), strict=strict)
    report = Report(document, strict=strict)
    found = examine(
        report, variables=variables, parameters=parameters, defaults=defaults, buildable=buildable
    )
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
        triggers=tuple(m for m, _ in found if isinstance(m, Trigger)),
        _json=document,
        _data={id(m): resource.data for m, resource in found},
        _pointers={id(m): resource.pointer for m, resource in found},
        _written_at=report.written_at,
    )


def examine(
    report: Report,
    *,
    variables: Mapping[str, str] | None = None,
    parameters: Mapping[str, Any] | None = None,
    defaults: DeploymentScope,
    buildable: bool = True,
) -> list[tuple[BaseModel, Resource]]:
    """Read and check the document of `report`: the good resources, each with its computed JSON in the
    newest form. Problems and repairs are left in the report.
    """
    home = _deployment(report, variables or {}, parameters or {}, defaults)
    if parameters and not home.shared.arm:
        hint = "parameters belong to ARM deployments; use --var for {{ name }}"
        report.error("UnknownParameter", "parameters are given, but the template has none", "", hint=hint)
    found: list[tuple[BaseModel, Resource]] = []
    resources = find_resources(home, report)
    check_placeholders(((resource.data, resource.pointer) for resource in resources), report)
    for written in resources:
        is_template = written.type == IMAGE_TEMPLATE_TYPE
        resource = in_newest_form(written, report, written.scope) if is_template else written
        model = _read_one(resource, report)
        if model is not None:
            found.append((model, resource))
    _check_triggers(found, report)
    if buildable and not any(r.type == IMAGE_TEMPLATE_TYPE for r in resources) and home.shared.arm:
        _report_empty(report)
    return found


def _check_triggers(found: list[tuple[BaseModel, Resource]], report: Report) -> None:
    triggers = [(model, resource.pointer) for model, resource in found if isinstance(model, Trigger)]
    named = {
        model.name.casefold(): (model, resource.pointer)
        for model, resource in found
        if isinstance(model, ImageTemplate)
    }
    check_triggers(triggers, named, report)


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


def _deployment(
    report: Report, variables: Mapping[str, str], parameters: Mapping[str, Any], scope: DeploymentScope
) -> Deployment:
    """The file as a deployment; a bare template is one without expressions."""
    value = report.document.value
    arm = is_deployment(value)
    body = spell_template(value, "", report) if arm else {}
    given = [Argument(name, partial(_same, item)) for name, item in parameters.items()]
    # Those of --var come last, and so count: they are nearer at hand than a file.
    given += [Argument(name, partial(_same, text), is_text=True) for name, text in variables.items()]
    place = Place(scope, level_of(body.get("$schema")))
    name = PurePath(report.document.file).stem or "template"
    return Deployment(Shared(report, variables, arm), body, "", place, name=name, arguments=given)


def _same(value: Any) -> Any:  # noqa: ANN401 - any JSON value
    return value


def _read_one(resource: Resource, report: Report) -> BaseModel | None:
    if resource.type == IMAGE_TEMPLATE_TYPE:
        return read_image_template(resource, report, resource.scope)
    if resource.type == TRIGGER_TYPE:
        return read_trigger(resource, report)
    return read_gallery_resource(resource, report, resource.scope)
