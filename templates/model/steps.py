"""Customizers and validators: what is done to the image and what is checked on it.

Fields, defaults and descriptions: API version 2025-10-01, reference tables of AIB.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, Tag

from templates.model.base import Step


class ScriptStep(Step):
    """A step given as `inline` commands or by `scriptUri`; never both."""

    inline: list[str] | None = Field(default=None, description="Commands, run as one script")
    script_uri: str | None = Field(
        default=None,
        description="Path, file:// or http(s) address of the script; fetched before anything boots",
    )
    sha256_checksum: str | None = Field(
        default=None, description="SHA-256 of what scriptUri names: 64 lower-case hex digits"
    )


class ShellStep(ScriptStep):
    """Runs a shell script (Linux)."""

    type: Literal["Shell"]


class PowerShellStep(ScriptStep):
    """Runs a PowerShell script."""

    type: Literal["PowerShell"]
    run_elevated: bool = Field(default=False, description="Run with elevated privileges")
    run_as_system: bool = Field(default=False, description="Run as Local System; only with runElevated")
    valid_exit_codes: list[int] = Field(
        default_factory=lambda: [0], description="Exit codes that count as success"
    )


class FileStep(Step):
    """Uploads one file."""

    type: Literal["File"]
    source_uri: str | None = Field(default=None, description="Path, file:// or http(s) address of the file")
    destination: str | None = Field(
        default=None, description="Absolute path and file name in the VM; its directory must exist"
    )
    sha256_checksum: str | None = Field(
        default=None, description="SHA-256 of what sourceUri names: 64 lower-case hex digits"
    )


class WindowsRestartStep(Step):
    """Restarts a Windows guest and waits for it."""

    type: Literal["WindowsRestart"]
    restart_command: str = Field(
        default='shutdown /r /f /t 0 /c "packer restart"', description="Command that restarts the machine"
    )
    restart_check_command: str = Field(
        default="", description="Command that succeeds once the restart is done"
    )
    restart_timeout: str = Field(default="5m", description="Longest wait, Go-style: 5m, 2h")


class WindowsUpdateStep(Step):
    """Installs Windows updates."""

    type: Literal["WindowsUpdate"]
    search_criteria: str = Field(default="", description="Criteria of the search; empty: all updates")
    filters: list[str] = Field(default_factory=list, description="Filters that select updates; empty: none")
    update_limit: int = Field(default=0, ge=0, description="Most updates to apply at a time; 0 means 1000")


class LinuxRestartStep(Step):
    """Goldsmith's own: restarts a Linux guest; a new boot id proves it."""

    type: Literal["x-LinuxRestart"]
    restart_timeout: str = Field(default="5m", description="Longest wait, Go-style: 5m, 2h")


class ExtensionStep(Step):
    """A step of a type that a third party registered; its options stay as they were written."""

    type: str = Field(description="Type name, starting with x-")

    @property
    def options(self) -> dict[str, Any]:
        """The fields beside type, name and x-goldsmith."""
        return dict(self.model_extra or {})


_KNOWN_CUSTOMIZERS = ("Shell", "PowerShell", "File", "WindowsRestart", "WindowsUpdate", "x-LinuxRestart")


def customizer_types() -> tuple[str, ...]:
    """The type names of the built-in customizers."""
    return _KNOWN_CUSTOMIZERS


def _customizer_tag(value: Any) -> str | None:  # noqa: ANN401 - pydantic hands over anything
    kind = value.get("type") if isinstance(value, dict) else getattr(value, "type", None)
    if kind in _KNOWN_CUSTOMIZERS:
        return str(kind)
    return "extension" if isinstance(kind, str) and kind.startswith("x-") else None


Customizer = Annotated[
    Annotated[ShellStep, Tag("Shell")]
    | Annotated[PowerShellStep, Tag("PowerShell")]
    | Annotated[FileStep, Tag("File")]
    | Annotated[WindowsRestartStep, Tag("WindowsRestart")]
    | Annotated[WindowsUpdateStep, Tag("WindowsUpdate")]
    | Annotated[LinuxRestartStep, Tag("x-LinuxRestart")]
    | Annotated[ExtensionStep, Tag("extension")],
    Discriminator(_customizer_tag),
]

Validator = Annotated[ShellStep | PowerShellStep | FileStep, Field(discriminator="type")]
