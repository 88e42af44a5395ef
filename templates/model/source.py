"""Where an image starts from."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from templates.model.base import Model


class PlanInfo(Model):
    """A marketplace purchase plan."""

    plan_name: str = Field(description="Name of the purchase plan")
    plan_product: str = Field(description="Product of the purchase plan")
    plan_publisher: str = Field(description="Publisher of the purchase plan")


class PlatformImageSource(Model):
    """A marketplace image. `latest` is resolved when the build runs, as AIB does."""

    type: Literal["PlatformImage"]
    publisher: str = Field(description="Publisher of the marketplace image")
    offer: str = Field(description="Offer of the marketplace image")
    sku: str = Field(description="SKU of the marketplace image")
    version: str = Field(default="latest", description="Version, or 'latest', resolved when the build runs")
    plan_info: PlanInfo | None = Field(default=None, description="Purchase plan of a paid image")


class ManagedImageSource(Model):
    """A managed image distributed earlier, by its ARM id."""

    type: Literal["ManagedImage"]
    image_id: str = Field(description="ARM id of a managed image")


class SharedImageVersionSource(Model):
    """A gallery version, by its ARM id; its last segment may be `latest`."""

    type: Literal["SharedImageVersion"]
    image_version_id: str = Field(
        description="ARM id of a gallery version; 'latest' is resolved when the build runs"
    )


class IsoSource(Model):
    """An installation medium. Azure had it until API version 2019-05-01-preview."""

    type: Literal["ISO"]
    source_uri: str = Field(description="Address of the ISO image")
    sha256_checksum: str = Field(description="SHA-256 of the ISO image: 64 lower-case hex digits")


Source = Annotated[
    PlatformImageSource | ManagedImageSource | SharedImageVersionSource | IsoSource,
    Field(discriminator="type"),
]
