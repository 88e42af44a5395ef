"""What goes wrong with the registry itself."""

from __future__ import annotations

from builder.errors import EnvironmentProblem


class RegistryError(EnvironmentProblem):
    """The registry cannot be read or written."""

    code = "Registry"
