"""Where notices go: `[[notify]]` tables of settings.toml."""

from __future__ import annotations

import os
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator, model_validator

from builder.errors import UsageError
from builder.notify.notice import DEFAULT_EVENTS, Event

Format = Literal["json", "slack", "teams"]


class FromEnvironment(BaseModel):
    """A value that stands in the environment: `{ env = "NAME" }`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    env: str = Field(min_length=1)


Secret = SecretStr | FromEnvironment


def reveal(secret: Secret) -> str:
    """The value. Raises UsageError when its variable is not set."""
    if isinstance(secret, SecretStr):
        return secret.get_secret_value()
    value = os.environ.get(secret.env)
    if not value:
        raise UsageError(f"The variable {secret.env}, which [[notify]] names, is not set.")
    return value


class _Target(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    on: tuple[Event, ...] = DEFAULT_EVENTS


class Webhook(_Target):
    """A POST of JSON."""

    type: Literal["webhook"]
    url: Secret
    format: Format = "json"
    headers: dict[str, Secret] = Field(default_factory=dict)

    @field_validator("url")
    @classmethod
    def _is_one(cls, value: Secret) -> Secret:
        if isinstance(value, SecretStr):
            parts = urlsplit(value.get_secret_value())
            if parts.scheme not in ("http", "https") or not parts.hostname:
                raise ValueError("an address such as https://hooks.example/x, or { env = 'NAME' }")
        return value


class Command(_Target):
    """A program, with the notice as JSON on its standard input and in GOLDSMITH_NOTICE_* variables."""

    type: Literal["command"]
    argv: tuple[str, ...] = Field(min_length=1)
    timeout: float = Field(default=60, gt=0, le=3600, description="seconds")


class Mail(_Target):
    """A message by SMTP. `tls`: `starttls` (usual, port 587), `implicit` (port 465) or `none`."""

    type: Literal["mail"]
    host: str = Field(min_length=1)
    port: int = Field(default=587, ge=1, le=65535)
    tls: Literal["starttls", "implicit", "none"] = "starttls"
    user: str = ""
    password: Secret | None = None
    sender: str = Field(alias="from", min_length=3)
    to: tuple[str, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _no_password_in_the_clear(self) -> Mail:
        if self.tls == "none" and self.user and self.host not in ("localhost", "127.0.0.1", "::1"):
            raise ValueError("a password is not sent without TLS")
        return self


Target = Annotated[Webhook | Command | Mail, Field(discriminator="type")]
