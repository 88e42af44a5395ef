"""Where things are kept and what a person may set.

Settings come from `$GOLDSMITH_HOME/settings.toml`, overridden by `GOLDSMITH_<NAME>` variables.
"""

from __future__ import annotations

import os
import tomllib
from pathlib import Path
from typing import Any

import platformdirs
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from builder.errors import UsageError

_ENV_PREFIX = "GOLDSMITH_"


class Settings(BaseModel):
    """What a person may set. Sizes in MiB, times in seconds."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    debian_mirror: str | None = Field(default=None, description="Debian mirror for bootstrap recipes")
    accelerator: str = Field(default="auto", pattern="^(auto|kvm|tcg)$")
    default_cpus: int = Field(default=2, ge=1)
    default_memory_mib: int = Field(default=2048, ge=256)
    resource_group: str = "goldsmith"
    subscription_id: str = "00000000-0000-0000-0000-000000000000"
    location: str = "local"
    boot_timeout: float = Field(default=900, gt=0, description="boot to SSH, at most")
    cleanup_timeout: float = Field(default=60, gt=0)
    keep_for_days: float = Field(default=7, gt=0)


class Home:
    """`$GOLDSMITH_HOME`, by default the platform's user data directory."""

    def __init__(self, root: Path | None = None) -> None:
        default = platformdirs.user_data_path("goldsmith")
        self.root = (root or Path(os.environ.get("GOLDSMITH_HOME") or default)).expanduser().absolute()
        self.registry = self.root / "registry.db"
        self.images = self.root / "images"
        self.regions = self.root / "regions"
        self.downloads = self.root / "cache" / "downloads"
        self.bases = self.root / "cache" / "bases"
        self.layers = self.root / "cache" / "layers"
        self.staging = self.root / "staging"
        self.runs = self.root / "runs"


def load_settings(home: Home) -> Settings:
    """Read the settings. Raises UsageError naming the file or variable that is wrong."""
    file = home.root / "settings.toml"
    values: dict[str, Any] = {}
    if file.exists():
        try:
            values = tomllib.loads(file.read_text())
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise UsageError(f"{file}: {error}", hint="Correct the file; it is TOML.") from error
    for name in Settings.model_fields:
        value = os.environ.get(_ENV_PREFIX + name.upper())
        if value is not None:
            values[name] = value
    try:
        return Settings.model_validate(values)
    except ValidationError as error:
        details = tuple(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors())
        raise UsageError(
            f"A setting in {file} or a {_ENV_PREFIX}* variable is wrong.",
            details=details,
            hint="docs/reference.md lists all settings.",
        ) from error
