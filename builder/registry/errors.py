"""What goes wrong with the registry itself."""

from __future__ import annotations

from builder.errors import EnvironmentProblem, PreflightError


class RegistryError(EnvironmentProblem):
    """The registry cannot be read or written."""

    code = "Registry"


class AuthorizationError(PreflightError):
    """The caller's roles do not permit it: Azure's AuthorizationFailed."""

    code = "AuthorizationFailed"
