"""What the user wrote, read and checked. Pure: no network, no processes."""

from templates.reader import DeploymentScope, Document, load_parameters, read
from templates.render import format_diagnostic

__all__ = ["DeploymentScope", "Document", "format_diagnostic", "load_parameters", "read"]
