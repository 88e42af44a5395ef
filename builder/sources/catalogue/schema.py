"""The JSON Schema of catalogue files, for editors and for whoever generates one."""

from __future__ import annotations

import json
from typing import Any

from builder.sources.catalogue.model import CatalogueFile


def catalogue_schema() -> dict[str, Any]:
    """The schema (2020-12), made of the models that read the files."""
    schema = CatalogueFile.model_json_schema(by_alias=True)
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}


def schema_text() -> str:
    """The schema as text."""
    return json.dumps(catalogue_schema(), indent=2) + "\n"
