"""The ground all template models stand on."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel


class Model(BaseModel):
    """camelCase in JSON, snake_case in Python; unknown fields are kept for the reader to judge."""

    model_config = ConfigDict(
        alias_generator=to_camel, populate_by_name=True, extra="allow", frozen=True, strict=True
    )


class SecretRef(Model):
    """Where a secret comes from: exactly one of an environment variable, a file, a command (argv)."""

    env: str | None = Field(default=None, description="Name of an environment variable")
    file: str | None = Field(default=None, description="Path of a file")
    command: list[str] | None = Field(
        default=None, description="Program and arguments; its output is the secret"
    )


class StepExtensions(Model):
    """`x-goldsmith` of one customizer or validator: what AIB has no word for."""

    cache: str = Field(
        default="auto",
        # Only for editors: templates/rules.py says what is wrong with a duration.
        json_schema_extra={"pattern": r"^(auto|never|([0-9.]+(ns|us|µs|ms|s|m|h))+)$"},
        description="'never' runs the step in every build; a Go-style duration such as 24h: its layer is "
        "used that long",
    )
    retry: int = Field(default=0, ge=0, le=10, description="How often a failed step is tried again")
    timeout: str | None = Field(default=None, description="Go-style duration, e.g. 90s, 10m, 1h30m")
    env: dict[str, str] = Field(default_factory=dict, description="Environment of the step")
    secrets: dict[str, SecretRef] = Field(
        default_factory=dict, description="Environment of the step that is never shown"
    )


class Step(Model):
    """What customizers and validators share."""

    name: str = Field(default="", description="Name of the step, for people")
    extensions: StepExtensions = Field(
        default_factory=StepExtensions,
        alias="x-goldsmith",
        description="What AIB has no word for; Azure refuses it",
    )


Json = dict[str, Any] | list[Any] | str | int | float | bool | None
