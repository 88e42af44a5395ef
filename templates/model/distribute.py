"""Where an image goes."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from templates.model.base import Model

StorageAccountType = Literal["Standard_LRS", "Standard_ZRS", "Premium_LRS"]


class Distributor(Model):
    """What the three kinds share."""

    run_output_name: str = Field(
        pattern=r"^[A-Za-z0-9\-_.]{1,64}$", description="Name of the run output; unique in the template"
    )
    artifact_tags: dict[str, str] = Field(default_factory=dict, description="Tags of the artifact")


class TargetRegion(Model):
    """One region of a gallery version."""

    name: str = Field(description="Name of the region")
    replica_count: int = Field(default=1, ge=1, description="Replicas in this region")
    storage_account_type: StorageAccountType = Field(
        default="Standard_LRS", description="Storage of this region"
    )


class LatestVersioning(Model):
    """Patch + 1 under the highest version (of `major`, unless -1)."""

    scheme: Literal["Latest"]
    major: int = Field(default=-1, ge=-1, description="Major version to number under; -1 means the highest")


class SourceVersioning(Model):
    """Numbered after the source image's version."""

    scheme: Literal["Source"]


Versioning = Annotated[LatestVersioning | SourceVersioning, Field(discriminator="scheme")]


class VhdDistributor(Distributor):
    """A fixed VHD. `uri` is a blob's https address, a path or file://; empty means `--output-dir`."""

    type: Literal["VHD"]
    uri: str = Field(
        default="",
        description="Where the VHD goes: a blob's https address, a path, file://; empty: --output-dir",
    )


class ManagedImageDistributor(Distributor):
    """A managed image in the local registry."""

    type: Literal["ManagedImage"]
    image_id: str = Field(description="ARM id of the managed image")
    location: str = Field(description="Region of the image")


class SharedImageExtensions(Model):
    """`x-goldsmith` of a SharedImage target."""

    channels: list[str] = Field(
        default_factory=list, description="Channels that point to the version once it is published"
    )


class SharedImageDistributor(Distributor):
    """A version of an image definition in a gallery."""

    type: Literal["SharedImage"]
    gallery_image_id: str = Field(description="ARM id of the image definition, or of an explicit version")
    exclude_from_latest: bool = Field(default=False, description="Whether 'latest' passes this version over")
    replication_mode: Literal["Full", "Shallow"] = Field(
        default="Full", description="Full copies, or Shallow for quick tests"
    )
    replication_regions: list[str] | None = Field(
        default=None, description="Deprecated: regions; use targetRegions"
    )
    storage_account_type: StorageAccountType | None = Field(
        default=None, description="Deprecated: storage of replicationRegions"
    )
    target_regions: list[TargetRegion] | None = Field(
        default=None, description="Regions the version is replicated to"
    )
    versioning: Versioning | None = Field(default=None, description="How an automatic version number is made")
    extensions: SharedImageExtensions = Field(
        default_factory=SharedImageExtensions,
        alias="x-goldsmith",
        description="What AIB has no word for; Azure refuses it",
    )


Distribute = Annotated[
    VhdDistributor | ManagedImageDistributor | SharedImageDistributor, Field(discriminator="type")
]
