"""Where an image starts from."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from templates.model.base import Model


class PlanInfo(Model):
    """A marketplace purchase plan."""

    plan_name: str
    plan_product: str
    plan_publisher: str


class PlatformImageSource(Model):
    """A marketplace image. `latest` is resolved when the build runs, as AIB does."""

    type: Literal["PlatformImage"]
    publisher: str
    offer: str
    sku: str
    version: str = "latest"
    plan_info: PlanInfo | None = None


class ManagedImageSource(Model):
    """A managed image distributed earlier, by its ARM id."""

    type: Literal["ManagedImage"]
    image_id: str


class SharedImageVersionSource(Model):
    """A gallery version, by its ARM id; its last segment may be `latest`."""

    type: Literal["SharedImageVersion"]
    image_version_id: str


Source = Annotated[
    PlatformImageSource | ManagedImageSource | SharedImageVersionSource, Field(discriminator="type")
]
