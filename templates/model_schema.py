"""The models as JSON Schema definitions, in the form that schema and reference page are made from."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic.json_schema import models_json_schema
from pydantic_core import to_jsonable_python

from templates import history
from templates.model import Gallery, ImageDefinition, ImageTemplate, Model
from templates.model.steps import customizer_types
from templates.versions import KNOWN

Schema = dict[str, Any]
# The reader makes it; nobody writes it.
_MADE = {"Gallery": ("id",), "ImageDefinition": ("id",)}
# Azure's gallery resources have more fields than are modelled: theirs stay open.
_OPEN = ("ExtensionStep", "Gallery", "GalleryProperties", "ImageDefinition", "DefinitionProperties")


def model_definitions() -> dict[str, Schema]:
    """One definition for each model of a template or gallery, by name, the image template first.

    Other than pydantic's own: closed against unknown fields as Azure is, with the defaults that a
    factory makes, without titles that only repeat the name.
    """
    top: list[tuple[type[BaseModel], Any]] = [
        (model, "validation") for model in (ImageTemplate, Gallery, ImageDefinition)
    ]
    _, raw = models_json_schema(top, by_alias=True)
    found = {name: _tidy(schema) for name, schema in raw["$defs"].items()}
    for name, model in _models():
        if name in found:
            _complete(name, found[name], model)
    found["ImageTemplate"]["properties"]["apiVersion"] |= {"enum": list(KNOWN)}
    own = "|".join(kind.removeprefix("x-") for kind in customizer_types() if kind.startswith("x-"))
    found["ExtensionStep"]["properties"]["type"] |= {"pattern": f"^x-(?!({own})$)"}
    for schema in found.values():
        schema["properties"] = _tags_first(schema.get("properties", {}))
    return {name: found[name] for name in _in_order(found)}


def _tags_first(properties: Schema) -> Schema:
    """What tells one kind from another stands first, as people write it."""
    tags = [name for name in ("type", "scheme") if name in properties]
    return {name: properties[name] for name in (*tags, *properties)}


def since(name: str, field: str = "") -> str:
    """The API version that brought a field of a model, or the model itself; empty for the first one."""
    model = dict(_models()).get(name)
    if model is None:
        return ""
    return history.FIELDS.get(model, {}).get(field, "") if field else history.TYPES.get(model, "")


def _complete(name: str, schema: Schema, model: type[BaseModel]) -> None:
    properties = schema.get("properties", {})
    for field_name, field in model.model_fields.items():
        default = _made_default(field)
        if default is not None:
            properties[field.alias or field_name].setdefault("default", default)
    for field_name in _MADE.get(name, ()):
        del properties[field_name]
        schema["required"].remove(field_name)
    if name in _OPEN:
        schema.pop("additionalProperties", None)
        return
    schema["additionalProperties"] = False
    for carried in sorted(getattr(model, "carried_fields", ())):
        properties[carried] = {"description": "Valid in Azure; without a meaning here"}


def _made_default(field: FieldInfo) -> Any:  # noqa: ANN401 - any JSON value
    """What a factory makes, as JSON; None for a model's, whose own fields say it all."""
    factory: Callable[..., Any] | None = field.default_factory
    if factory is None or (isinstance(factory, type) and issubclass(factory, BaseModel)):
        return None
    return to_jsonable_python(factory())


def _models(model: type[BaseModel] = Model) -> Iterator[tuple[str, type[BaseModel]]]:
    for child in model.__subclasses__():
        if child.__module__.startswith("templates.model"):
            yield child.__name__, child
        yield from _models(child)


def _tidy(schema: Schema) -> Schema:
    """Without titles, discriminators (OpenAPI's) and defaults of null; `X or null` in one type."""
    result: Schema = {}
    for key, value in schema.items():
        if key in ("title", "discriminator") or (key == "default" and value is None):
            continue
        if key == "properties":
            result[key] = {name: _tidy(part) for name, part in value.items()}
        elif isinstance(value, dict) and key in ("items", "additionalProperties"):
            result[key] = _tidy(value)
        elif key in ("anyOf", "oneOf"):
            result[key] = [_tidy(part) for part in value]
        elif key == "description":
            result[key] = " ".join(value.split())
        else:
            result[key] = value
    return _with_null(result)


def _with_null(schema: Schema) -> Schema:
    parts = schema.get("anyOf", [])
    if len(parts) != 2 or parts[1] != {"type": "null"} or not isinstance(parts[0].get("type"), str):
        return schema
    if "enum" in parts[0] or "const" in parts[0]:
        return schema
    others = {key: value for key, value in schema.items() if key != "anyOf"}
    return {**parts[0], **others, "type": [parts[0]["type"], "null"]}


def _in_order(definitions: dict[str, Schema]) -> list[str]:
    """Names as a reader meets them: each model followed by those its fields lead to."""
    order: list[str] = []
    todo = ["ImageTemplate", "Gallery", "ImageDefinition"]
    while todo:
        name = todo.pop(0)
        if name not in order:
            order.append(name)
            todo = [*references(definitions[name]), *todo]
    return order


def references(value: Any) -> list[str]:  # noqa: ANN401 - any JSON value
    """The names of the definitions that `value` leads to, in its order, each once."""
    if isinstance(value, list):
        return list(dict.fromkeys(name for item in value for name in references(item)))
    if not isinstance(value, dict):
        return []
    own = [str(value["$ref"]).rsplit("/", 1)[-1]] if isinstance(value.get("$ref"), str) else []
    return list(dict.fromkeys([*own, *references(list(value.values()))]))
