"""The JSON Schema (2020-12) of templates, made from the models, for editors that complete and check.

One schema for both forms of a file: a bare image template, whose strings may hold `{{ variables }}`,
and an ARM deployment, where nearly every value may be an expression instead.
"""

from __future__ import annotations

import copy
import json
from typing import Any

from pydantic.json_schema import GenerateJsonSchema

from templates.arm.known import DEPLOYMENT_TYPE, IMAGE_TEMPLATE_TYPE
from templates.arm_id import DEFINITION_TYPE, GALLERY_TYPE
from templates.model_schema import Schema, model_definitions

_SUFFIX = "InDeployment"
# They stand in deployments only.
_OF_GALLERIES = ("Gallery", "GalleryProperties", "ImageDefinition", "DefinitionProperties", "Identifier")
# ARM's own fields of a resource (templates/arm/resources.py passes over them).
_BARE_ENVELOPE: Schema = {
    "$schema": {"type": "string", "description": "Where this schema is: a path or an address"},
    "comments": {"type": "string", "description": "A note for people"},
    "dependsOn": {"type": "array", "description": "Left over from a deployment; not read"},
}
_ENVELOPE: Schema = {
    "comments": {"type": "string", "description": "A note for people"},
    "condition": {"type": ["boolean", "string"], "description": "Whether the resource is deployed"},
    "copy": {"type": "object", "description": "Deploys the resource several times"},
    "dependsOn": {"type": "array", "items": {"type": "string"}, "description": "What is deployed before"},
    "metadata": {"type": "object", "description": "Notes of people and tools; not read"},
    "resources": {"type": ["array", "object"], "description": "Resources below this one"},
    "scope": {"type": "string", "description": "What an extension resource belongs to; not read"},
}
_PROPERTY_COPY: Schema = {
    "type": "array",
    "description": "Makes the elements of an array by a loop: name, count, input",
    "items": {"type": "object"},
}

_FIXED: dict[str, Schema] = {
    "Variable": {
        "type": "string",
        "pattern": r"\{\{.*\}\}|<[^<>]+>",
        "description": "Text with a {{ variable }} or a <placeholder>, given by --var or --var-file",
    },
    "Expression": {
        "type": "string",
        "pattern": r"^\[(?!\[)|\{\{.*\}\}|<[^<>]+>",
        "description": "A template expression in [ ], such as [parameters('name')]",
    },
}


def schema_text() -> str:
    """The schema as `build schema` prints it."""
    return json.dumps(template_schema(), indent=2, ensure_ascii=False) + "\n"


def template_schema() -> Schema:
    """The schema of a file with image templates. A new object each time."""
    definitions = {name: _with_tags_described(schema) for name, schema in model_definitions().items()}
    galleries = {name: definitions.pop(name) for name in _OF_GALLERIES}
    bare = {name: _opened(schema, "Variable", all_kinds=False) for name, schema in definitions.items()}
    bare["ImageTemplate"]["properties"] |= copy.deepcopy(_BARE_ENVELOPE)
    inside = {name + _SUFFIX: _in_deployment(schema) for name, schema in {**definitions, **galleries}.items()}
    for name in ("ImageTemplate", "Gallery", "ImageDefinition"):
        inside[name + _SUFFIX]["properties"] |= copy.deepcopy(_ENVELOPE)
    return {
        "$schema": GenerateJsonSchema.schema_dialect,
        "title": "Image template",
        "description": "An Azure Image Builder template, or an ARM deployment that holds some",
        "anyOf": [
            {"$ref": "#/$defs/ImageTemplate"},
            {"allOf": [{"$ref": "#/$defs/Deployment"}, _holds_a_template()]},
        ],
        "$defs": {**_FIXED, **bare, **inside, "Resource": _resource(), "Deployment": _deployment()},
    }


def _with_tags_described(schema: Schema) -> Schema:
    """What a `type` says of its object, the object's own description says."""
    about = schema.get("description", "")
    properties = {
        key: {**value, "description": about} if "const" in value and "description" not in value else value
        for key, value in schema.get("properties", {}).items()
    }
    return {**schema, "properties": properties} if properties else schema


# -- values that are computed ---------------------------------------------------------------------


def _opened(schema: Schema, name: str, *, all_kinds: bool) -> Schema:
    """`schema`, where a value that could not be any text may be text of the definition `name` instead.

    `all_kinds`: objects and arrays too, else only values that stand in quotes or could.
    """
    result = dict(schema)
    if "properties" in schema:
        result["properties"] = {
            key: value if _is_tag(value) else _or_text(value, name, all_kinds=all_kinds)
            for key, value in schema["properties"].items()
        }
    for key in ("items", "additionalProperties"):
        if isinstance(schema.get(key), dict):
            result[key] = _or_text(schema[key], name, all_kinds=all_kinds)
    for key in ("anyOf", "oneOf"):
        if key in schema:
            result[key] = [_opened(part, name, all_kinds=all_kinds) for part in schema[key]]
    return result


def _is_tag(schema: Schema) -> bool:
    """A discriminator: it is never computed, since all else depends on it."""
    return "const" in schema or str(schema.get("pattern", "")).startswith("^x-")


