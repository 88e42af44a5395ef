"""Where an image goes."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from templates.model.base import Model

StorageAccountType = Literal["Standard_LRS", "Standard_ZRS", "Premium_LRS"]


class Distributor(Model):
    """What the three kinds share."""

    run_output_name: str = Field(pattern=r"^[A-Za-z0-9\-_.]{1,64}$")
    artifact_tags: dict[str, str] = Field(default_factory=dict)


class TargetRegion(Model):
    """One region of a gallery version."""

    name: str
    replica_count: int = Field(default=1, ge=1)
    storage_account_type: StorageAccountType = "Standard_LRS"


class LatestVersioning(Model):
    """Patch + 1 under the highest version (of `major`, unless -1)."""

    scheme: Literal["Latest"]
    major: int = Field(default=-1, ge=-1)


class SourceVersioning(Model):
    """Numbered after the source image's version."""

    scheme: Literal["Source"]


Versioning = Annotated[LatestVersioning | SourceVersioning, Field(discriminator="scheme")]


class VhdDistributor(Distributor):
    """A fixed VHD. `uri` is a path or file:// here; empty means `--output-dir`."""

    type: Literal["VHD"]
    uri: str = ""


class ManagedImageDistributor(Distributor):
    """A managed image in the local registry."""

    type: Literal["ManagedImage"]
    image_id: str
    location: str


class SharedImageDistributor(Distributor):
    """A version of an image definition in a gallery."""

    type: Literal["SharedImage"]
    gallery_image_id: str
    exclude_from_latest: bool = False
    replication_mode: Literal["Full", "Shallow"] = "Full"
    replication_regions: list[str] | None = None
    storage_account_type: StorageAccountType | None = None
    target_regions: list[TargetRegion] | None = None
    versioning: Versioning | None = None


Distribute = Annotated[
    VhdDistributor | ManagedImageDistributor | SharedImageDistributor, Field(discriminator="type")
]
