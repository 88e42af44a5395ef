"""Our records as JSON values, the same everywhere: `--json`, events, files."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from datetime import datetime
from pathlib import Path
from typing import Any


def to_json(value: object) -> Any:  # noqa: ANN401 - JSON
    """A record, or a list of them, as JSON values with camelCase names, as Azure writes them."""
    if is_dataclass(value) and not isinstance(value, type):
        return {camel(item.name): to_json(getattr(value, item.name)) for item in fields(value)}
    if isinstance(value, list | tuple):
        return [to_json(item) for item in value]
    if isinstance(value, Mapping):
        return {str(key): to_json(item) for key, item in value.items()}
    if isinstance(value, datetime):
        return value.isoformat()
    return str(value) if isinstance(value, Path) else value


def camel(name: str) -> str:
    """`run_id` as `runId`."""
    first, *rest = name.split("_")
    return first + "".join(word.capitalize() for word in rest)