def _or_text(closed: Schema, name: str, *, all_kinds: bool) -> Schema:
    schema = _opened(closed, name, all_kinds=all_kinds)
    parts = schema.get("anyOf", [schema])
    if any(_is_free_text(part) for part in parts) or not schema.keys() - {"description", "default"}:
        return schema
    if not all_kinds and not any(_is_scalar(part) for part in parts):
        return schema
    about: Schema = {key: schema[key] for key in ("description", "default") if key in schema}
    own = {key: value for key, value in schema.items() if key not in about}
    text = {"$ref": f"#/$defs/{name}"}
    return {**about, "anyOf": [*own["anyOf"], text] if "anyOf" in own else [own, text]}


def _is_free_text(schema: Schema) -> bool:
    kinds = schema.get("type")
    is_text = kinds == "string" or (isinstance(kinds, list) and "string" in kinds)
    return is_text and not schema.keys() & {"enum", "pattern", "const"}


def _is_scalar(schema: Schema) -> bool:
    kinds = schema.get("type")
    return bool(
        {"string", "integer", "number", "boolean"} & {*(kinds if isinstance(kinds, list) else [kinds])}
    )


def _in_deployment(schema: Schema) -> Schema:
    """A model's definition as it is within a deployment: expressions, `copy` loops, its own names."""
    result: Schema = _renamed(_opened(schema, "Expression", all_kinds=True))
    if result.get("type") != "object":
        return result
    result["properties"] = {**result.get("properties", {}), "copy": _PROPERTY_COPY}
    arrays = [name for name in result.get("required", ()) if _may_be_looped(schema["properties"][name])]
    if arrays:  # the loop makes them
        result["required"] = [name for name in result["required"] if name not in arrays]
        result["anyOf"] = [{"required": arrays}, {"required": ["copy"]}]
    return result


def _may_be_looped(schema: Schema) -> bool:
    return schema.get("type") == "array"


def _renamed(value: Any) -> Any:  # noqa: ANN401 - any JSON value
    """`value` with its references to models leading to their definitions for deployments."""
    if isinstance(value, list):
        return [_renamed(item) for item in value]
    if not isinstance(value, dict):
        return value
    return {
        key: item + _SUFFIX if _is_reference(key, item) else _renamed(item) for key, item in value.items()
    }


def _is_reference(key: str, value: object) -> bool:
    return key == "$ref" and isinstance(value, str) and value.rsplit("/", 1)[-1] not in _FIXED


# -- deployments ----------------------------------------------------------------------------------


def _deployment() -> Schema:
    """An ARM deployment template (Microsoft's template syntax); only its resources are looked into."""
    resource = {"$ref": "#/$defs/Resource"}
    return {
        "type": "object",
        "description": "An ARM deployment",
        "additionalProperties": False,
        "required": ["$schema", "contentVersion", "resources"],
        "properties": {
            "$schema": {
                "type": "string",
                "pattern": r"[dD]eploymentTemplate\.json",
                "description": "Azure's schema; it says what is deployed to: a group, or more",
            },
            "contentVersion": {"type": "string", "description": "The version of this file, such as 1.0.0.0"},
            "languageVersion": {"type": "string", "description": "2.0 allows symbolic names and definitions"},
            "apiProfile": {"type": "string", "description": "Not read"},
            "metadata": {"type": "object", "description": "Notes of people and tools; not read"},
            "definitions": {"type": "object", "description": "Types of parameters and outputs"},
            "parameters": {
                "type": "object",
                "description": "Values given when it is built: --parameters, or their defaults",
                "additionalProperties": {"type": "object"},
            },
            "variables": {"type": "object", "description": "Values computed once"},
            "functions": {"type": "array", "description": "Functions for the template's expressions"},
            "imports": {"type": "object", "description": "Not read"},
            "extensions": {"type": "object", "description": "Not read"},
            "resources": {
                "description": "A list, or an object of symbolic names",
                "anyOf": [
                    {"type": "array", "items": resource},
                    {"type": "object", "additionalProperties": resource},
                ],
            },
            "outputs": {"type": "object", "description": "Not read"},
        },
    }


def _resource() -> Schema:
    known = {
        IMAGE_TEMPLATE_TYPE: f"#/$defs/ImageTemplate{_SUFFIX}",
        GALLERY_TYPE: f"#/$defs/Gallery{_SUFFIX}",
        DEFINITION_TYPE: f"#/$defs/ImageDefinition{_SUFFIX}",
    }
    nested = {"properties": {"properties": {"properties": {"template": {"$ref": "#/$defs/Deployment"}}}}}
    return {
        "type": "object",
        "description": "A resource; those that Goldsmith does not know are left alone",
        "required": ["type"],
        "properties": {
            "type": {
                "anyOf": [{"enum": [*known, DEPLOYMENT_TYPE]}, {"type": "string"}],
                "description": "What the resource is",
            },
        },
        "allOf": [
            *({"if": _is_of(kind), "then": {"$ref": target}} for kind, target in known.items()),
            {"if": _is_of(DEPLOYMENT_TYPE), "then": nested},
        ],
    }


def _is_of(kind: str) -> Schema:
    return {
        "required": ["type"],
        "properties": {"type": {"const": kind}},
        "not": {"required": ["existing"]},
    }


def _holds_a_template() -> Schema:
    """A list of resources without an image template has a mistake in a type, most likely."""
    kinds = {"properties": {"type": {"enum": [IMAGE_TEMPLATE_TYPE, DEPLOYMENT_TYPE]}}, "required": ["type"]}
    return {"properties": {"resources": {"if": {"type": "array"}, "then": {"contains": kinds}}}}
