"""What the user wrote, read and checked. Pure: no network, no processes.

The names below are loaded when they are first used: `templates.errors` is imported by everything,
and must not bring pydantic and the models with it.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from templates.arm.parameters import load_parameters
    from templates.arm.scope import DeploymentScope
    from templates.reader import Document, read
    from templates.render import format_diagnostic

_HOMES = {
    "DeploymentScope": "templates.arm.scope",
    "Document": "templates.reader",
    "format_diagnostic": "templates.render",
    "load_parameters": "templates.arm.parameters",
    "read": "templates.reader",
}

__all__ = ["DeploymentScope", "Document", "format_diagnostic", "load_parameters", "read"]


def __getattr__(name: str) -> object:
    if name in _HOMES:
        return getattr(importlib.import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'templates' has no attribute '{name}'")
