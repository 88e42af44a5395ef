"""Walking along the models beside the JSON they describe: which model is meant, which fields it has."""

from __future__ import annotations

import types
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache, wraps
from typing import Any, Literal, TypeVar, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from templates.model.steps import ExtensionStep

T = TypeVar("T")
# The fields that say which member of a union an object is.
TAGS = ("type", "scheme")


def by_identity(function: Callable[[Any], T]) -> Callable[[Any], T]:
    """Remember what `function` says of each annotation. They cannot all be hashed, and they are few: all
    are parts of the models. Each is kept, so that its identity stays its own.
    """
    known: dict[int, tuple[Any, T]] = {}

    @wraps(function)
    def remembering(annotation: Any) -> T:  # noqa: ANN401 - typing objects have no common type
        found = known.get(id(annotation))
        if found is None:
            found = known[id(annotation)] = annotation, function(annotation)
        return found[1]

    return remembering


def members(annotation: Any) -> Iterator[Any]:  # noqa: ANN401 - typing objects have no common type
    """The types an annotation stands for, without Annotated, Optional and unions."""
    if get_origin(annotation) in (Union, types.UnionType):
        for part in get_args(annotation):
            yield from members(part)
    elif hasattr(annotation, "__metadata__"):
        yield from members(annotation.__origin__)
    else:
        yield annotation


@by_identity
def list_item(annotation: Any) -> Any:  # noqa: ANN401
    """The type of the items where `annotation` is a list, else None."""
    return next((get_args(member)[0] for member in members(annotation) if get_origin(member) is list), None)


@by_identity
def map_value(annotation: Any) -> Any:  # noqa: ANN401
    """The type of the values where `annotation` is a map of names, else None."""
    return next((get_args(member)[1] for member in members(annotation) if get_origin(member) is dict), None)


@by_identity
def models_of(annotation: Any) -> Sequence[type[BaseModel]]:  # noqa: ANN401
    """The models among the types of an annotation."""
    return [m for m in members(annotation) if isinstance(m, type) and issubclass(m, BaseModel)]


@cache
def fields_of(model: type[BaseModel]) -> Mapping[str, FieldInfo]:
    """The fields of a model by their names in JSON."""
    return {field.alias or name: field for name, field in model.model_fields.items()}


@cache
def tag_of(model: type[BaseModel]) -> tuple[str, str] | None:
    """The field and the value by which an object says that it is this model."""
    for name in TAGS:
        field = model.model_fields.get(name)
        if field is not None and get_origin(field.annotation) is Literal:
            return name, str(get_args(field.annotation)[0])
    return None


def choose(annotation: Any, data: Mapping[str, Any]) -> type[BaseModel] | None:  # noqa: ANN401
    """The model that `data` claims to be: by its tag where there are several."""
    models = models_of(annotation)
    if len(models) == 1:
        return models[0]
    for model in models:
        tag = tag_of(model)
        if tag is not None and data.get(tag[0]) == tag[1]:
            return model
    kind = data.get("type")
    return ExtensionStep if ExtensionStep in models and isinstance(kind, str) and kind[:2] == "x-" else None


def type_at(annotation: Any, loc: Sequence[str | int]) -> Any:  # noqa: ANN401
    """The type of what stands at one of pydantic's paths, which also names the union members it took;
    None where the models do not say.
    """
    for part in loc:
        models = models_of(annotation)
        chosen = next((model for model in models if part in tags_of(model)), None)
        if isinstance(part, int):
            annotation = list_item(annotation)
        elif chosen is not None:
            annotation = chosen
        elif len(models) == 1 and part in fields_of(models[0]):
            annotation = fields_of(models[0])[part].annotation
        else:
            return None
    return annotation


def tags_of(annotation: Any) -> list[str]:  # noqa: ANN401
    """What may stand in the field that says which member of a union an object is."""
    return [tag[1] for model in models_of(annotation) if (tag := tag_of(model)) is not None]
