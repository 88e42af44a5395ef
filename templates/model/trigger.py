"""Triggers that may stand beside an image template in a deployment."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from templates.model.base import Model


class TriggerProperties(Model):
    """`properties` of a trigger (API 2022-07-01 and later)."""

    kind: Literal["SourceImage"] = Field(description="What starts a build: a newer source")


class Trigger(Model):
    """`Microsoft.VirtualMachineImages/imageTemplates/triggers`; `template` is the image template's name."""

    name: str = Field(description="Name of the trigger")
    template: str = Field(description="Name of the image template")
    properties: TriggerProperties = Field(description="The trigger itself")
