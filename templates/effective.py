"""The effective template: what is left of a file when everything in it is computed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel

from templates import history
from templates.model.walk import TAGS

if TYPE_CHECKING:
    from templates.model import ImageTemplate
    from templates.reader import Document

_EXTENSIONS = "x-goldsmith"


def effective(document: Document, template: ImageTemplate, *, defaults: bool = False) -> dict[str, Any]:
    """The JSON of one of the document's templates: expressions evaluated, variables filled in.

    With `defaults` in the spelling of the newest API version, and with the defaults of what the file
    leaves out, as far as the template's own API version knows it. Values of secure parameters are in it.
    """
    return _filled(template, template.api_version) if defaults else dict(document.data_of(template))


def _filled(model: BaseModel, version: str) -> dict[str, Any]:
    newer = history.FIELDS.get(type(model), {})
    found: dict[str, Any] = {}
    for name, field in type(model).model_fields.items():
        alias = field.alias or name
        # Extensions are added by nobody else: with them it would be no template for Azure any more.
        is_foreign = alias == _EXTENSIONS or newer.get(alias, "") > version
        value = getattr(model, name)
        if value is not None and (name in model.model_fields_set or not is_foreign):
            found[alias] = _as_json(value, version)
    found |= {key: _as_json(value, version) for key, value in (model.model_extra or {}).items()}
    tags = {key: found[key] for key in TAGS if key in found}  # first, as people write them
    return tags | found


def _as_json(value: Any, version: str) -> Any:  # noqa: ANN401 - any JSON value
    if isinstance(value, BaseModel):
        return _filled(value, version)
    if isinstance(value, list):
        return [_as_json(item, version) for item in value]
    if isinstance(value, Mapping):
        return {key: _as_json(item, version) for key, item in value.items()}
    return value
