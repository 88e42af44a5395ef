"""Where an image starts from."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from templates.model.base import Model, SecretRef


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


class GalleryVersionExtensions(Model):
    """`x-goldsmith` of a gallery version as a source."""

    channel: str | None = Field(
        default=None,
        description="Start from the version this channel points to; imageVersionId ends in /versions/latest",
    )


class SharedImageVersionSource(Model):
    """A gallery version, by its ARM id; its last segment may be `latest`."""

    type: Literal["SharedImageVersion"]
    image_version_id: str = Field(
        description="ARM id of a gallery version; 'latest' is resolved when the build runs"
    )
    extensions: GalleryVersionExtensions = Field(
        default_factory=GalleryVersionExtensions,
        alias="x-goldsmith",
        description="What AIB has no word for; Azure refuses it",
    )


class Subscription(Model):
    """A Red Hat subscription, registered while the system is installed and given back at its end."""

    organization: SecretRef = Field(description="Id of the organization")
    activation_key: SecretRef = Field(description="Activation key")


class IsoExtensions(Model):
    """`x-goldsmith` of an ISO source: how the system on it is installed."""

    os_variant: str = Field(
        default="",
        description="What the medium installs, when it does not say so itself: rhel8.4, almalinux9, debian12",
    )
    kickstart: str | None = Field(
        default=None,
        description="Address of your own kickstart, used as it is: a path, file:// or http(s)://",
    )
    kickstart_inline: list[str] | None = Field(
        default=None, description="Lines of your own kickstart, instead of an address"
    )
    packages: list[str] = Field(
        default_factory=list, description="Packages and @groups that Goldsmith's own kickstart adds"
    )
    repositories: list[str] = Field(
        default_factory=list,
        description="Addresses of package repositories; a medium that only boots is installed from the first",
    )
    subscription: Subscription | None = Field(
        default=None, description="Red Hat subscription; never stored, never shown"
    )
    generation: Literal["V1", "V2"] = Field(
        default="V1", description="V1 installs for BIOS, V2 for UEFI; that of the image"
    )
    disk_size_gb: int = Field(
        default=16,
        ge=8,
        le=2047,
        alias="diskSizeGB",
        description="Size of the disk it is installed on, in GB; vmProfile.osDiskSizeGB grows it afterwards",
    )
    memory_mib: int = Field(
        default=3072, ge=1024, alias="memoryMiB", description="Memory of the machine that installs, in MiB"
    )
    timeout: str = Field(
        default="3h", description="Go-style duration; the installation takes this long at most"
    )


class IsoSource(Model):
    """An installation medium. Azure had it until API version 2019-05-01-preview."""

    type: Literal["ISO"]
    source_uri: str = Field(description="Address of the ISO image")
    sha256_checksum: str = Field(description="SHA-256 of the ISO image: 64 lower-case hex digits")
    extensions: IsoExtensions = Field(
        default_factory=IsoExtensions,
        alias="x-goldsmith",
        description="What AIB has no word for; Azure refuses it",
    )


Source = Annotated[
    PlatformImageSource | ManagedImageSource | SharedImageVersionSource | IsoSource,
    Field(discriminator="type"),
]
