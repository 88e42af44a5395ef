"""Reading templates the way every verb does: variables, parameters, strictness."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from builder.errors import UsageError
from builder.settings import Home, load_settings

if TYPE_CHECKING:
    from templates import Document


def read_documents(
    files: Sequence[Path],
    *,
    home: Home,
    var: Sequence[str],
    var_file: Sequence[Path],
    parameters: Path | None,
    strict: bool,
) -> list[Document]:
    """Read all files before anything is built. Raises TemplateError, UsageError."""
    import templates
    from templates.arm.scope import DeploymentScope

    settings = load_settings(home)
    scope = DeploymentScope(settings.subscription_id, settings.resource_group, settings.location)
    values = variables(var, var_file)
    given = templates.load_parameters(parameters) if parameters else None
    return [
        templates.read(file, variables=values, parameters=given, strict=strict, defaults=scope)
        for file in files
    ]


def variables(var: Sequence[str], var_file: Sequence[Path]) -> dict[str, str]:
    """`--var-file` files in order, then `--var K=V`, later ones winning. Raises UsageError."""
    values: dict[str, str] = {}
    for file in var_file:
        values.update(_variables_of(file))
    for item in var:
        name, separator, value = item.partition("=")
        if not separator or not name.isidentifier():
            raise UsageError(
                f"--var {item}: expected NAME=VALUE.", hint="For example: --var region=westeurope"
            )
        values[name] = value
    return values


def _variables_of(file: Path) -> dict[str, str]:
    try:
        data = json.loads(file.read_text())
    except OSError as error:
        raise UsageError(f"--var-file {file}: {error.strerror}.") from error
    except ValueError as error:
        raise UsageError(f"--var-file {file}: not JSON: {error}.") from error
    if not isinstance(data, dict) or not all(isinstance(v, str | int | float) for v in data.values()):
        raise UsageError(f"--var-file {file}: expected an object of names and plain values.")
    return {str(name): str(value) for name, value in data.items()}
