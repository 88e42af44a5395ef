"""The reference page of the template, made from the models: `python -m templates.reference FOLDER`.

Writes `template.md` and `template.schema.json`; a test says when those of docs/ are out of date.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path

from templates.model_schema import Schema, model_definitions, since
from templates.schema import schema_text

COMMAND = "python -m templates.reference docs"
_HEAD = f"""# The template, field by field

Made from the models by `{COMMAND}`; do not edit. What of it is supported, and how, stands in
[reference.md](reference.md#what-of-an-aib-template-is-supported); `build schema` prints the same for
editors. Fields that are not listed are refused, as in Azure. *Since* names the API version that brought
a field; without one it is as old as what it stands in.
"""
_GALLERY_HEAD = """# Beside the template

A deployment may declare these next to its image templates. Further fields of Azure's are let through.
"""


def reference_page() -> str:
    """The page as Markdown."""
    definitions = model_definitions()
    parts = [_HEAD]
    for name, schema in definitions.items():
        if name == "Gallery":
            parts.append(_GALLERY_HEAD)
        parts.append("\n".join(_section(name, schema)) + "\n")
    return "\n".join(parts)


def _section(name: str, schema: Schema) -> Iterator[str]:
    yield f"## {name}"
    yield ""
    if "description" in schema:
        yield schema["description"]
        yield ""
    properties = schema.get("properties", {})
    if not properties:
        yield "It has no fields."
        return
    if since(name):
        yield f"Since API version {since(name)}."
        yield ""
    yield "| field | type | default | since | meaning |"
    yield "|---|---|---|---|---|"
    required = schema.get("required", ())
    for field, about in properties.items():
        cells = (
            f"`{field}`",
            type_of(about),
            "required" if field in required else _default(about),
            since(name, field),
            about.get("description", ""),
        )
        yield f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"


def _default(about: Schema) -> str:
    if "default" not in about or about["default"] == "":
        return "none"
    return f"`{json.dumps(about['default'])}`"


def type_of(about: Schema) -> str:
    """The type of a field in words, with links to the sections of models."""
    if "$ref" in about:
        name = about["$ref"].rsplit("/", 1)[-1]
        return f"[{name}](#{name.lower()})"
    if "const" in about or "enum" in about:
        return " or ".join(f"`{value}`" for value in about.get("enum", [about.get("const")]))
    choices = about.get("oneOf") or about.get("anyOf")
    if choices:
        return " or ".join(type_of(part) for part in choices if part != {"type": "null"})
    return _plain_type(about)


def _plain_type(about: Schema) -> str:
    kinds = about.get("type", "any")
    kind = next(one for one in kinds if one != "null") if isinstance(kinds, list) else kinds
    if kind == "array":
        return f"array of {type_of(about.get('items', {}))}"
    if kind == "object" and isinstance(about.get("additionalProperties"), dict):
        return f"object of {type_of(about['additionalProperties'])}"
    return f"integer{_range(about)}" if kind == "integer" else str(kind)


def _range(about: Schema) -> str:
    least, most = about.get("minimum"), about.get("maximum")
    if least is not None and most is not None:
        return f", {least} to {most}"
    return f", at least {least}" if least is not None else ""


def generated() -> dict[str, str]:
    """The files that are made from the models, by name."""
    return {"template.md": reference_page(), "template.schema.json": schema_text()}


def main(folder: Path) -> None:
    """Write the generated files into `folder`."""
    for name, text in generated().items():
        (folder / name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "docs"))
