"""Finding the provisioner for a step by its type, ours and third parties' alike."""

from __future__ import annotations

from importlib.metadata import entry_points
from typing import Any, cast

from provisioners.base import BadStepError, FrozenContent, Provisioner
from templates.errors import ExitCode, GoldsmithError

GROUP = "goldsmith.provisioners"

_GUESTS = {
    "Shell": ("Linux", "Use a PowerShell step on a Windows image."),
    "x-LinuxRestart": ("Linux", "Use WindowsRestart on a Windows image."),
    "WindowsRestart": ("Windows", "Use x-LinuxRestart on a Linux image."),
    "WindowsUpdate": ("Windows", "Use a Shell step with the distribution's package manager."),
}
"""The types that only one system can run, and what does the same on the other."""


class UnknownStepTypeError(GoldsmithError):
    """A step type nobody registered. Raised before anything boots."""

    code = "UnknownStepType"
    exit_code = ExitCode.BAD_TEMPLATE


def known_types() -> tuple[str, ...]:
    """The registered step types, sorted."""
    return tuple(sorted(entry_points(group=GROUP).names))


def create(step: Any, content: FrozenContent | None = None) -> Provisioner:  # noqa: ANN401 - any step model
    """The provisioner for `step.type`. `content` holds the frozen bytes of its script or file.

    Raises UnknownStepTypeError for a type nobody registered.
    """
    for entry in entry_points(group=GROUP):
        if entry.name == step.type:
            return cast("Provisioner", entry.load()(step, content))
    raise UnknownStepTypeError(
        f"No provisioner handles the step type '{step.type}'.",
        details=(f"known types: {', '.join(known_types())}",),
        hint=f"A package adds one through the entry point group {GROUP}.",
    )


def require_guest(step_type: str, os_type: str) -> None:
    """Raises BadStepError when a step of that type cannot run in a guest of that system."""
    needed, instead = _GUESTS.get(step_type, (os_type, ""))
    if needed != os_type:
        raise BadStepError(
            f"A {step_type} step needs a {needed} guest; the source is {os_type}.", hint=instead
        )
